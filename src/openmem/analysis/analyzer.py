"""From texts to what the ranking compares."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from . import words
from .dates import lexemes_of_date
from .terms import MemoryTerms, QueryWord


class Analyzer:
    """Reads memories and queries.

    Args:
        language: of all texts, as a code such as ``de``; None if each text's own words decide.
        timezone: in which the day of a memory is meant, and of a query that names one.
    """

    def __init__(self, language: str | None = None, timezone: tzinfo = UTC) -> None:
        self.language = language
        self.timezone = timezone

    def memory(self, content: str, moment: datetime) -> MemoryTerms:
        """What the ranking reads of a memory.

        Args:
            moment: when it is from.
        """
        speaker = words.speaker(content)
        return MemoryTerms(
            frozenset(words.lexemes(content)).union(lexemes_of_date(self._local(moment))),
            frozenset() if speaker is None else frozenset({speaker}),
            words.is_question(content),
        )

    def query(self, text: str, now: datetime) -> tuple[QueryWord, ...]:
        """The words of a query, each once, in order of appearance.

        Args:
            now: when it is asked.
        """
        return tuple(QueryWord((lexeme,)) for lexeme in words.lexemes(text))

    def _local(self, moment: datetime) -> datetime:
        """The moment in the time zone; at the ends of the calendar, which it may leave there, as it is."""
        try:
            return moment.astimezone(self.timezone)
        except OverflowError:
            return moment
