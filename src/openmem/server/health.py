"""Whether the backend behind the server answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ..errors import OMPError

PING_TIMEOUT_SECONDS: Final = 2.0

logger = logging.getLogger("openmem.server")


class Health:
    """Asks the backend, once at a time however many want to know.

    A backend whose connections are all busy is well as long as it finishes what they do.

    Args:
        ping: raises `OMPError` unless the backend answers.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self._asking: asyncio.Task[bool] | None = None
        self._answers = 0

    def saw_answer(self) -> None:
        """Take note that the backend has answered a verb."""
        self._answers += 1

    async def is_ready(self) -> bool:
        """Whether the backend answers within `PING_TIMEOUT_SECONDS` seconds."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> bool:
        answers = self._answers
        try:
            async with asyncio.timeout(PING_TIMEOUT_SECONDS):
                await self._ping()
        except TimeoutError:
            return self._answers > answers
        except OMPError as error:
            logger.warning("health: %s", error.message)
            return False
        return True
