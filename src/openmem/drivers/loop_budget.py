"""Work that is too short for a thread, shared out so that many pieces of it do not hold up the event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque

BUDGET_SECONDS = 0.002


class LoopBudget:
    """A queue for pieces of work that run on the loop.

    In one iteration of the loop pieces may begin for `BUDGET_SECONDS`. Those that come later wait, first come, first
    served: in each of the next iterations go on as many as the budget is enough for, by how long the last ones took. So
    everything else on the loop runs in between.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Of this iteration: when the first piece began, and how many have begun.
        self._begun = 0.0
        self._pieces = 0
        # How many were woken in the last iteration, to begin in this one.
        self._woken = 0
        self._seconds_per_piece = BUDGET_SECONDS

    async def acquire(self) -> None:
        """Wait until a piece of work may begin; it must follow at once."""
        is_late = self._pieces > 0 and time.perf_counter() - self._begun >= BUDGET_SECONDS
        if is_late or self._waiting or self._woken:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        if not self._pieces:
            self._begun = time.perf_counter()
            if not self._woken:
                asyncio.get_running_loop().call_soon(self._begin_iteration)
        self._pieces += 1

    def _begin_iteration(self) -> None:
        """Wake those whose turn it will be in the next iteration."""
        if self._pieces:
            self._seconds_per_piece = (time.perf_counter() - self._begun) / self._pieces
        self._pieces = self._woken = 0
        most = max(1.0, BUDGET_SECONDS / self._seconds_per_piece)
        while self._waiting and self._woken + 1 <= most:
            turn = self._waiting.popleft()
            if not turn.done():
                if not self._woken:
                    # Ahead of what is woken, so that it runs first.
                    asyncio.get_running_loop().call_soon(self._begin_iteration)
                turn.set_result(None)
                self._woken += 1
