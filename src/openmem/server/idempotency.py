"""Idempotency keys for backends that cannot remember them: in this process, for a day."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from ..models import MemoryRecord
from ..operations import Add
from ..providers.idempotency import key_reused

LIFETIME_SECONDS: Final = 24 * 3600.0
MAX_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """An add that was begun under some key."""

    fingerprint: str
    task: asyncio.Task[MemoryRecord]
    at: float


class IdempotencyStore:
    """The adds of the last day that had a key.

    An add that was begun goes on when its client disconnects, since the backend may have stored the
    memory already; a client that comes back gets the result. One that failed is forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._adds: OrderedDict[tuple[str, str], Remembered] = OrderedDict()

    async def once(self, op: Add, key: str, add: Callable[[], Coroutine[Any, Any, MemoryRecord]]) -> MemoryRecord:
        """The result of `add`, or of the add that came before it with this key.

        Raises:
            InvalidRequestError: the key was used for another memory.
        """
        self._expire()
        slot = (op.user_id, key)
        fingerprint = op.fingerprint
        found = self._adds.get(slot)
        if found is None:
            if len(self._adds) >= MAX_KEYS:
                self._adds.popitem(last=False)
            found = self._adds[slot] = Remembered(fingerprint, asyncio.create_task(add()), self._clock())
            found.task.add_done_callback(lambda task: self._forget_failed(slot, task))
        elif found.fingerprint != fingerprint:
            raise key_reused()
        return await asyncio.shield(found.task)

    async def close(self) -> None:
        """Wait for the adds that are under way."""
        await asyncio.gather(*(remembered.task for remembered in self._adds.values()), return_exceptions=True)

    def _expire(self) -> None:
        oldest = self._clock() - LIFETIME_SECONDS
        while self._adds and next(iter(self._adds.values())).at < oldest:
            self._adds.popitem(last=False)

    def _forget_failed(self, slot: tuple[str, str], task: asyncio.Task[MemoryRecord]) -> None:
        if (task.cancelled() or task.exception() is not None) and slot in self._adds:
            del self._adds[slot]
