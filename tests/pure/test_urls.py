"""URLs of PostgreSQL servers, as people paste them."""

from __future__ import annotations

from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory
from openmem.providers.postgres.urls import read_url

BASE = "postgresql://u:p%3Fw@h:6432,i/d"


@pytest.mark.parametrize(
    ("query", "rest", "pooled"),
    [
        ("", "", None),
        ("?", "", None),
        ("?sslmode=require&application_name=a%26b", "?sslmode=require&application_name=a%26b", None),
        ("?pgbouncer=true", "", True),
        ("?pgbouncer=false", "", False),
        ("?sslmode=require&pgbouncer=true&application_name=a%26b", "?sslmode=require&application_name=a%26b", True),
        ("?schema=public", "", None),
        ("?ssl=true", "?ssl=true", None),
    ],
)
def test_what_is_not_for_libpq_is_taken_out(query: str, rest: str, pooled: bool | None) -> None:
    read = read_url(BASE + query)
    assert (read.url, read.pooled) == (BASE + rest, pooled)


@pytest.mark.parametrize("value", ["", "yes", "True", "1"])
def test_what_is_no_answer_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError, match="pgbouncer is true or false"):
        Memory(url=f"{BASE}?pgbouncer={value}")


@pytest.mark.parametrize(
    "pasted",
    [
        f"{BASE}\n",
        f" \t{BASE}\r\n ",
        f"'{BASE}'",
        f'"{BASE}"\n',
        f"psql '{BASE}'",
        f"psql {BASE}",
        f"\ufeff{BASE}",
        BASE.replace("postgresql", "postgres"),
        BASE.replace("postgresql", "postgresql+asyncpg"),
        BASE.replace("postgresql", "postgresql+psycopg"),
    ],
)
def test_what_is_around_a_url_is_taken_off(pasted: str) -> None:
    assert read_url(pasted).url == BASE


def test_the_limits_of_prisma_and_supabase() -> None:
    read = read_url(f"{BASE}?pgbouncer=true&connection_limit=1&pool_timeout=20")
    assert (read.url, read.pooled, read.connection_limit, read.pool_timeout) == (BASE, True, 1, 20)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://u:secret@h/d", "does not begin with postgresql://"),
        ("u:secret@h/d", "does not begin with postgresql://"),
        ("jdbc:postgresql://h/d?user=u&password=secret", "remove jdbc:"),
        ("jdbc:postgresql://u:secret@h/d", "remove jdbc:"),
        ("DATABASE_URL=postgresql://u:secret@h/d", "the name of a variable"),
        ("export DATABASE_URL='postgresql://u:secret@h/d'", "the name of a variable"),
        ("host=h user=u password=secret dbname=d", "keywords and values"),
        ("postgresql://u:sec\nret@h/d", "line break inside"),
        ("postgresql://u:secret@h/d?sslmode=require application_name=x", "white space"),
        ("postgresql://u:sec%ret@h/d", "a % is not followed by two hexadecimal digits"),
        ("postgresql://u:secret%@h/d", "a % is not followed by two hexadecimal digits"),
        ("postgresql://u:sec%00ret@h/d", "NUL"),
        ("postgresql://u:se@cret@h/d", "'@' is %40"),
        ("postgresql://u:se/cret@h/d", "'/' is %2F"),
        ("postgresql://u:1/secret@h/d", "'/' is %2F"),
        ("postgresql://u@server:secret@server.postgres.database.azure.com/d", "'@' is %40"),
        ("postgresql://u:p@secret/w:rd@h/d", "'@' is %40"),
        ("postgresql://u@h:secret/d", "not a port"),
        ("postgresql://u:secret@h:70000/d", "not a port"),
        ("postgresql://u:secret@[::1:5432/d", "IPv6"),
        ("postgresql://u:secret@h/d?schema=app", "the parameter schema is none of libpq's; .* the argument schema="),
        ("postgresql://u:secret@h/d?connection_limit=none", "connection_limit is a whole number"),
        ("postgresql://u:secret@h/d?pool_timeout=0", "pool_timeout is a whole number"),
        ("postgresql://u:secret@h/d?socket_timeout=3", "the parameter socket_timeout .* timeout="),
        ("postgresql://u:secret@h/d?statement_cache_size=0", "the parameter statement_cache_size .* pgbouncer=true"),
        ("postgresql://u:secret@h/d?sslaccept=strict", "the parameter sslaccept .* sslmode"),
        ("postgresql://u:secret@h/d?ssl=require", "the parameter ssl .* sslmode"),
        ("postgresql://u:secret@h/d?supa=base-pooler.x", "the parameter supa .* remove it"),
        ("postgresql://u:secret@h/d?sslmode", "not written as name=value"),
        ("postgresql://u:secret@h/d?options=endpoint=e", "'=' inside of a value is %3D"),
        ("postgresql://u:p?secret=1&x=y@z@h/d", "'@' is %40"),
        ("postgresql://u:secret@h/d?sslmod=require", "the parameter sslmod is none of libpq's; did you mean sslmode"),
        ("postgresql://u/p?secret=1@h/d", "none of libpq's"),
    ],
)
@pytest.mark.parametrize("client", [Memory, AsyncMemory])
@pytest.mark.parametrize("setting", ["url", "dsn", "replica_url"])
def test_what_cannot_be_meant_is_refused_without_a_quotation(
    url: str, reason: str, client: type[Memory] | type[AsyncMemory], setting: str
) -> None:
    settings: dict[str, Any] = {setting: url}
    if setting == "replica_url":
        settings["url"] = "postgresql://h/d"
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        client(**settings)
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("replica_url:" if setting == "replica_url" else "url:")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("url", [f"{BASE}?password=secret", "postgresql://u:secret@h/d"])
def test_what_was_read_is_not_shown(url: str) -> None:
    assert "secret" not in repr(read_url(url))
