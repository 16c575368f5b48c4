"""Work that is too short for a thread, shared out so that many pieces of it do not hold up the event loop."""

from __future__ import annotations

import asyncio
import time

BUDGET_SECONDS = 0.002


class LoopBudget:
    """A queue for pieces of work that run on the loop.

    In one iteration of the loop pieces may begin for `BUDGET_SECONDS`. Those that come later go on one per iteration,
    first come, first served, so that everything else on the loop runs in between.
    """

    def __init__(self) -> None:
        self._end: float | None = None
        self._late = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until a piece of work may begin; it must follow at once."""
        if self._late.locked() or not self._has_time():
            async with self._late:
                await asyncio.sleep(0)

    def _has_time(self) -> bool:
        now = time.perf_counter()
        if self._end is None:
            self._end = now + BUDGET_SECONDS
            asyncio.get_running_loop().call_soon(self._begin_iteration)
        return now < self._end

    def _begin_iteration(self) -> None:
        self._end = None
