"""Removing what has expired, now and every few minutes."""

from __future__ import annotations

import logging
import threading

from langgraph.store.base import TTLConfig

from ...errors import InvalidRequestError, ProviderError, RateLimitedError
from ...operations import Purge
from ..clients import Runner

DEFAULT_MINUTES = 5.0

logger = logging.getLogger("openmem")


class Sweeping:
    """The part of the store that removes expired items. They are not shown before, either.

    A sweep removes everything in the database that has expired, and needs a client without grants.
    """

    def __init__(self, runner: Runner, ttl: TTLConfig | None) -> None:
        self._sweeps = runner
        self._minutes = (ttl or {}).get("sweep_interval_minutes")
        self._sweeper: threading.Thread | None = None
        self._stop = threading.Event()

    def sweep_ttl(self) -> int:
        """Remove what has expired, and return how many memories that were.

        Raises:
            ScopeDeniedError: the client has grants.
            OMPError: the sweep failed.
        """
        return self._sweeps.run(Purge()).memories

    async def asweep_ttl(self) -> int:
        """`sweep_ttl` as a coroutine."""
        return (await self._sweeps.arun(Purge())).memories

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:
        """Sweep every few minutes in a thread, until `stop_ttl_sweeper` or `close`. Does nothing if it does so already.

        Args:
            sweep_interval_minutes: by default that of the store's `ttl`, else 5.

        Raises:
            InvalidRequestError: it is no positive number.
        """
        minutes = sweep_interval_minutes or self._minutes or DEFAULT_MINUTES
        if not 0 < minutes < float("inf"):
            raise InvalidRequestError(f"sweep_interval_minutes: {minutes!r} is not a positive number of minutes")
        if self._sweeper is not None and self._sweeper.is_alive():
            return
        self._stop.clear()
        self._sweeper = threading.Thread(target=self._sweep, args=(minutes * 60,), name="openmem-sweeper", daemon=True)
        self._sweeper.start()

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop sweeping, and wait for a sweep that is under way.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether the thread has ended.
        """
        self._stop.set()
        if self._sweeper is None:
            return True
        self._sweeper.join(timeout)
        return not self._sweeper.is_alive()

    def _sweep(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            try:
                self.sweep_ttl()
            except (ProviderError, RateLimitedError) as error:
                logger.warning(
                    "a sweep failed, and is made again later: code=%s request_id=%s", error.code, error.request_id
                )
