"""Records made of trusted values are like any others."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from openmem.models import MemoryPage, MemoryRecord, MemorySource, trusted_record

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
    }


@pytest.fixture
def trusted() -> MemoryRecord:
    return trusted_record(fields(), dict(EXTRA))


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
    assert trusted_record(fields(), {}).model_fields_set == names


def test_it_cannot_be_changed(trusted: MemoryRecord) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        trusted.content = "something else"  # type: ignore[misc]
