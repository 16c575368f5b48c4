"""An embedded PostgreSQL server: its data directory, its processes, and who uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .lease import ServerLease


class LocalServerIO:
    """The `LocalServer` port in both modes.

    Args:
        to_thread: calls a function where it may block.
    """

    def __init__(self, path: str | None, to_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._lease = ServerLease(path)
        self._to_thread = to_thread

    async def start(self) -> str:
        url: str = await self._to_thread(self._lease.acquire)
        return url

    async def release(self) -> None:
        await self._to_thread(self._lease.release)
