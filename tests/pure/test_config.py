"""The settings of a client: what is refused when it is made, in the same words in both modes."""

from __future__ import annotations

from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, OMPError, UnsupportedProviderError
from openmem._text import check_text

URL = "postgresql://someone:s3cret@localhost:1/x"
CLIENTS = pytest.mark.parametrize("client", [Memory, AsyncMemory])


@CLIENTS
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", ""),
        ("url", 5),
        ("url", "mysql://localhost/x"),
        ("url", f"{URL}\0"),
        ("dsn", "postgresql://other"),
        ("app", " "),
        ("app", "a\0"),
        ("app", "a\ud800"),
        ("api_key", ""),
        ("api_key", "s3cret\n"),
        ("api_key", "s3cret…"),
        ("host", 5),
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", True),
        ("timeout", "5"),
        ("timeout", float("nan")),
        ("pool_timeout", 0),
        ("pool_min_size", -1),
        ("pool_min_size", 1.5),
        ("pool_max_size", 0),
        ("pool_max_size", True),
        ("executor_max_workers", 0),
        ("audit", "some"),
        ("language", "English"),
        ("language", 5),
        ("timezone", "Europe/Atlantis"),
        ("timezone", "../etc"),
        ("timezone", "Europe"),
        ("timezone", ""),
        ("timezone", 5),
        ("timezone", None),
        ("schema", "Bad Name"),
        ("schema", "a;b"),
        ("schema", "pg_mine"),
        ("token_counter", 5),
        ("grants", "read:*"),
        ("grants", ["read"]),
    ],
    ids=lambda value: ascii(value),
)
def test_a_setting_out_of_range(client: type[Memory | AsyncMemory], field: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        client(**({"url": URL} | {field: value}))
    assert field in refusal.value.message
    assert "s3cret" not in refusal.value.message


@CLIENTS
def test_sizes_that_contradict_each_other(client: type[Memory | AsyncMemory]) -> None:
    with pytest.raises(InvalidRequestError, match="pool_max_size"):
        client(url=URL, pool_min_size=5, pool_max_size=4)


@CLIENTS
def test_a_missing_url(client: type[Memory | AsyncMemory]) -> None:
    with pytest.raises(InvalidRequestError, match=r"url: .*postgresql://"):
        client()


@CLIENTS
def test_an_unknown_provider(client: type[Memory | AsyncMemory]) -> None:
    with pytest.raises(UnsupportedProviderError, match=r"'postgress'.*postgres"):
        client("postgress", url=URL)


@CLIENTS
def test_an_unknown_keyword(client: type[Memory | AsyncMemory]) -> None:
    with pytest.raises(TypeError, match="'pool_maxsize'; did you mean 'pool_max_size'"):
        client(url=URL, pool_maxsize=5)


@CLIENTS
def test_secrets_stay_out_of_sight(client: type[Memory | AsyncMemory]) -> None:
    memory = client(url=URL, base_url="http://127.0.0.1:1", api_key="k3y")
    settings = memory.client.provider.config
    for value in (memory, memory.client, memory.client.provider, settings):
        assert "s3cret" not in repr(value)
        assert "k3y" not in repr(value)


@pytest.mark.parametrize("text", ["", "a", "\x01", "🙂", "\uffff", "\U0010ffff"])
def test_text_that_can_be_stored(text: str) -> None:
    assert check_text(text) == text


MISPLACED = [
    URL,
    f" '{URL}'",
    "host=localhost user=someone password=s3cret",
    "http://someone:s3cret@localhost:1",
    "someone:s3cret@localhost",
    "sk-s3cret-0123456789abcdef0123456789",
    b"postgresql://someone:s3cret@localhost/x",
    {"password": "s3cret"},
]


@CLIENTS
@pytest.mark.parametrize("value", MISPLACED, ids=ascii)
@pytest.mark.parametrize(
    "setting",
    [
        "provider", "url", "replica_url", "base_url", "path", "schema", "audit", "embedder", "reranker",
        "language", "timezone", "token_counter", "grants", "timeout", "pool_timeout", "pool_min_size", "pool_max_size",
        "executor_max_workers",
    ],
)  # fmt: skip
def test_what_stands_in_the_wrong_place_is_not_shown(
    client: type[Memory | AsyncMemory], setting: str, value: Any
) -> None:
    given: dict[str, Any] = {"provider": "local"} if setting == "path" else {"url": "postgresql://localhost:1/x"}
    given[setting] = [value] if setting == "grants" else value
    shown = ""
    try:
        client(**given)
    except OMPError as error:
        shown = f"{error} {error!r} {error.args}"
    assert "s3cret" not in shown


@CLIENTS
@pytest.mark.parametrize(("url", "setting"), [(URL, "url"), ("https://someone:s3cret@localhost", "base_url")])
def test_a_url_as_the_provider(client: type[Memory | AsyncMemory], url: str, setting: str) -> None:
    with pytest.raises(UnsupportedProviderError, match=f"pass it as {setting}="):
        client(url)


@CLIENTS
def test_short_names_and_numbers_are_shown(client: type[Memory | AsyncMemory]) -> None:
    with pytest.raises(UnsupportedProviderError, match="there is no provider 'postgre'"):
        client("postgre")
    with pytest.raises(InvalidRequestError, match="pool_max_size: -3 is"):
        client(url=URL, pool_max_size=-3)


@CLIENTS
@pytest.mark.parametrize("path", [URL, "a\ud800b", "a\0b"], ids=ascii)
def test_a_path_that_is_none(client: type[Memory | AsyncMemory], path: str) -> None:
    with pytest.raises(InvalidRequestError, match="path: "):
        client("local", path=path)
