"""Removing what has expired, again and again while the server runs."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from .._ids import new_request_id
from ..call import Call
from ..client import Client
from ..errors import InvalidRequestError, OMPError, origin
from ..operations import Purge

APP: Final = "omp-server"

logger = logging.getLogger("openmem.purge")


class Purging:
    """A task that purges at the start and then at an interval. Each time is one line in the log.

    Args:
        client: of the backend.
        every: seconds from the end of one time to the next.

    Raises:
        InvalidRequestError: the backend cannot purge.
    """

    def __init__(self, client: Client, every: float) -> None:
        if Purge.verb not in client.provider.verbs:
            raise InvalidRequestError(f"purge_every: provider {client.provider.name!r} has no 'purge'; leave it out")
        self._client = client
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. To be called on the server's loop."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_log_end)

    async def close(self) -> None:
        """End, also in the middle of purging: what has not been removed is removed another time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._purge()
            await asyncio.sleep(self._every)

    async def _purge(self) -> None:
        call = Call(new_request_id(), app=APP)
        started = time.perf_counter()
        try:
            purged = await self._client.run(Purge(), call)
        except OMPError as error:
            logger.warning("purge failed: code=%s request_id=%s: %s", error.code, call.request_id, error.message)
            return
        logger.info(
            "purged memories=%d audit_entries=%d ms=%.1f request_id=%s",
            purged.memories,
            purged.audit_entries,
            (time.perf_counter() - started) * 1000,
            call.request_id,
        )


def _log_end(task: asyncio.Task[None]) -> None:
    """Tell of an end that nobody asked for."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("purging has ended: %s", origin(error))
