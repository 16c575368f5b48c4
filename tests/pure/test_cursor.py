"""List cursors: they round-trip, and whatever is not one is refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from openmem._cursor import encode_cursor
from openmem.access import UNRESTRICTED
from openmem.errors import InvalidRequestError
from openmem.operations import List
from openmem.selection import Position

LIST = List(user_id="u", scope="a/*", tag="t", since=datetime(2024, 1, 1))
POSITION = Position(datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC), "mem_1")


JSON_VALUES: tuple[object, ...] = (None, 5, {}, [], [1, 2], "abc")


def at(cursor: str, **changes: Any) -> List:
    fields = {"user_id": "u", "scope": "a/*", "tag": "t", "since": datetime(2024, 1, 1), "limit": 7}
    return List(**fields | changes, cursor=cursor)


def position(op: List) -> Position | None:
    return op.selection(UNRESTRICTED).behind


def forged(*payload: object) -> str:
    fingerprint = json.loads(base64.urlsafe_b64decode(encode_cursor(LIST.fingerprint, POSITION) + "=="))[0]
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *payload]).encode()).decode().rstrip("=")


def test_no_cursor_is_the_first_page() -> None:
    assert position(LIST) is None


def test_round_trip_with_another_limit() -> None:
    assert position(at(encode_cursor(LIST.fingerprint, POSITION))) == POSITION


def test_forging_is_what_encoding_does() -> None:
    assert position(at(forged("2024-05-06T07:08:09.000010+00:00", "mem_1"))) == POSITION


def test_a_moment_with_an_offset() -> None:
    moment = datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=3)))
    assert position(at(encode_cursor(LIST.fingerprint, Position(moment, "m")))) == Position(moment, "m")


@pytest.mark.parametrize(
    "change",
    [{"user_id": "v"}, {"scope": None}, {"tag": "s"}, {"since": None}, {"until": datetime(2025, 1, 1)}],
    ids=str,
)
def test_a_foreign_cursor(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="cursor: it belongs"):
        position(at(encode_cursor(LIST.fingerprint, POSITION), **change))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "?",
        "a",
        "\0",
        "\ud800",
        "é",
        "A" * 100_000,
        base64.urlsafe_b64encode(b"[" * 50_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        *(base64.urlsafe_b64encode(json.dumps(value).encode()).decode() for value in JSON_VALUES),
        forged("2024-05-06", 5),
        forged(5, "m"),
        forged("never", "m"),
        forged("2024-05-06", "a\0"),
        forged("2024-05-06", "\ud800"),
        forged("0001-01-01T00:00:00+14:00", "m"),
        forged("9999-12-31T23:59:59-14:00", "m"),
        forged("2024-05-06", "m", "more"),
    ],
    ids=lambda cursor: ascii(cursor[:20]),
)
def test_a_malformed_cursor(cursor: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^cursor: (this is not a cursor of this verb|has a (NUL|lone))"):
        position(at(cursor))
