"""Writes that the server gave up because of a deadlock."""

from __future__ import annotations

from typing import Any, cast

import pytest

from openmem.ports import run_blocking
from openmem.ports.errors import DeadlockError
from openmem.ports.postgres import PostgresIO
from openmem.providers.postgres.database import Database


class Cache:
    is_read_only = False


class IO:
    cache = Cache()


def change(deadlocks: int, waits: list[float]) -> str:
    tries = 0

    async def work(io: PostgresIO) -> str:
        nonlocal tries
        tries += 1
        if tries <= deadlocks:
            raise DeadlockError("PostgreSQL: deadlock detected")
        return f"try {tries}"

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    nothing = cast("Any", None)
    database = Database(cast("Any", IO()), nothing, nothing, audits_reads=False, clock=lambda: 0.0, sleep=sleep)
    return run_blocking(database.change(work))


def test_each_further_try_lets_the_other_write_go_first() -> None:
    waits: list[float] = []
    assert change(2, waits) == "try 3"
    first, second = waits
    assert 0 < first < second


def test_a_write_that_always_meets_a_deadlock_says_so() -> None:
    with pytest.raises(DeadlockError):
        change(3, [])
