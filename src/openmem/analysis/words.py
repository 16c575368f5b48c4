"""The words of memories and queries, in any language.

The script of a text and its function words say which languages it may be in. A word in Latin letters has its English
stem whatever they are, so that names are found across languages. In another language than English it has that
language's stem, too, and its first letters.
"""

from __future__ import annotations

from typing import Final

from .languages import Languages, languages_of
from .memo import Memo
from .names import Sound, like_initials, names
from .stems import (
    COMPOUNDING,
    CYRILLIC,
    LATIN,
    SHORTEST_COMPOUND,
    cyrillic_stem,
    derivations,
    prefixes,
    stem,
    suffixes,
)
from .stop_words import languages_by_word, languages_of_function_word
from .terms import QueryWord
from .tokens import Token, Word, token_of, token_texts, tokens

LIKENESS_SHARE: Final = 0.3
"""How much of a word's weight only memories get that are like it by its English stem, as names are, or by its first or
last letters, as compounds are, or by what it is derived from, or by the sound or the initials of a name. The rest is
for any of its stems."""

EXACT_SHARE: Final = 0.1
"""How much of a word's weight only memories get that have it by its English stem, where other languages' stems are
like it, too: "Marco" is not "Marc". And as much of a name's only those that have it as it is spelled: nor is "Martine"
"Martin"."""

SHORT_QUERY: Final = 4
"""Up to how many tokens of a query without function words are read as words of every language."""

UNCERTAIN_WEIGHT: Final = 0.5
"""The weight of what is a function word only if the text is in the language that little speaks for."""

LANGUAGES_OF_MEMORY: Final = 3
"""How many languages a memory is read in, if it may be in several."""

NOUNS_IN_CAPITALS: Final = "de"
"""The language in which a capital letter does not tell names from other words."""

_ENGLISH: Final = ("en",)
_ALL: Final = (*LATIN, *CYRILLIC)


def memory_lexemes(text: str, language: str | None = None) -> set[str]:
    """What a memory has of the words of a text.

    Args:
        language: the code of the text's language; None if its words decide.
    """
    found = tokens(text)
    codes, certain = _languages(found, language)
    codes = codes[:LANGUAGES_OF_MEMORY]
    lexemes: set[str] = set()
    spoken = (*_ENGLISH, *codes)
    for name in names(text):
        if not _may_be_function_word(name.word, spoken):
            if name.initials:
                lexemes.add(name.initials)
            if NOUNS_IN_CAPITALS not in codes and (sound := name.sound):
                lexemes.add(sound.lexeme)
    if codes == _ENGLISH or not (codes or _has_accents(found)):
        lexemes.update(*[token.english for token in found])
        return lexemes
    for token in found:
        for word in token.words:
            if not _is_function_word(word, codes[:1] if certain else _ENGLISH):
                lexemes.update(_stems(word, codes), _prefixes(word, codes))
                if len(word.folded) >= SHORTEST_COMPOUND:
                    lexemes.update(_suffixes(word, codes))
    return lexemes


def query_words(text: str, language: str | None = None) -> list[QueryWord]:
    """The words of a query, each once, in order of appearance.

    Args:
        language: the code of the text's language; None if its words decide.
    """
    texts = token_texts(text)
    found = [token_of(one) for one in texts]
    codes, certain = _languages(found, language)
    if language is None and _is_name(text, found, codes):
        codes, certain = (), False
    named = names(text)
    sounds = {} if NOUNS_IN_CAPITALS in codes else {name.word: name.sound for name in named}
    initials = like_initials(text, named)
    weights: dict[tuple[str, ...], float] = {}
    if certain and codes == _ENGLISH:
        for one in texts:
            for word, shares in _english_shares[one]:
                if word.folded in sounds or word.folded in initials:
                    shares = _weighted(word, _ENGLISH, sounds.get(word.folded), initials.get(word.folded))
                for lexemes, weight in shares:
                    if weight > weights.get(lexemes, -1.0):
                        weights[lexemes] = weight
        return list(map(QueryWord, weights, weights.values()))
    short = len(found) <= SHORT_QUERY and not any(one.function_word for token in found for one in token.evidence)
    if short and (not codes or text.isascii()) and language is None:
        codes = tuple(dict.fromkeys((*codes, *_ALL)))
    read_as = codes or _ENGLISH
    for word in [word for token in found for word in token.words if word.weight]:
        factor = 1.0
        if _is_function_word(word, codes or _ENGLISH):
            if certain or not codes:
                continue
            factor = UNCERTAIN_WEIGHT
        for lexemes, share in _weighted(word, read_as, sounds.get(word.folded), initials.get(word.folded)):
            weights[lexemes] = max(weights.get(lexemes, 0.0), factor * share)
    return list(map(QueryWord, weights, weights.values()))


