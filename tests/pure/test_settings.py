"""Which provider reads which setting, in both facades, and that others are refused before anything is opened."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, UnsupportedProviderError
from openmem.config import COMMON_SETTINGS, PROVIDER_SETTINGS, SETTINGS, UnreadSettingError
from openmem.providers import BUILT_IN, provider_class
from openmem.providers.base import Provider

CLIENTS = pytest.mark.parametrize("client", [Memory, AsyncMemory])

VALUES: Mapping[str, Any] = {
    "url": "postgresql://localhost:1/x",
    "replica_url": "postgresql://localhost:2/x",
    "base_url": "http://127.0.0.1:9",
    "api_key": "key",
    "host": "http://127.0.0.1:9",
    "timeout": 5.0,
    "path": "somewhere",
    "config": {"vector_store": {"provider": "qdrant", "config": {}}},
    "embedder": "hashing",
    "language": "en",
    "timezone": "Europe/Lisbon",
    "schema": "other",
    "pool_min_size": 2,
    "pool_max_size": 3,
    "pool_timeout": 4.0,
    "audit": "writes",
}
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "postgres": {"url": VALUES["url"]},
    "passthrough": {"base_url": VALUES["base_url"]},
    "mem0": {"api_key": "key"},
    "supermemory": {"api_key": "key"},
    "letta": {"api_key": "key"},
}
POOL = {"pool_min_size", "pool_max_size", "pool_timeout"}
READ: Mapping[str, set[str]] = {
    "postgres": {"url", "replica_url", "timeout", "embedder", "language", "timezone", "schema", "audit", *POOL},
    "local": {"path", "timeout", "embedder", "language", "timezone", "schema", "audit", *POOL},
    "memory": {"embedder", "language", "timezone", "audit"},
    "passthrough": {"base_url", "host", "api_key", "timeout", "pool_max_size"},
    "mem0": {"base_url", "host", "api_key", "timeout", "config", "embedder"},
    "supermemory": {"base_url", "host", "api_key", "timeout"},
    "letta": {"base_url", "host", "api_key", "timeout"},
}


def test_the_table_has_every_argument_of_the_facades() -> None:
    arguments = set(inspect.signature(Memory.__init__).parameters)
    aliases = {alias for setting in SETTINGS.values() for alias in setting.aliases}
    assert arguments == {*SETTINGS, *aliases, "self", "provider", "options"}
    assert VALUES.keys() == PROVIDER_SETTINGS == SETTINGS.keys() - COMMON_SETTINGS
    assert READ.keys() == BUILT_IN.keys()


def test_the_defaults_are_those_of_the_facades() -> None:
    parameters = inspect.signature(Memory.__init__).parameters
    for name in PROVIDER_SETTINGS:
        assert parameters[name].default == SETTINGS[name].default


@CLIENTS
@pytest.mark.parametrize("name", sorted(VALUES))
@pytest.mark.parametrize("provider", sorted(READ))
def test_a_setting_is_refused_exactly_where_it_is_not_read(
    client: type[Memory | AsyncMemory], provider: str, name: str
) -> None:
    given = {**NEEDED.get(provider, {}), name: VALUES[name]}
    # Any base_url may turn out to be an OMP server's, to which the provider gives way.
    if (provider, name) == ("mem0", "embedder"):
        given["config"] = VALUES["config"]  # only this engine reads it
    if name in READ[provider] or name == "base_url":
        assert provider_class(provider).settings == READ[provider]
        _not_refused_as_unread(client, provider, given)
    else:
        with pytest.raises(UnreadSettingError) as refusal:
            client(provider, **given)
        assert refusal.value.message.startswith(name)
        assert f": provider '{provider}' does not read it (provider='" in refusal.value.message
        assert f"; it reads {', '.join(sorted(READ[provider]))}" in refusal.value.message


def _not_refused_as_unread(client: type[Memory | AsyncMemory], provider: str, given: Mapping[str, Any]) -> None:
    try:
        client(provider, **given)
    except UnreadSettingError:
        raise
    except InvalidRequestError:
        pass  # the value itself may be wrong for the provider


@CLIENTS
def test_the_hosted_mem0_reads_no_embedder(client: type[Memory | AsyncMemory]) -> None:
    with pytest.raises(UnreadSettingError, match="embedder or use_openai: provider 'mem0'"):
        client("mem0", api_key="key", embedder="hashing")


@CLIENTS
@pytest.mark.parametrize("provider", sorted(READ))
def test_a_default_may_be_given_to_any_provider(client: type[Memory | AsyncMemory], provider: str) -> None:
    defaults = {name: SETTINGS[name].default for name in PROVIDER_SETTINGS}
    client(provider, **{**defaults, **NEEDED.get(provider, {})})


@CLIENTS
def test_what_a_server_or_the_named_provider_reads_may_come_with_a_base_url(client: type[Memory | AsyncMemory]) -> None:
    client("postgres", base_url=VALUES["base_url"], api_key="key", url=VALUES["url"], embedder="hashing")
    with pytest.raises(UnreadSettingError, match="path: provider 'postgres'"):
        client("postgres", base_url=VALUES["base_url"], path="somewhere")


@CLIENTS
@pytest.mark.parametrize(
    ("given", "named"), [({"dsn": VALUES["url"]}, "url or dsn"), ({"use_openai": True}, "embedder or use_openai")]
)
def test_other_names_of_a_setting_are_told(
    client: type[Memory | AsyncMemory], given: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnreadSettingError, match=f"^{named}: provider 'passthrough' does not read it"):
        client("passthrough", base_url=VALUES["base_url"], **given)


def test_a_provider_of_somebody_else_reads_everything_unless_it_says_so() -> None:
    assert Provider.settings == PROVIDER_SETTINGS


def test_an_error_can_be_copied_for_another_caller() -> None:
    error = UnreadSettingError.of(SETTINGS["path"], "postgres", frozenset({"url"}))
    assert vars(copy.copy(error)) == vars(error)


def test_secrets_are_marked() -> None:
    assert {name for name, setting in SETTINGS.items() if setting.is_secret} == {"url", "replica_url", "api_key"}


def test_a_name_that_stands_for_nothing() -> None:
    with pytest.raises(UnsupportedProviderError, match=r"provider: there is no provider 'mine'; choose from letta, "):
        provider_class("mine")
