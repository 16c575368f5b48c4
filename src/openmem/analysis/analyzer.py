"""From texts to what the ranking compares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from . import dates
from .characters import normalized
from .sentences import CONTEXT_WEIGHT, Sentence, weighted_sentences
from .speech import is_question, speakers
from .terms import MemoryTerms, QueryWord
from .words import memory_lexemes, query_words

_ANY_DAY: Final = date(2000, 1, 1)
_FEWEST_LETTERS: Final = 3


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
            moment: when it is from. Its day is that at the moment's own offset from UTC, or in the time zone if the
                moment is in UTC.
        """
        day = (moment if moment.utcoffset() else self._local(moment)).date()
        lexemes = {*memory_lexemes(content, self.language), *dates.lexemes_of((day.isoformat(),))}
        for mention in dates.mentions(normalized(content), day):
            if not mention.is_vague:
                lexemes.update(dates.lexemes_of(mention.periods, day))
        return MemoryTerms(frozenset(lexemes), speakers(content), is_question(content))

    def day_of(self, moment: datetime) -> tuple[datetime, datetime]:
        """The first and the last moment of the day, in the time zone, of a moment in UTC."""
        first = self._local(moment).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return first, first + timedelta(days=1) - timedelta.resolution

    def query(self, text: str, now: datetime, timezone: tzinfo | None = None) -> tuple[QueryWord, ...]:
        """The words of a query, each once: those of its text, and then those of the dates in it.

        Args:
            now: when it is asked.
            timezone: in which it names days; None for the analyzer's own.
        """
        today = self.today(now, timezone)
        weights: dict[tuple[str, ...], float] = {}
        for sentence in sentences_of(text, self.language):
            for word in self._words(sentence.text, today):
                weight = word.weight * sentence.weight
                weights[word.alternatives] = max(weight, weights.get(word.alternatives, 0.0))
        return tuple(map(QueryWord, weights, weights.values()))

    def today(self, now: datetime, timezone: tzinfo | None = None) -> date:
        """The day of a moment, in a time zone; None for the analyzer's own."""
        return self._local(now, timezone).date()

    def asked(self, text: str) -> str:
        """The part of a query that is compared by its meaning: its questions, what short ones refer to, and no dates.

        A query that hardly says more than a date keeps it.
        """
        found = sentences_of(text, self.language)
        sentences = [sentence.text for sentence in found if sentence.weight >= CONTEXT_WEIGHT]
        asked = text if len(sentences) == len(found) else " ".join(sentences)
        plain = normalized(asked)
        mentions = [one for one in dates.mentions_of_query(plain, _ANY_DAY) if not one.is_spelled]
        if not mentions:
            return asked
        rest = dates.without(plain, mentions)
        return " ".join(rest.split()) if sum(map(str.isalpha, rest)) >= _FEWEST_LETTERS else asked

    def _words(self, text: str, today: date) -> Sequence[QueryWord]:
        text = normalized(text)
        mentions = dates.mentions_of_query(text, today)
        if not mentions:
            return query_words(text, self.language)
        found: dict[QueryWord, None] = {}
        for mention in mentions:
            words = query_words(text[mention.start : mention.end], self.language) if mention.is_spelled else ()
            spelled = [lexeme for word in words for lexeme in word.alternatives]
            found.update(dict.fromkeys(dates.query_words(mention.periods, today, spelled)))
        named = {name for word in found for name in word.alternatives}
        rest = query_words(dates.without(text, mentions), self.language)
        return (*(word for word in rest if named.isdisjoint(word.alternatives)), *found)

    def _local(self, moment: datetime, timezone: tzinfo | None = None) -> datetime:
        """The moment in the time zone; at the ends of the calendar, which it may leave there, as it is."""
        try:
            return moment.astimezone(timezone or self.timezone)
        except OverflowError:
            return moment


@lru_cache(64)
def sentences_of(text: str, language: str | None) -> list[Sentence]:
    """The sentences of a query, which is embedded and then compared word by word."""
    return weighted_sentences(text, lambda part: sum(word.weight for word in query_words(part, language)))
