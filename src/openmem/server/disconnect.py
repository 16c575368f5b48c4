"""Work that ends when the client that wanted it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from .errors import ClientDisconnectedError

R = TypeVar("R")


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, R]) -> R:
    """The result of `work`, which is cancelled if the client disconnects.

    Both tasks have ended when this returns or raises.

    Raises:
        ClientDisconnectedError: the client disconnected first.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await _end(working)
            raise ClientDisconnectedError
        return working.result()
    finally:
        await _end(working, watching)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait for them. What they raise, nobody wants to know any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
