"""Memories that are added at once are in the order of the calls, whichever is stored first."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

from openmem._ids import new_memory_id
from openmem.analysis import MemoryTerms
from openmem.models import MemoryRecord
from openmem.providers.memory.store import MemoryStore

NOW = datetime(2024, 1, 1, tzinfo=UTC)
TERMS = MemoryTerms(frozenset(), frozenset(), False)


def test_sequence_numbers_are_in_the_order_of_the_calls() -> None:
    for order in permutations(range(4)):
        store = MemoryStore()
        records = [
            MemoryRecord(id=new_memory_id("maya"), content=f"turn {number}", user_id="maya", created_at=NOW)
            for number in range(4)
        ]
        for place in order:
            store.add(records[place], NOW, TERMS, ())
        stored = store.of_user("maya", [record.id for record in records])
        assert [stored[record.id].sequence_no for record in records] == [1, 2, 3, 4]
