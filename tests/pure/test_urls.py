"""URLs of PostgreSQL servers."""

from __future__ import annotations

import pytest

from openmem import InvalidRequestError, Memory
from openmem.providers.postgres.urls import split_pooler

BASE = "postgresql://u:p%3Fw@h:6432,i/d"


@pytest.mark.parametrize(
    ("query", "rest", "pooled"),
    [
        ("", "", False),
        ("?sslmode=require&application_name=a%26b", "?sslmode=require&application_name=a%26b", False),
        ("?pgbouncer=true", "", True),
        ("?pgbouncer=false", "", False),
        ("?sslmode=require&pgbouncer=true&application_name=a%26b", "?sslmode=require&application_name=a%26b", True),
    ],
)
def test_the_pooler_is_split_off(query: str, rest: str, pooled: bool) -> None:
    assert split_pooler(BASE + query) == (BASE + rest, pooled)


@pytest.mark.parametrize("value", ["", "yes", "True", "1"])
def test_what_is_no_answer_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError, match="pgbouncer is true or false"):
        Memory(url=f"{BASE}?pgbouncer={value}")
