"""Stems: the parts that the forms of a word have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Final

import snowballstemmer  # noqa: F401  (its stemmers are loaded with it)

from .characters import folded, script

LATIN: Final = {
    "en": "english", "es": "spanish", "de": "german", "fr": "french", "pt": "portuguese", "it": "italian",
    "nl": "dutch", "tr": "turkish", "pl": "polish", "sv": "swedish", "ro": "romanian", "cs": "czech", "hu": "hungarian",
    "id": "indonesian", "da": "danish", "no": "norwegian", "fi": "finnish", "ca": "catalan",
}  # fmt: skip
"""Languages in Latin letters, and the names of their Snowball stemmers. A text's words tell which one it is."""

LONGEST: Final = 40
"""Words of more letters have no stem but themselves."""

PREFIX: Final = 5

SUFFIX: Final = 5

COMPOUNDING: Final = frozenset({"da", "de", "nl", "no", "sv"})
"""Languages that write compounds as one word, the last part of which says what it is."""

SHORTEST_COMPOUND: Final = 9
"""The fewest letters of a word of a memory that is found by its last part."""

SHORTEST_ROOT: Final = 6
"""The fewest letters that words must share to be derived from each other: "party" is not from "part"."""

_BY_SCRIPT: Final = {
    "armenian": "armenian", "cyrillic": "russian", "devanagari": "hindi", "greek": "greek", "tamil": "tamil",
}  # fmt: skip
_SERBIAN: Final = frozenset("ђјљњћџ")
_AS_RUSSIAN: Final = str.maketrans("іїєґў", "ииегу")
_PLURALS: Final = re.compile(r"(?:[õã]es|oes)\Z")
_ADJECTIVE: Final = re.compile(r"ic(?:s|al|ally)?\Z")
_PARTICLES: Final = re.compile(
    r"(?:에서는|에서도|에게서|으로는|이라는|에서|에게|한테|으로|까지|부터|처럼|보다|이고|이다|이며|이랑|하고|입니다|이에요|예요|라고|마다"
    r"|에는|에도|[은는이가을를의에도만와과로랑야])\Z"
)
_AND: Final = re.compile(r"\Aو(?=..)")
_ARTICLE: Final = re.compile(r"\A(?:[بكف]?ال|لل)(?=..)")
_PREPOSITION: Final = re.compile(r"\A[بكفل](?=....)")
_ENDING: Final = re.compile(r"(?:(?<=..)(?:ها|هما|هم|هن|نا|كم|ات|ان|ون|ين|يه|ه|ي|ك)|(?<=...)ا)\Z")
_HEBREW_PREFIX: Final = re.compile(r"\A(?:[ושכ]?ה|[ושכמלבה])(?=..)")
_HEBREW_ENDING: Final = re.compile(r"(?<=..)(?:ים|ות|יות|יה|[התיםן])\Z")


def stem(word: str, language: str) -> str:
    """The stem of a word, without accents.

    Args:
        word: in lower case, with or without its accents.
    """
    if language == "pt":
        word = _PLURALS.sub("ão", word)
    return _snowball(word, LATIN[language])


def other_stems(word: str) -> tuple[str, ...]:
    """What forms of a word in other letters have in common; one of them is enough.

    Args:
        word: in lower case, without accents.
    """
    of_script = script(word[0])
    if of_script == "arabic":
        return tuple(dict.fromkeys(_arabic(word)))
    if of_script == "hebrew":
        return tuple(dict.fromkeys(_hebrew(word)))
    if of_script == "cyrillic":
        return (_snowball(word, "serbian" if _SERBIAN & set(word) else "russian", word.translate(_AS_RUSSIAN)),)
    return (_snowball(word, _BY_SCRIPT[of_script]) if of_script in _BY_SCRIPT else word,)


def prefixes(word: str) -> tuple[str, ...]:
    """The beginning of a word of at least five letters, which longer words and compounds share; no word is like it."""
    return (f"{word[:PREFIX]}-",) if len(word) >= PREFIX else ()


def suffixes(word: str, language: str) -> tuple[str, ...]:
    """The end of a word's stem, which compounds share: of "Krankenversicherung" and "Versicherung".

    Args:
        word: in lower case.
        language: one of `COMPOUNDING`.
    """
    end = stem(word, language)[-SUFFIX:]
    return (f"-{end}",) if len(end) == SUFFIX else ()


def derivations(word: str, stem: str) -> tuple[str, ...]:
    """The English stems of what a word is derived from, or of what is derived from it: of "allergic" that of "allergy".

    Args:
        word: in lower case, without accents.
        stem: its English stem.
    """
    if stem.endswith("i"):
        return (stem[:-1],) if len(stem) > SHORTEST_ROOT else ()
    return (f"{stem}i",) if len(stem) >= SHORTEST_ROOT and _ADJECTIVE.search(word) else ()


def without_particle(word: str) -> str:
    """A Korean word without the particle at its end."""
    return _PARTICLES.sub("", word) or word


def _snowball(word: str, algorithm: str, spelled: str = "") -> str:
    """The stem by a Snowball stemmer."""
    return _stemmed(spelled or word, algorithm) if len(word) <= LONGEST else folded(word)


@lru_cache(32_768)
def _stemmed(word: str, algorithm: str) -> str:
    """Stemmers have state, so every call has one of its own."""
    return folded(_stemmer(algorithm)().stemWord(word))


@cache
def _stemmer(algorithm: str) -> Any:
    """The class of a stemmer. Those in Python are asked for, since another package's may be of another version."""
    module = import_module(f"snowballstemmer.{algorithm}_stemmer")
    return getattr(module, f"{algorithm.title().replace('_', '')}Stemmer")


def _arabic(word: str) -> Iterator[str]:
    """Without "and", the article, prepositions and endings: those after the last, and with what is left, once more."""
    word = _ARTICLE.sub("", _AND.sub("", word))
    for form in dict.fromkeys((word, _PREPOSITION.sub("", word))):
        yield (stem := _ENDING.sub("", _ENDING.sub("", form)))
        if stem != form and stem.endswith("ت") and len(stem) > 2:
            yield stem[:-1]


def _hebrew(word: str) -> Iterator[str]:
    """As it is, without a prefix, and both without an ending."""
    for form in dict.fromkeys((word, _HEBREW_PREFIX.sub("", word))):
        yield form
        yield _HEBREW_ENDING.sub("", form)
