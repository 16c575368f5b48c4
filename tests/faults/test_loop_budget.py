"""Pieces of work that share out the turns of the loop."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from openmem.drivers import loop_budget
from openmem.drivers.loop_budget import BUDGET_SECONDS, LoopBudget

PIECE = BUDGET_SECONDS / 4
PIECES = 60


class Clock:
    """Counts the turns of the running loop."""

    def __init__(self) -> None:
        self.turn = 0
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self.turn += 1
        self._next = self._loop.call_soon(self._tick)

    def stop(self) -> None:
        self._next.cancel()


def work() -> None:
    end = time.perf_counter() + PIECE
    while time.perf_counter() < end:
        pass


def test_a_turn_takes_few_pieces_and_they_keep_their_order() -> None:
    async def main() -> None:
        budget, clock = LoopBudget(), Clock()
        begun: list[tuple[int, int]] = []

        async def piece(number: int) -> None:
            await budget.acquire()
            begun.append((clock.turn, number))
            work()

        await asyncio.gather(*(piece(number) for number in range(PIECES)))
        clock.stop()
        assert [number for _, number in begun] == list(range(PIECES))
        assert max(Counter(turn for turn, _ in begun).values()) <= BUDGET_SECONDS / PIECE + 1

    asyncio.run(main())


def test_late_pieces_go_on_several_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 0.0
    monkeypatch.setattr(loop_budget, "time", SimpleNamespace(perf_counter=lambda: moment))

    async def main() -> None:
        budget, clock = LoopBudget(), Clock()
        begun: Counter[int] = Counter()

        async def piece() -> None:
            nonlocal moment
            await budget.acquire()
            begun[clock.turn] += 1
            moment += PIECE

        await asyncio.gather(*(piece() for _ in range(PIECES)))
        clock.stop()
        assert max(begun.values()) <= BUDGET_SECONDS / PIECE
        assert clock.turn < PIECES / 2

    asyncio.run(main())


def test_short_work_does_not_wait() -> None:
    async def main() -> None:
        budget, clock = LoopBudget(), Clock()
        await budget.acquire()
        assert clock.turn == 0
        clock.stop()

    asyncio.run(main())


def test_who_gives_up_waiting_leaves_the_others_their_turn() -> None:
    async def main() -> None:
        budget = LoopBudget()

        async def piece() -> None:
            await budget.acquire()
            work()

        pieces = [asyncio.create_task(piece()) for _ in range(PIECES)]
        await asyncio.sleep(0)
        for late in pieces[-1::-2]:
            late.cancel()
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*pieces, return_exceptions=True)
        assert sum(outcome is None for outcome in outcomes) >= PIECES // 2
        assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)

    asyncio.run(main())
