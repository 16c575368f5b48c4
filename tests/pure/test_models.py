"""Records made of trusted values are like any others."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from openmem.explanations import ExplainedTerm, Explanation
from openmem.models import (
    AuditEntry,
    Capabilities,
    CapabilityFeatures,
    CapabilityLimits,
    Citation,
    ContextBlock,
    Erased,
    Facet,
    MemoryPage,
    MemoryRecord,
    MemorySource,
    OmittedMemory,
    Purged,
    SearchResult,
    UserPage,
    UserSummary,
    WireModel,
    construct_record,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXTRA = {"x-mem0": {"id": 7}}


def fields() -> dict[str, Any]:
    values = dict.fromkeys(MemoryRecord.model_fields)
    return values | {
        "id": "mem_1",
        "content": "Maya likes tea",
        "user_id": "maya",
        "created_at": NOW,
        "tags": ["taste"],
        "source": MemorySource(app="chat"),
        "status": "stored",
        "indexed": True,
    }


@pytest.fixture
def trusted() -> MemoryRecord:
    return construct_record(fields(), dict(EXTRA))


@pytest.fixture
def checked() -> MemoryRecord:
    return MemoryRecord(**fields(), **EXTRA)


def test_it_is_equal_and_looks_the_same(trusted: MemoryRecord, checked: MemoryRecord) -> None:
    assert trusted == checked
    assert repr(trusted) == repr(checked)
    assert trusted.extensions == EXTRA
    assert trusted.model_fields_set | set(EXTRA) == checked.model_fields_set | set(EXTRA)


def test_it_is_written_the_same(trusted: MemoryRecord, checked: MemoryRecord) -> None:
    assert trusted.to_wire() == checked.to_wire()
    assert list(trusted.to_wire()) == list(checked.to_wire())
    for options in ({}, {"exclude_unset": True}, {"exclude_defaults": True}, {"include": {"id", "x-mem0"}}):
        assert trusted.model_dump_json(**options) == checked.model_dump_json(**options)


def test_it_survives_copies_pickle_and_the_wire(trusted: MemoryRecord) -> None:
    copies = (
        copy.copy(trusted),
        copy.deepcopy(trusted),
        pickle.loads(pickle.dumps(trusted)),
        MemoryRecord.model_validate(trusted.to_wire()),
        MemoryPage(items=[trusted]).items[0],
    )
    assert all(record == trusted for record in copies)


def test_a_changed_copy_leaves_the_other_records_alone(trusted: MemoryRecord) -> None:
    names = set(trusted.model_fields_set)
    changed = trusted.model_copy(update={"content": "Maya likes coffee", "x-new": 1})
    assert (changed.content, trusted.content) == ("Maya likes coffee", "Maya likes tea")
    assert construct_record(fields(), {}).model_fields_set == names


def test_it_cannot_be_changed(trusted: MemoryRecord) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        trusted.content = "something else"  # type: ignore[misc]


def models() -> list[WireModel]:
    """One of each, with fields that it does not know."""
    extra: dict[str, Any] = {"x-none": None, "x-deep": {"list": [1, {"none": None}], "none": None}}
    record = MemoryRecord(**fields() | {"supersedes": ["mem_2"], "source": MemorySource(app="chat", **extra)}, **extra)
    citation = Citation(memory_id="mem_1", score=0.5, **extra)
    omitted = OmittedMemory(memory_id="mem_2", reason="duplicate", **extra)
    user = UserSummary(user_id="maya", count=3, newest=NOW, **extra)
    return [
        record,
        MemorySource(app="chat", **extra),
        MemoryPage(items=[record], **extra),
        SearchResult(memory=record, score=0.5, **extra),
        ExplainedTerm(text="tea", kind="word", weight=1.0, found=1.0, **extra),
        Explanation(score=0.5, words=0.5, **extra),
        citation,
        omitted,
        ContextBlock(text="", citations=[citation], token_count=0, omitted=[omitted], **extra),
        CapabilityFeatures(**extra),
        CapabilityLimits(**extra),
        Capabilities(provider="p", verbs=["add"], features=CapabilityFeatures(**extra), **extra),
        AuditEntry(timestamp=NOW, action="add", **extra),
        Facet(value={"a": [1]}, count=3, newest=NOW, **extra),
        user,
        UserPage(items=[user], **extra),
        Erased(memories=3, audit_entries=4, **extra),
        Purged(memories=3, audit_entries=4, **extra),
    ]


def test_every_model_is_tried() -> None:
    assert {type(model) for model in models()} == set(WireModel.__subclasses__())


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_a_model_is_hashable_and_equal_ones_hash_equal(model: WireModel) -> None:
    same = type(model).model_validate(model.to_wire())
    assert same == model
    assert hash(same) == hash(model)
    assert {model, same, copy.deepcopy(model)} == {model}


def test_a_construct_record_hashes_like_any_other(trusted: MemoryRecord, checked: MemoryRecord) -> None:
    assert {trusted: "found"}[checked] == "found"


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_unknown_fields_without_a_value_travel(model: WireModel) -> None:
    wire = model.to_wire()
    assert wire["x-none"] is None
    assert wire["x-deep"] == {"list": [1, {"none": None}], "none": None}
    unset = {name for name in type(model).model_fields if getattr(model, name) is None}
    assert not unset & set(wire)


@pytest.mark.parametrize("model", WireModel.__subclasses__(), ids=lambda model: model.__name__)
def test_every_field_is_documented(model: type[WireModel]) -> None:
    for name in model.model_fields:
        assert f"    {name}: " in (model.__doc__ or ""), name
