"""How much a server takes on: requests at a time, and requests a minute for each client."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import RateLimitedError
from .errors import ServerBusyError

MAX_CLIENTS: Final = 10_000


class InFlight:
    """Requests that are being worked on."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.count = 0

    def check(self) -> None:
        """Raise `ServerBusyError` if there is no room for another request."""
        if self.count >= self._limit:
            raise ServerBusyError(f"the server works on {self._limit} requests already; try again in a moment")

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one request for the time of the block."""
        self.check()
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


class RateLimit:
    """A token bucket for each client: `per_minute` requests at once at most, and as many a minute.

    Only the `MAX_CLIENTS` clients seen last are remembered.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._rate = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimitedError: the client has made too many; it says when the next one is possible.
        """
        now = self._clock()
        tokens, at = self._buckets.pop(client, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - at) * self._rate)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimitedError(
                f"more than {self._capacity:g} requests a minute", retry_after=(1 - tokens) / self._rate
            )
