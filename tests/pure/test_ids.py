"""Ids of memories."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem._ids import bucket_in, bucket_of, new_memory_id


@given(st.text())
def test_an_id_tells_the_bucket_of_its_user(user: str) -> None:
    id = new_memory_id(user)
    assert len(id) == 22
    assert bucket_in(id) == bucket_of(user) in range(1024)


def test_a_bucket_never_changes() -> None:
    assert [bucket_of(user) for user in ("", "maya", "Zoë", "猫")] == [910, 677, 794, 672]


def test_buckets_are_filled_evenly() -> None:
    counts = [0] * 1024
    for number in range(102_400):
        counts[bucket_of(f"user-{number}")] += 1
    assert min(counts) > 50
    assert max(counts) < 150


def test_a_later_id_is_greater() -> None:
    ids = [new_memory_id("maya") for _ in range(10_000)]
    assert ids == sorted(ids)


def test_a_later_id_is_greater_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = new_memory_id("maya")
    hour_ago = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: hour_ago)
    assert earlier < new_memory_id("maya") < new_memory_id("maya")


def test_ids_of_one_moment_differ() -> None:
    assert len({new_memory_id("maya") for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    "id", ["", "mem_", "mem_1", "memory-1", "mem_" + "u" * 18, "mem_" + "0" * 19, " mem_" + "0" * 18]
)
def test_what_is_no_id_has_no_bucket(id: str) -> None:
    assert bucket_in(id) is None
