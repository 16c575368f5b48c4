"""Texts that several tasks want embedded at the same time go to the embedder together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ..errors import OMPError, RateLimitedError, UnauthorizedError, copied
from ..ports.models import Vectors

Wanted: TypeAlias = list[tuple[str, asyncio.Future[Sequence[float]]]]


class EmbedBatcher:
    """The calls of an embedder that many tasks share.

    A text goes out with those that came in the same turn of the loop. While `most_calls` calls run,
    texts are gathered, and go out together when one of them ends. When a call fails for a reason
    that may lie in one of its texts, its halves are tried again, down to the text that fails alone.

    Args:
        embed: embeds some texts; raises `OMPError`.
        most_texts: texts in a call at most.
        most_calls: calls at a time at most.
    """

    def __init__(
        self, embed: Callable[[Sequence[str]], Awaitable[Vectors]], *, most_texts: int, most_calls: int
    ) -> None:
        self._embed = embed
        self._most_texts = most_texts
        self._most_calls = most_calls
        self._waiting: deque[tuple[str, asyncio.Future[Sequence[float]]]] = deque()
        self._failed: deque[Wanted] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._is_due = False

    async def embed(self, text: str) -> Sequence[float]:
        """The vector of a text. A caller that is cancelled leaves the others of its call alone."""
        loop = asyncio.get_running_loop()
        vector: asyncio.Future[Sequence[float]] = loop.create_future()
        self._waiting.append((text, vector))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._flush)
        return await vector

    def _flush(self) -> None:
        self._is_due = False
        while (self._failed or self._waiting) and len(self._calls) < self._most_calls:
            wanted = [(text, vector) for text, vector in self._next() if not vector.done()]
            if wanted:
                self._start(wanted)

    def _next(self) -> Wanted:
        if self._failed:
            return self._failed.popleft()
        return [self._waiting.popleft() for _ in range(min(self._most_texts, len(self._waiting)))]

    def _start(self, wanted: Wanted) -> None:
        call = asyncio.get_running_loop().create_task(self._perform(wanted))
        self._calls.add(call)
        call.add_done_callback(self._ended)
        left = len(wanted)

        def cancel_unless_wanted(_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                call.cancel()

        for _, vector in wanted:
            vector.add_done_callback(cancel_unless_wanted)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._flush()

    async def _perform(self, wanted: Wanted) -> None:
        try:
            answers = await self._embed([text for text, _ in wanted])
        except OMPError as error:
            if len(wanted) > 1 and _may_be_a_texts_fault(error):
                middle = len(wanted) // 2
                self._failed += wanted[:middle], wanted[middle:]
                return
            for _, vector in wanted:
                if not vector.done():
                    vector.set_exception(copied(error))
        except BaseException:
            for _, vector in wanted:
                vector.cancel()
            raise
        else:
            for (_, vector), answer in zip(wanted, answers, strict=True):
                if not vector.done():
                    vector.set_result(answer)


def _may_be_a_texts_fault(error: OMPError) -> bool:
    """Whether the other texts of the call may fare better without one of them."""
    return not isinstance(error, RateLimitedError | UnauthorizedError) and error.code != "provider_unavailable"
