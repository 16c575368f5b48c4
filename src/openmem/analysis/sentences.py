"""The sentences of a message, and how much each counts when memories are searched for what the message asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from .requests import is_marked, may_ask, only_asks_for_help, question_beginnings

CONTEXT_WEIGHT: Final = 0.5
"""The weight of a sentence that a short question refers to: what was said just before it."""

OTHER_WEIGHT: Final = 0.1
"""The weight of a sentence that neither asks nor is context, in a message with one that asks."""

SHORT_QUESTION: Final = 3
"""The number of words, without function words, below which a question refers to the sentences before it."""

SHORTEST_QUESTION: Final = 2
"""The number of such words below which a question does not count as one, if there are others: "How are you?"."""

LONG_SENTENCE: Final = 20
"""From how many words on a message without punctuation is looked through for a question."""

_CLOSING: Final = "\"')\\]\u2019\u201d\u300d\u300f\u00bb"
_END: Final = re.compile(
    rf"(?<![.!?;:\u2026])[.!?;:\u2026]+[{_CLOSING}]*(?=\s)"
    rf"|[\u3002\uff01\uff1f\uff1a\uff1b\u0964\u061f\u061b\u06d4\u1362\u104b]+[{_CLOSING}]*"
    r"|\n\s*"
)
_PUNCTUATION: Final = re.compile(r"[.,!?;:](?!\S)")
_ABBREVIATION: Final = re.compile(
    r"(?:^|\W)(?:[^\W\d_]|\d{1,2}|Mr|Mrs|Ms|Dr|Prof|St|Sr|Sra|Hr|Fr|vs|e\.g|i\.e|z\.B"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.\Z"
)
_LONGEST_ABBREVIATION: Final = 6
_VISIBLE: Final = re.compile(r"\S")
_COLONS: Final = (":", "\uff1a")


class Sentence(NamedTuple):
    """A sentence, or a clause before a colon or a semicolon, and the weight of its words."""

    text: str
    weight: float


def weighted_sentences(message: str, size: Callable[[str], float]) -> list[Sentence]:
    """The sentences of a message, in order. What asks has weight 1, as everything has in a message that asks nothing.

    Args:
        size: the number of words of a sentence, without function words.
    """
    texts = sentences(message)
    if len(texts) < 2:
        return _unpunctuated(message, size)
    texts = _with_clauses(texts, size)
    sizes = [size(text) for text in texts]
    asking, added = _asking(texts, sizes)
    if not asking:
        return [Sentence(message, 1.0)]
    weights = [CONTEXT_WEIGHT if n in added else OTHER_WEIGHT for n in range(len(texts))]
    for question in asking:
        weights[question] = 1.0
        words, before = sizes[question], question - 1
        while words < SHORT_QUESTION and before >= 0:
            weights[before] = max(weights[before], CONTEXT_WEIGHT)
            words += sizes[before]
            before -= 1
    return list(map(Sentence, texts, weights))


def _unpunctuated(message: str, size: Callable[[str], float]) -> list[Sentence]:
    """One sentence; of a long one what is before its last question is another: "I met Ana today so what is her job"."""
    if len(message.split()) >= LONG_SENTENCE and not _PUNCTUATION.search(message):
        for begin in reversed(question_beginnings(message)):
            if begin and size(message[begin:]) >= SHORT_QUESTION:
                return [Sentence(message[:begin], OTHER_WEIGHT), Sentence(message[begin:], 1.0)]
    return [Sentence(message, 1.0)]


def sentences(text: str) -> list[str]:
    """The sentences of a text in any script. A line that begins with a small letter goes on with the one before it."""
    return _split(text, at_colons=False)


def _split(text: str, at_colons: bool) -> list[str]:
    begins_small = text.lstrip()[:1].islower()
    parts: list[str] = []
    start = 0
    for end in _END.finditer(text):
        if end[0].startswith(_COLONS) != at_colons:
            continue
        goes_on = _next_character(text, end.end()).islower() and (not begins_small or end[0].isspace())
        abbreviated = _ABBREVIATION.search(text, max(start, end.end() - _LONGEST_ABBREVIATION), end.end())
        if at_colons or not (goes_on or abbreviated):
            parts.append(text[start : end.end()].strip())
            start = end.end()
    return [part for part in (*parts, text[start:].strip()) if part]


def _next_character(text: str, start: int) -> str:
    match = _VISIBLE.search(text, start)
    return match[0] if match else ""


def _with_clauses(texts: list[str], size: Callable[[str], float]) -> list[str]:
    """Sentences divided at colons, where enough is said before the colon: "What I wanted to ask this time: …"."""
    clauses: list[str] = []
    for text in texts:
        clause, words = "", 0.0
        for part in _split(text, at_colons=True):
            clause = f"{clause} {part}" if clause else part
            words += size(part)
            if words >= SHORTEST_QUESTION:
                clauses.append(clause)
                clause, words = "", 0.0
        if clause:
            clauses.append(clause)
    return clauses


def _asking(texts: list[str], sizes: list[float]) -> tuple[list[int], set[int]]:
    """The positions of the sentences that ask, and of those that add to the question before them: "In Porto?"."""
    candidates = [
        n for n, text in enumerate(texts) if sizes[n] and not text.endswith(_COLONS) and not only_asks_for_help(text)
    ]
    asking = [n for n in candidates if is_marked(texts[n])] or [n for n in candidates if may_ask(texts[n])]
    long = [n for n in asking if sizes[n] >= SHORTEST_QUESTION] or asking
    return long, {n for n in set(asking).difference(long) if n - 1 in long}
