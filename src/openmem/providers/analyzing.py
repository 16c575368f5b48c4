"""How providers that rank by words analyse texts: where it may take the processor's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from .._time_zones import time_zone
from ..analysis import MemoryTerms, QueryWord, SpelledWord
from ..config import ClientConfig
from ..ports import Ports
from ..ranking.queries import compared_text, compared_words

if TYPE_CHECKING:
    from ..analysis.analyzer import Analyzer

R = TypeVar("R")

QUICK_CHARACTERS: Final = 512
"""Texts of more characters are analysed in a thread, and others in the calling one, which takes less time."""


class Analysis:
    """Analyses texts with the settings of a client."""

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        self._config = config
        self._ports = ports
        self.analyzer: Analyzer

    async def load(self) -> None:
        """Import what it takes. It comes first."""
        module = await self._ports.import_module("openmem.analysis.analyzer")
        self.analyzer = module.Analyzer(self._config.language, self._config.timezone)

    def day_of(self, moment: datetime) -> tuple[datetime, datetime]:
        """The first and the last moment that a memory may be from to have the same words as one from `moment`."""
        return self.analyzer.day_of(moment)

    async def memory(
        self, content: str, moment: datetime, of: Callable[[MemoryTerms], R], *, has_turn: bool = False
    ) -> R:
        """What is made of the terms of a memory.

        Args:
            moment: when it is from.
            of: makes it.
            has_turn: as in `run`.
        """
        return await self.run([content], lambda: of(self.analyzer.memory(content, moment)), has_turn=has_turn)

    async def memories(self, contents: Sequence[str], moments: Sequence[datetime]) -> list[MemoryTerms]:
        """What the ranking reads of memories.

        Args:
            moments: when each is from.
        """
        return await self.run(
            contents, lambda: [self.analyzer.memory(*memory) for memory in zip(contents, moments, strict=True)]
        )

    async def query(self, text: str, timezone: str | None, *, has_turn: bool = False) -> tuple[QueryWord, ...]:
        """The words of a query that is asked now.

        Args:
            timezone: in which it names days; None for the client's own.
            has_turn: as in `run`.
        """
        now, compared = self._ports.now(), compared_text(text)
        zone = None if timezone is None else time_zone(timezone)
        return await self.run(
            [compared], lambda: compared_words(self.analyzer.query(compared, now, zone)), has_turn=has_turn
        )

    async def spelled(self, text: str, words: Sequence[QueryWord], timezone: str | None) -> tuple[SpelledWord, ...]:
        """How a query that is asked now spells each of its words.

        Args:
            words: what `query` found in it.
            timezone: as in `query`.
        """
        module = await self._ports.import_module("openmem.analysis.spelling")
        now, compared = self._ports.now(), compared_text(text)
        zone = None if timezone is None else time_zone(timezone)
        return await self.run([compared], lambda: module.spelled(self.analyzer, compared, words, now, zone))

    async def asked(self, text: str) -> str:
        """The part of a query to embed: all of it, but for sentences of a message around the one that asks.

        A short query does not wait for its turn, so that those that are asked at once are embedded together.
        """
        compared = compared_text(text)
        if len(compared) <= QUICK_CHARACTERS:
            asked = self.analyzer.asked(compared)
        else:
            asked = await self.run([compared], lambda: self.analyzer.asked(compared))
        return text if asked == compared else asked

    async def run(self, texts: Sequence[str], function: Callable[[], R], *, has_turn: bool = False) -> R:
        """The result of a function that goes through the words of texts.

        Args:
            has_turn: whether the caller has taken its turn.
        """
        if sum(map(len, texts)) > QUICK_CHARACTERS:
            return await self._ports.run_cpu(function)
        if not has_turn:
            await self._ports.take_turn()
        return function()