def _shares_of_english(token: str) -> tuple[tuple[Word, tuple[tuple[tuple[str, ...], float], ...]], ...]:
    """The words of a token, other than function words, with the weights that they have in an English query."""
    return tuple(
        (word, _weighted(word, _ENGLISH, None, None))
        for word in token_of(token).words
        if word.weight and not _is_function_word(word, _ENGLISH)
    )


_english_shares: Final = Memo(_shares_of_english, 4_096)


def _weighted(
    word: Word, codes: tuple[str, ...], sound: Sound | None, initials: str | None
) -> tuple[tuple[tuple[str, ...], float], ...]:
    """The weights of a word by what a memory must have to get them."""
    shares = _shares(word, codes, sound, initials)
    return tuple((lexemes, word.weight * share) for lexemes, share in shares.items())


def _shares(
    word: Word, codes: tuple[str, ...], sound: Sound | None, initials: str | None
) -> dict[tuple[str, ...], float]:
    """The shares of a word's weight by what a memory must have to get them."""
    stems, likeness = _stems(word, codes), word.lexemes + _prefixes(word, codes) + _suffixes(word, codes)
    if word.letters == "latin":
        likeness += tuple(one for stem in word.lexemes for one in derivations(word.folded, stem))
    if sound is not None:
        likeness += sound.alike
    if initials is not None:
        likeness += (initials,)
    shares = {stems: 1.0} if stems == likeness else {stems: 1 - LIKENESS_SHARE, likeness: LIKENESS_SHARE}
    if word.lexemes not in shares and word.letters == "latin":
        shares[stems] -= EXACT_SHARE
        shares[word.lexemes] = EXACT_SHARE
    if sound is not None:
        shares[stems] -= EXACT_SHARE
        shares[sound.lexeme,] = EXACT_SHARE
    return shares


def _languages(found: list[Token], language: str | None) -> Languages:
    if language is not None:
        return Languages((language,) if language in LATIN else (language, *_ENGLISH), True)
    if sum([token.lead for token in found]) > 0:
        return Languages(_ENGLISH, True)
    return languages_of([one for token in found for one in token.evidence])


def _has_accents(found: list[Token]) -> bool:
    """Whether a word in Latin letters is not in English ones only."""
    return any(word.letters == "latin" and not word.lower.isascii() for token in found for word in token.words)


def _is_function_word(word: Word, codes: tuple[str, ...]) -> bool:
    """Whether a word is a function word of one of these languages."""
    if not word.letters or word.folded not in languages_by_word():
        return False
    known = languages_of_function_word(word.lower, word.folded)
    return known is not None and any(code in known for code in codes)


def _may_be_function_word(folded: str, codes: tuple[str, ...]) -> bool:
    """Whether a word of which the accents are not known may be one."""
    known = languages_by_word().get(folded)
    return known is not None and any(code in known for code in codes)


def _is_name(text: str, found: list[Token], codes: tuple[str, ...]) -> bool:
    """Whether a query is a name of several words that are all function words of another language: "Hà Nội"."""
    words = [word for token in found for word in token.words]
    return (
        1 < len(words) <= SHORT_QUERY
        and all(part[0].isupper() for part in text.split())
        and all(_is_function_word(word, codes) and not _is_function_word(word, _ENGLISH) for word in words)
    )


def _stems(word: Word, codes: tuple[str, ...]) -> tuple[str, ...]:
    """The lexemes of a word in a text that may be in any of these languages."""
    if codes == _ENGLISH or not word.letters:
        return word.lexemes
    if word.letters == "other":
        return tuple(
            dict.fromkeys(
                (
                    *word.lexemes,
                    *[one for code in CYRILLIC if code in codes and (one := cyrillic_stem(word.folded, code))],
                )
            )
        )
    spellings = (word.lower,) if word.lower == word.folded else (word.lower, word.folded)
    stems = [stem(spelling, code) for code in codes if code in LATIN for spelling in spellings]
    return tuple(dict.fromkeys((*word.lexemes, *stems)))


def _prefixes(word: Word, codes: tuple[str, ...]) -> tuple[str, ...]:
    return prefixes(word.folded) if word.letters == "other" or (word.letters == "latin" and codes != _ENGLISH) else ()


def _suffixes(word: Word, codes: tuple[str, ...]) -> tuple[str, ...]:
    if word.letters != "latin":
        return ()
    found = [end for code in codes if code in COMPOUNDING for end in suffixes(word.lower, code)]
    return tuple(dict.fromkeys(found))
