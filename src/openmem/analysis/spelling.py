"""How a query spells its words: for people, who do not read stems."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, tzinfo
from functools import lru_cache

from . import dates
from .analyzer import Analyzer, sentences_of
from .characters import normalized
from .terms import QueryWord, SpelledWord
from .tokens import token_of, token_texts
from .words import query_words


def spelled(
    analyzer: Analyzer, text: str, words: Iterable[QueryWord], now: datetime, timezone: tzinfo | None = None
) -> tuple[SpelledWord, ...]:
    """How a query spells each of its words: the part of its text that has most of the word's alternatives.

    Args:
        words: what `Analyzer.query` found in it.
        now, timezone: as that was given.
    """
    return _spelled(text, tuple(word.alternatives for word in words), analyzer.language, analyzer.today(now, timezone))


@lru_cache(64)
def _spelled(text: str, words: Sequence[tuple[str, ...]], language: str | None, today: date) -> tuple[SpelledWord, ...]:
    parts: list[SpelledWord] = []
    having: defaultdict[str, list[int]] = defaultdict(list)
    for part, lexemes in _parts(text, language, today):
        for lexeme in lexemes:
            having[lexeme].append(len(parts))
        parts.append(part)
    found = []
    for alternatives in words:
        shared = Counter(number for lexeme in alternatives for number in having.get(lexeme, ()))
        best = min(shared, key=lambda number: (-shared[number], number), default=None)
        found.append(SpelledWord(alternatives[0], "word") if best is None else parts[best])
    return tuple(found)


def _parts(text: str, language: str | None, today: date) -> Iterator[tuple[SpelledWord, set[str]]]:
    """The dates and the tokens of a query, and what a memory may have of each."""
    for sentence in sentences_of(text, language):
        plain = normalized(sentence.text)
        mentions = dates.mentions_of_query(plain, today)
        for mention in mentions:
            names = [word.alternatives for word in dates.query_words(mention.periods, today)]
            if mention.is_spelled:
                names += [word.alternatives for word in query_words(plain[mention.start : mention.end], language)]
            yield SpelledWord(plain[mention.start : mention.end].strip(), "date"), set().union(*names)
        for written in token_texts(dates.without(plain, mentions)):
            names = [word.alternatives for word in query_words(written, language)]
            yield SpelledWord(written, "word"), {*token_of(written).english, *(one for name in names for one in name)}
