"""The words of a text by their stems, close to PostgreSQL's ``english`` configuration.

Words, words joined by hyphens, numbers, versions, host names, URLs, mail addresses and file paths are told apart much
as there. Tags and entities of HTML, which PostgreSQL leaves out, are read as words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import snowballstemmer

_STOP_WORDS: Final = """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it
    its itself they them their theirs themselves what which who whom this that these those am is are was were be been
    being have has had having do does did doing a an the and but if or because as until while of at by for with about
    against between into through during before after above below to from up down in out on off over under again further
    then once here there when where why how all any both each few more most other some such no nor not only own same so
    than too very s t can will just don should now
"""
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())

_TOKEN: Final = re.compile(
    r"""
    (?P<mail>[\w.+-]+@(?:[a-z0-9-]+\.)+[a-z]{2,})
    | (?:https?://)? (?P<host>(?:[a-z0-9][a-z0-9-]*\.)+[a-z]{2,}) (?P<path>/[^\s"'<>()]*)? (?![^\W_])
    | (?P<file>/?[a-z0-9_][\w.-]*(?:/[a-z0-9_][\w.-]*)+ | /[a-z0-9_][\w.-]*)
    | (?P<version>\d+(?:\.\d+){2,})
    | (?P<number>[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?) (?![^\W_])
    | (?P<compound>[^\W\d_][^\W_]*(?:-[^\W\d_][^\W_]*)+)
    | (?P<word>[^\W_]+)
    """,
    re.VERBOSE,
)
_SPEAKER: Final = re.compile(r"\s*\w+\s*:\s")
_QUESTION: Final = re.compile(r"\?\s*\Z")


def lexemes(text: str) -> list[str]:
    """The words of a text by their stems, each once, in order of appearance, without stop words."""
    return list(dict.fromkeys(_lexemes(text)))


def speaker(text: str) -> str | None:
    """The stem of the name before the colon in a text like ``Maya: I moved to Porto``; else None."""
    return min(_lexemes(text.partition(":")[0]), default=None) if _SPEAKER.match(text) else None


def is_question(text: str) -> bool:
    """Whether a text ends in a question mark."""
    return _QUESTION.search(text) is not None


def _lexemes(text: str) -> Iterator[str]:
    for token in _TOKEN.finditer(text.lower()):
        match token.lastgroup:
            case "host" | "path":
                host, path = token["host"], token["path"]
                yield from (host,) if path is None else (host + path, host, path)
            case "word" | "compound":
                parts = token[0].split("-")
                for word in (token[0], *parts) if len(parts) > 1 else parts:
                    if word not in STOP_WORDS:
                        yield _stem(word)
            case _:
                yield token[0]


@lru_cache(65_536)
def _stem(word: str) -> str:
    """A word's stem. A word with digits is its own. A stemmer has state, so every call has one of its own."""
    if any(map(str.isdigit, word)):
        return word
    stem: str = snowballstemmer.stemmer("english").stemWord(word)
    return stem
