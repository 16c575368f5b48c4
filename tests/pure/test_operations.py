"""The verbs as values: what they accept, what they refuse, and the words they refuse it with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from openmem.errors import InvalidRequestError
from openmem.models import MemorySource
from openmem.operations import (
    VERBS,
    Add,
    List,
    Operation,
    Search,
    Update,
    WaitForIngest,
    add_many_of,
    read_records,
    restore_of,
)
from openmem.testing import cases

BY_NAME: dict[str, type[Operation]] = {verb.verb: verb for verb in VERBS}
FIELDS = {"content": "c", "user_id": "u"}


def make(verb: str, arguments: dict[str, Any]) -> Operation:
    if verb in ("add_many", "restore"):
        records = read_records(arguments["records"])
        return add_many_of(records, None) if verb == "add_many" else restore_of(records, None)
    known = BY_NAME[verb].model_fields
    extensions = {name: value for name, value in arguments.items() if name not in known}
    fields = {name: value for name, value in arguments.items() if name in known}
    return BY_NAME[verb](**fields, **({"extensions": extensions} if extensions else {}))


@pytest.mark.parametrize("verb", cases.VALID)
def test_valid_calls(verb: str) -> None:
    operation = make(verb, cases.VALID[verb])
    with pytest.raises(ValueError, match="frozen"):
        operation.user_id = "v"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("verb", "field", "arguments"),
    list(cases.refused_calls()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_calls(verb: str, field: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        make(verb, arguments)
    message = refusal.value.message
    assert message.partition(":")[0].partition(".")[0].partition("[")[0] in (field, "extensions")
    assert field in message
    assert "pydantic" not in message
    assert "\n" not in message
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("verb", cases.VALID)
def test_required_and_unknown_fields(verb: str) -> None:
    if any(field.is_required() for field in BY_NAME[verb].model_fields.values()):
        with pytest.raises(InvalidRequestError, match="is required"):
            BY_NAME[verb]()
    with pytest.raises(InvalidRequestError, match="nonsense: is not a field of this verb"):
        BY_NAME[verb](**cases.VALID[verb], nonsense=1)


@pytest.mark.parametrize(("wrong", "meant"), [("tag", "tags"), ("superseded", "supersedes"), ("validto", "valid_to")])
def test_a_misspelled_field_is_told_what_it_may_mean(wrong: str, meant: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"did you mean '{meant}'"):
        Add(content="tea", user_id="u", extensions={wrong: {}})


@pytest.mark.parametrize("field", ["user_id", "scope"])
def test_names_are_bounded(field: str) -> None:
    assert List(**{"user_id": "u", field: "x" * 512})
    with pytest.raises(InvalidRequestError, match=f"{field}:.*512"):
        List(**{"user_id": "u", field: "x" * 513})


def test_tags_are_bounded() -> None:
    assert Add(**FIELDS, tags=["t"] * 128)
    with pytest.raises(InvalidRequestError, match=r"tags:.*128"):
        Add(**FIELDS, tags=["t"] * 129)


@pytest.mark.parametrize(("verb", "field", "low", "high"), [(List, "limit", 1, 500), (Search, "limit", 1, 100)])
def test_limits_include_their_ends(verb: type[Operation], field: str, low: int, high: int) -> None:
    base = {"user_id": "u"} | ({"query": "q"} if verb is Search else {})
    assert [getattr(verb(**base, **{field: end}), field) for end in (low, high)] == [low, high]


def test_whole_numbers_serve_as_fractions() -> None:
    assert Add(**FIELDS, confidence=1).confidence == 1.0
    assert WaitForIngest(ids=[], user_id="u", timeout=5).timeout == 5.0


def test_sequences_are_taken_as_they_are() -> None:
    assert Add(**FIELDS, tags=("a", "b")).tags == ("a", "b")
    with pytest.raises(InvalidRequestError, match="tags"):
        Add(**FIELDS, tags={"a", "b"})


def test_enumerations_of_strings_are_strings() -> None:
    class Scope(StrEnum):
        CODING = "coding"

    assert Add(**FIELDS, scope=Scope.CODING).scope == "coding"


def test_sources() -> None:
    assert Add(**FIELDS, source={"app": "a", "extra": [1]}).source == MemorySource(app="a", extra=[1])
    assert Add(**FIELDS, source=MemorySource(ref="r")).source == MemorySource(ref="r")
    with pytest.raises(InvalidRequestError, match="source"):
        Add(**FIELDS, source=MemorySource(app="a\0"))


def test_extensions_are_copied() -> None:
    inner = [1, (2, 3)]
    operation = Add(**FIELDS, extensions={"x-a": inner})
    inner.append(4)
    assert operation.extensions == {"x-a": [1, [2, 3]]}


def test_deep_extensions_are_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidRequestError, match="nested deeper"):
        Add(**FIELDS, extensions={"x-a": value})


def test_validity_may_be_empty_but_not_negative() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert Add(**FIELDS, valid_from=moment, valid_to=moment).valid_to == moment


def test_changes_are_what_was_given() -> None:
    assert Update(id="m", scope=None, tags=[]).changes == {"scope", "tags"}


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        (Add, {"content": ["hazelnuts"]}),
        (Add, {"content": b"hazelnuts"}),
        (Add, {"metadata": {"allergies": {"hazelnuts"}}}),
        (Add, {"metadata": "hazelnuts"}),
        (Search, {"query": ["hazelnuts"]}),
        (Search, {"query": {"text": "hazelnuts"}}),
    ],
)
def test_no_text_of_a_wrong_type_is_in_a_message(verb: Any, arguments: dict[str, Any]) -> None:
    text = {"query": "tea"} if verb is Search else {"content": "tea"}
    with pytest.raises(InvalidRequestError) as refusal:
        verb(**{**text, "user_id": "maya", **arguments})
    assert "hazelnuts" not in refusal.value.message
    assert "type" in refusal.value.message


@pytest.mark.parametrize("read", [add_many_of, restore_of])
def test_no_text_in_place_of_a_record_is_in_a_message(read: Callable[[list[object], None], object]) -> None:
    with pytest.raises(InvalidRequestError, match=r"^records\[0\]: is of type str; ") as refusal:
        read(["allergic to hazelnuts"], None)
    assert "hazelnuts" not in refusal.value.message


def test_long_values_are_shortened_in_messages() -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        List(user_id="u", limit="9" * 10_000)
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        (Search, {"user_id": None}, "user_id: None is not a string"),
        (Search, {"limit": 101}, "limit: 101 is more than 100, the most that is allowed"),
        (Search, {"limit": 0}, "limit: 0 is less than 1, the least that is allowed"),
        (Search, {"limit": "5"}, "limit: '5' is not a whole number"),
        (Search, {"user_id": "m" * 513}, "user_id: has 513 characters, more than 512"),
        (Add, {"tags": ["a"] * 129}, "tags: has 129 items, more than 128"),
        (Add, {"confidence": "high"}, "confidence: 'high' is not a number"),
        (
            Add,
            {"source": {"type": "guess"}},
            "source.type: 'guess' is not one of 'extracted', 'explicit' or 'imported'",
        ),
    ],
)
def test_messages_say_what_is_wrong_with_the_value(verb: Any, arguments: dict[str, Any], message: str) -> None:
    text = {"query": "tea"} if verb is Search else {"content": "tea"}
    with pytest.raises(InvalidRequestError) as error:
        verb(**{**text, "user_id": "maya", **arguments})
    assert error.value.message == message
