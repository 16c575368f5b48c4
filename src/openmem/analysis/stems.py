"""Stems: the parts that the forms of a word have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Final

import snowballstemmer  # noqa: F401  (its stemmers are loaded with it)

from .characters import folded, script
from .irregular import regular

LATIN: Final = {
    "en": "english", "es": "spanish", "de": "german", "fr": "french", "pt": "portuguese", "it": "italian",
    "nl": "dutch", "tr": "turkish", "pl": "polish", "sv": "swedish", "ro": "romanian", "cs": "czech", "hu": "hungarian",
    "id": "indonesian", "da": "danish", "no": "norwegian", "fi": "finnish", "ca": "catalan", "sr": "serbian",
}  # fmt: skip
"""Languages in Latin letters, and the names of their Snowball stemmers. A text's words tell which one it is."""

_SHORTEST_GREEK: Final = 3

CYRILLIC: Final = ("bg", "sr")
"""Languages in Cyrillic letters of which words have stems beside the Russian ones."""

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
_AS_RUSSIAN: Final = str.maketrans("іїєґўъ", "ииегуа")
_NORDIC: Final = frozenset({"da", "no", "sv"})
# The vowel that "cykel" has and "cyklar" has not, the article of "cykeln", and the letter that "sykler" has once.
_SYNCOPE: Final = re.compile(r"([^aeiouy])\1?e([lr])n?\Z")
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
_URDU_ENDING: Final = re.compile(r"(?<=..)(?:ياں|يں|وں|ے|ں)\Z")
_URDU_VOWEL: Final = re.compile(r"(?<=..)[اه]\Z")
_BENGALI_ENDING: Final = re.compile(r"(?<=..)(?:(?:গুলো|গুলি|টা|টি|খানা)(?:র|কে|তে)?|দের|দেরকে|য়ের|ের|য়ে|রা|কে|তে|র|ে|য়)\Z")
_GEORGIAN_ENDING: Final = re.compile(r"(?<=..)(?:ებ)?(?:[აეოუ]?(?:სთან|დან|ში|ზე|ით|ის|ად|მა|ს|მ)|[აეიო])\Z")
_GREEK_ENDING: Final = re.compile(r"(?<=...)(?:ουσ|[οηαε][σι]|ων|[αεηιοω])\Z")
_BULGARIAN_ENDING: Final = re.compile(r"(?<=..)(?:[ое]ве(?:те)?|т[аео]|[ъя]т)\Z")
_HEBREW_PREFIX: Final = re.compile(r"\A(?:[ושכ]?ה|[ושכמלבה])(?=..)")
_HEBREW_ENDING: Final = re.compile(r"(?<=..)(?:ים|ות|יות|יה|[התיםן])\Z")


def stem(word: str, language: str) -> str:
    """The stem of a word, without accents.

    Args:
        word: in lower case, with or without its accents.
    """
    if language == "en":
        return _snowball(regular(word), "english")
    if language == "pt":
        word = _PLURALS.sub("ão", word)
    found = _snowball(word, LATIN[language])
    if language in _NORDIC:
        return _SYNCOPE.sub(r"\1\2", found)
    return found


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
    if of_script == "bengali":
        return tuple(dict.fromkeys((word, _BENGALI_ENDING.sub("", word))))
    if of_script == "georgian":
        return (_GEORGIAN_ENDING.sub("", word),)
    if of_script == "greek" and len(_snowball(word, "greek")) < _SHORTEST_GREEK < len(word):
        return (_GREEK_ENDING.sub("", word),)
    return (_snowball(word, _BY_SCRIPT[of_script]) if of_script in _BY_SCRIPT else word,)


def cyrillic_stem(word: str, language: str) -> str | None:
    """The stem of a word in one of `CYRILLIC`: in Bulgarian without its article, in Serbian in Latin letters.

    Args:
        word: in lower case, without accents.
    """
    if script(word[0]) != "cyrillic":
        return None
    if language == "sr":
        return _snowball(word, "serbian")
    plain = _BULGARIAN_ENDING.sub("", word)
    return other_stems(plain)[0] if plain != word else None


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
    """The English stems of what a word is derived from, or of what is derived from it: of "allergic" that of "allergy";
    of an irregular form that of the form itself, which memories have that an older version analysed.

    Args:
        word: in lower case, without accents.
        stem: its English stem.
    """
    if regular(word) != word:
        return (_snowball(word, "english"),)
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
        if form[-1] in "ےں":
            yield _URDU_ENDING.sub("", form)
            continue
        yield (stem := _ENDING.sub("", _ENDING.sub("", form)))
        if len(form) == 3:
            yield _URDU_VOWEL.sub("", form)
        if stem != form and stem.endswith("ت") and len(stem) > 2:
            yield stem[:-1]


def _hebrew(word: str) -> Iterator[str]:
    """As it is, without a prefix, and both without an ending."""
    for form in dict.fromkeys((word, _HEBREW_PREFIX.sub("", word))):
        yield form
        yield _HEBREW_ENDING.sub("", form)
