"""Which languages a text may be in."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from math import floor
from typing import Final, NamedTuple

from .stop_words import LANGUAGES, languages_of_function_word

UNSPACED: Final = ("ja", "km", "ko", "lo", "my", "th", "zh")
KNOWN: Final = (*LANGUAGES, *UNSPACED)
"""The codes of all languages that texts may be said to be in."""

_LETTERS: Final = {
    "ñ": ("es",), "ß": ("de",), "ã": ("pt",), "õ": ("pt",), "ł": ("pl",), "ż": ("pl",), "ś": ("pl",), "ę": ("pl",),
    "ą": ("pl",), "ő": ("hu",), "ű": ("hu",), "ğ": ("tr",), "ı": ("tr",), "ş": ("tr", "ro"), "ș": ("ro",), "ț": ("ro",),
    "ă": ("ro",), "ø": ("da", "no"), "å": ("sv", "da", "no"), "ě": ("cs",), "ř": ("cs",), "ů": ("cs",), "œ": ("fr",),
    "ä": ("de", "sv", "fi"), "ö": ("de", "sv", "fi", "hu", "tr"), "ü": ("de", "tr", "hu"), "ê": ("fr", "pt"),
    "è": ("fr", "it", "ca"), "ј": ("sr",), "ђ": ("sr",), "љ": ("sr",), "њ": ("sr",), "ћ": ("sr",), "џ": ("sr",),
}  # fmt: skip
_ENDINGS: Final = {
    "en": "ing tion ness ed ly", "de": "ung ungen lich keit isch chen", "fr": "eux euse aient",
    "nl": "lijk heid tje tjes",
    "es": "cion ciones mente dad ando iendo", "pt": "cao coes mente dade", "it": "zione zioni mente ando endo ggio",
    "sv": "arna erna ande", "fi": "ssa lla lta sta inen vat", "hu": "ban ben nak nek hoz", "id": "nya kan",
    "tr": "lar ler yor yorum iyorum lari leri dan den", "pl": "ego emu ami ach osc", "cs": "eho emu ych ami ost",
    "ro": "ului ilor esti eaza",
}  # fmt: skip
_LONGEST_ENDING: Final = 6
_COMMON: Final = """
    also always another anything around ask away back because big bye came come could day days did else even
    ever every everyone feel find first five four friend friends get gets give go goes going gonna good got
    great hello help hey hi home house keep knew know last let life like likes little long look lot made make
    makes many may maybe me might much must name need never new next nice night often ok old one people place
    please pretty put really right said saw say says see seen since someone something soon still sure take takes
    talk tell thank thanks thing things think thinking three time times today told tomorrow tonight took try two
    us use used want wants was way week well went whose without work works world would wow year years yes
    yesterday yet
"""
_ENGLISH: Final = frozenset(_COMMON.split())

LEADS: Final = 60
"""The parts of a function word in which leads are counted, so that sums of them are exact."""

HINT: Final = 0.3
"""How much a letter or an ending says about the language, in function words."""

CLOSE: Final = 0.75
"""Which share of the best language's evidence makes another language possible."""


class Evidence(NamedTuple):
    """For which languages a word speaks, how much for each, and whether it is a function word of more than a letter."""

    languages: tuple[str, ...]
    weight: float
    function_word: bool


class Languages(NamedTuple):
    """The languages that a text may be in, likely ones first; ``certain`` if its function words leave little doubt."""

    codes: tuple[str, ...]
    certain: bool


def evidence(lower: str, folded: str) -> tuple[Evidence, ...]:
    """What a word says about the language of its text."""
    if (languages := languages_of_function_word(lower, folded)) is not None:
        found = (Evidence(languages, 1 / len(languages), len(folded) > 1 or not folded.isascii()),)
        return (*found, Evidence(("en",), 1 / len(languages), False)) if folded in _ENGLISH else found
    if folded in _ENGLISH:
        return (Evidence(("en",), HINT, False),)
    letters = [by for letter in lower if letter > "\u007f" and (by := _LETTERS.get(letter))]
    endings = (
        _languages_by_ending().get(folded[-size:]) for size in range(_LONGEST_ENDING, 1, -1) if len(folded) > size + 1
    )
    ending = next(filter(None, endings), None)
    return tuple(Evidence(by, HINT / len(by), False) for by in ([*letters, ending] if ending else letters))


def lead_of_english(evidence: Iterable[Evidence]) -> int:
    """How much more speaks for English than for the language that most speaks for of the others, in `LEADS`, rounded
    down. A text whose tokens have more than 0 together is in English, whatever else they say."""
    total: dict[str, float] = {}
    for one in evidence:
        for language in one.languages:
            total[language] = total.get(language, 0.0) + one.weight
    return floor(LEADS * (total.pop("en", 0.0) - max(total.values(), default=0.0)))


@cache
def _languages_by_ending() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for language, endings in _ENDINGS.items():
        for ending in endings.split():
            found[ending] = (*found.get(ending, ()), language)
    return found


def languages_of(evidence: Iterable[Evidence]) -> Languages:
    """The languages that evidence speaks for."""
    total: dict[str, float] = {}
    function_words: dict[str, int] = {}
    for one in evidence:
        for language in one.languages:
            total[language] = total.get(language, 0.0) + one.weight
            if one.function_word:
                function_words[language] = function_words.get(language, 0) + 1
    if not total:
        return Languages((), False)
    best = max(total.values())
    if total.get("en") == best and list(total.values()).count(best) == 1:
        return Languages(("en",), True)
    codes = sorted((code for code in total if total[code] >= CLOSE * best), key=lambda code: (-total[code], code))
    return Languages(tuple(codes), function_words.get(codes[0], 0) > 1)
