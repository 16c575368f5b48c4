"""The part of a long text that answers a query, cut where sentences or words end. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Final

MARK: Final = "\u2026"
SHORTEST_EXCERPT_CHARACTERS: Final = 16

_PREFIX: Final = 4
_LONGEST_WORD: Final = 40
_LONGEST_CHARACTER: Final = 40
_LENGTHS: Final = (40, 80, 160, 320)
_CHARACTERS_PER_WEIGHT: Final = 1_000
_QUERY_CHARACTERS: Final = 20_000
# Scripts written without spaces between words: Thai, Lao, Burmese, Khmer, kana and Han.
_UNSPACED: Final = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)


# Hebrew, Arabic and Indic vowels and signs, which are letters of a word although Python's regular expressions say no.
_VOWELS: Final = r"\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
_CLOSING: Final = "\"')\\]\u2019\u201d\u300d\u300f"
_PATTERNS: Final = {
    "word": rf"[{_UNSPACED}]+|(?:[^\W{_UNSPACED}]|[{_VOWELS}])+",
    "unspaced": rf"[{_UNSPACED}]",
    "sentence": rf"[.!?;\u061f\u06d4][{_CLOSING}]*\s+|[\u3002\uff01\uff1f\uff1b\u0964]+[{_CLOSING}]*\s*",
}


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """Compiled at its first use, because that takes milliseconds."""
    return re.compile(_PATTERNS[name])


def excerpt(text: str, query: str, fits: Callable[[str], bool]) -> str | None:
    """The longest part of `text` that `fits` allows, around the words of `query`; None if no useful part fits.

    Ends that were cut are marked with `MARK`. Nothing is returned that `fits` was not asked about, so the bound holds
    for counts of any kind. Where no word of the query is in the text it is the beginning.

    Args:
        text: with no white space but single spaces.
        fits: whether a part, with its marks, is short enough.
    """
    first, last = _answer(text, query)
    shortest = min(SHORTEST_EXCERPT_CHARACTERS, len(text))
    longest: tuple[int, int] | None = None
    low, high = shortest, len(text)
    while low <= high:
        size = (low + high) // 2
        start, end = _window(text, first, last, size)
        if end - start < shortest // 2:
            low = size + 1
        elif fits(_marked(text, start, end)):
            longest = start, end
            low = size + 1
        else:
            high = size - 1
    if longest is None:
        return None
    in_sentences = _marked(text, *_sentences(text, *longest, first, last))
    return in_sentences if fits(in_sentences) else _marked(text, *longest)


def _marked(text: str, start: int, end: int) -> str:
    part = text[start:end].strip()
    return f"{MARK if start else ''}{part}{MARK if end < len(text) else ''}"


def _features(word: str) -> list[str]:
    """What makes a word like another: itself and its beginning; in scripts without spaces, pairs of characters."""
    word = word.casefold()
    if _pattern("unspaced").match(word):
        return [word[at : at + 2] for at in range(max(len(word) - 1, 1))]
    return [word, f"{word[:_PREFIX]}-"] if len(word) > _PREFIX else [word, f"{word}-"]


def _answer(text: str, query: str) -> tuple[int, int]:
    """The stretch with most of the query's words in little space, rarer ones counting more."""
    wanted = {feature for word in _pattern("word").findall(query[:_QUERY_CHARACTERS]) for feature in _features(word)}
    matches: list[tuple[int, int, str]] = []
    for match in _pattern("word").finditer(text):
        start = match.start()
        if _pattern("unspaced").match(match.group()):
            for at, feature in enumerate(_features(match.group())):
                if feature in wanted:
                    matches.append((start + at, start + at + len(feature), feature))
        else:
            matches.extend((start, match.end(), feature) for feature in _features(match.group()) if feature in wanted)
    counts = Counter(feature for _, _, feature in matches)
    weights = {feature: count**-0.5 for feature, count in counts.items()}
    # A stretch with another word of the query may be longer, but not by much for a word that is everywhere.
    _, first, last = max((_densest(matches, weights, length) for length in _LENGTHS), default=(0.0, 0, 0))
    return first, last


def _densest(matches: list[tuple[int, int, str]], weights: dict[str, float], length: int) -> tuple[float, int, int]:
    """The stretch of up to `length` characters with the most weight, behind its value."""
    inside: Counter[str] = Counter()
    best, first, last = 0.0, 0, 0
    weight, left = 0.0, 0
    for start, end, feature in matches:
        inside[feature] += 1
        if inside[feature] == 1:
            weight += weights[feature]
        while (
            left < len(matches)
            and matches[left][0] < start
            and (end - matches[left][0] > length or inside[matches[left][2]] > 1)
        ):
            gone = matches[left][2]
            inside[gone] -= 1
            if not inside[gone]:
                weight -= weights[gone]
            left += 1
        value = weight - (end - matches[left][0]) / _CHARACTERS_PER_WEIGHT
        if value > best + 1e-9:
            best, first, last = value, matches[left][0], end
    return best, first, last


def _window(text: str, first: int, last: int, size: int) -> tuple[int, int]:
    """About `size` characters in whole words, with the stretch between in their middle."""
    middle = (first + last) // 2 if last - first <= size else first + size // 2
    start = max(0, min(middle - size // 2, len(text) - size)) if last else 0
    end = min(len(text), start + size)
    return _word_start(text, start), _word_end(text, end)


def _word_start(text: str, at: int) -> int:
    """The index at which the first whole word at or behind `at` begins."""
    if at == 0 or text[at - 1] == " " or _unspaced(text, at):
        return _whole_character(text, at)
    space = text.find(" ", at, at + _LONGEST_WORD)
    return space + 1 if space >= 0 else _whole_character(text, at)


def _word_end(text: str, at: int) -> int:
    """The index at which the last whole word before `at` ends."""
    if at == len(text) or text[at] == " " or _unspaced(text, at):
        return _whole_character(text, at)
    space = text.rfind(" ", max(0, at - _LONGEST_WORD), at)
    return space if space >= 0 else _whole_character(text, at)


def _unspaced(text: str, at: int) -> bool:
    """Whether a text may be cut at this index because a script without spaces is beside it."""
    return any(_pattern("unspaced").match(character) for character in text[at - 1 : at + 1])


def _whole_character(text: str, at: int) -> int:
    """`at`, or the index behind the marks that belong to the character before it; a long row of marks may be cut."""
    for end in range(at, min(at + _LONGEST_CHARACTER, len(text))):
        if end == 0 or not _continues(text, end):
            return end
    return at if at + _LONGEST_CHARACTER < len(text) else len(text)


def _continues(text: str, at: int) -> bool:
    """Whether a character belongs to the one before it."""
    return unicodedata.category(text[at]) in ("Mn", "Mc", "Me", "Sk") or "\u200d" in text[at - 1 : at + 1]


def _sentences(text: str, start: int, end: int, first: int, last: int) -> tuple[int, int]:
    """The whole sentences within a window; the window's own end where that would cost the answer, or half of it."""
    ends = [match.end() for match in _pattern("sentence").finditer(text, start, end)]
    if start:
        at = bisect_right(ends, first) - 1
        begin = next(iter(ends[: at + 1]), start)
        start = begin if begin - start <= (end - start) // 3 else start
    if end < len(text):
        at = bisect_left(ends, last)
        close = ends[-1] if ends[at:] else end
        end = close if end - close <= (end - start) // 3 else end
    return start, end
