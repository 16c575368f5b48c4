"""Tokens: words, and what is written together, such as paths, versions and compounds, with its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Final, Literal, NamedTuple

from .characters import MARKS, folded, kind, lowered, normalized, script
from .chinese import SIMPLIFIED
from .languages import Evidence, evidence, lead_of_english
from .memo import LONGEST, Memo
from .stems import other_stems, prefixes, stem, without_particle
from .stop_words import languages_by_word

_JOINERS: Final = r"(?:[-_.@/:'&\\{}]|://|__|::|(?<=[0-9]),(?=[0-9]))"
_ASCII_TOKEN: Final = re.compile(rf"[A-Za-z0-9]+(?:{_JOINERS.format('')}[A-Za-z0-9]+)*(?:\+\+|\#)?")
_LETTER: Final = rf"(?:[^\W_]|[{MARKS}])"
_JOINER: Final = _JOINERS.format(r"\u2010\u2011\u2019")
_EMOJI: Final = "[\U0001f1e6-\U0001f1ff]{2}|[\U0001f300-\U0001f3fa\U0001f400-\U0001faff\u2600-\u26ff\u2764]"
_TOKEN: Final = re.compile(rf"{_LETTER}+(?:{_JOINER}{_LETTER}+)*(?:\+\+|\#)?|{_EMOJI}")
_SEPARATOR: Final = re.compile(rf"[^\w{MARKS}]|_")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LETTERS_AND_DIGITS: Final = re.compile(r"([A-Za-z]+)([0-9]+)\Z|([0-9]+)([A-Za-z]{2,}|s)\Z")
# Digits in groups, also as in India, and decimals after another mark.
_GROUPS: Final = re.compile(
    r"([0-9]{1,3}([.,'])[0-9]{3}(?:\2[0-9]{3})*|[0-9]{1,2}(?:(,)[0-9]{2})+,[0-9]{3})(?:(?!\2|\3)[.,]([0-9]+))?\Z"
)
_NUMBER: Final = re.compile(r"v?([0-9]+(?:[.,'][0-9]+)+)\Z")
_TIME: Final = re.compile(r"0?([0-9]|1[0-9]|2[0-3])[.:]([0-5][0-9])([ap]m)?\Z|0?([1-9]|1[0-2])([ap]m)\Z")
_ACRONYMS: Final = frozenset(("IT", "US", "WHO"))
"""Acronyms that are function words in small letters."""
_APOSTROPHES: Final = frozenset("'\u2019")
_CONTRACTION: Final = re.compile(
    r"(?:[a-z]+n['\u2019]t|((?:i|you|he|she|it|we|they|who|that|there|what)(?=['\u2019][dms]\Z)|[a-z]+(?=['\u2019](?:re|ve|ll)\Z))"
    r"['\u2019][a-z]+)\Z",
    re.IGNORECASE,
)
_JOINED_NAME: Final = re.compile(r"(?:o['\u2019]|[A-Z]['\u2019](?=[^\W\d_a-z]))[^\W\d_]{2,}\Z")
_DIGRAPHS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})

_GRAMMAR: Final = frozenset("的了是在我你他她它们們这這那哪吗嗎呢吧啊么麼什谁誰怎几幾和與与或与有没沒")
_HIRAGANA: Final = re.compile(r"[\u3041-\u309f]")
_ONE_SPELLING: Final = SIMPLIFIED | {code: code + 0x60 for code in range(0x3041, 0x3097)}
"""Chinese in simplified characters, and Japanese in katakana."""
_FUNCTION_WORDS: Final = """
    です ます でし まし した して いる いま すか から まで もの こと ある あり れる られ った てい のは のが いつ どこ
    何で 何が なに だれ 誰で どの どん せん はい
"""
_FUNCTION_PAIRS: Final = frozenset(_FUNCTION_WORDS.split())

EMOJI_WEIGHT: Final = 0.3
"""The weight of an emoji. Most of them decorate a text."""

SINGLE_WEIGHT: Final = 0.3
"""The weight of a Chinese or Japanese character by itself; that of a pair is 1."""


class Word(NamedTuple):
    """A word or a part of one.

    Attributes:
        lower: without case, with accents.
        folded: without either.
        lexemes: what it is compared by whatever the language is; one of them is enough.
        weight: how much it counts in a query; 0 for what only memories have.
        letters: of which kind they are, if it is a word of an alphabet: ``latin`` or ``other``.
    """

    lower: str
    folded: str
    lexemes: tuple[str, ...]
    weight: float = 1.0
    letters: Literal["", "latin", "other"] = ""


class Token(NamedTuple):
    """What is written without a space.

    Attributes:
        words: the word, or the whole and its parts.
        english: the lexemes of all that is not a function word of English.
        evidence: for the languages.
        lead: how much more of the evidence speaks for English than for any other language, in `LEADS`.
    """

    words: tuple[Word, ...]
    english: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    lead: int


def tokens(text: str) -> list[Token]:
    """The different tokens of a text, in order of appearance."""
    return list(map(_tokens.__getitem__, token_texts(text)))


def token_texts(text: str) -> dict[str, None]:
    """The same as they are written."""
    return dict.fromkeys(_ASCII_TOKEN.findall(text) if text.isascii() else _TOKEN.findall(normalized(text)))


def token_of(written: str) -> Token:
    """What one of `token_texts` stands for."""
    return _tokens[written]


def _token(text: str) -> Token:
    words = tuple(_by_kind(text))
    english: dict[str, None] = {}
    found: list[Evidence] = []
    for word in words:
        lexemes = word.lexemes
        if word.letters:
            found += evidence(word.lower, word.folded)
            if word.letters == "other":
                lexemes += prefixes(word.folded)
            elif "en" in languages_by_word().get(word.folded, ()):
                continue
        for lexeme in lexemes:
            english[lexeme] = None
    return Token(words, tuple(english), tuple(found), lead_of_english(found))


_tokens: Final = Memo(_token, 16_384)


def _by_kind(text: str) -> Iterator[Word]:
    if text.isascii():
        yield from _joined(text)
        return
    if not text[0].isalnum() and text[0] > "\u25ff" and re.match(_EMOJI, text):
        yield Word(text, text, (text,), EMOJI_WEIGHT)
        return
    for of_kind, group in groupby(text, kind):
        run = "".join(group)
        match of_kind:
            case "":
                yield from _joined(run)
            case "hangul":
                yield from _korean(folded(run))
            case _:
                yield from _unspaced(folded(run), of_kind == "han")


def _unspaced(characters: str, han: bool) -> Iterator[Word]:
    """Pairs of characters; of Chinese and Japanese single characters, too, which count less."""
    if len(characters) == 1:
        yield Word(characters, characters, (characters.translate(_ONE_SPELLING),))
        return
    for at in range(len(characters) - 1):
        yield _gram(characters[at : at + 2], han)
    if han:
        yield from (_gram(one, han) for one in dict.fromkeys(characters))


@lru_cache(32_768)
def _gram(characters: str, han: bool) -> Word:
    """A pair of characters or a single one in a longer text."""
    weight = 1.0
    if han:
        weight = _weight(characters) if len(characters) > 1 else SINGLE_WEIGHT
        if len(characters) == 1 and (characters in _GRAMMAR or _HIRAGANA.match(characters)):
            weight = 0.0
    return Word(characters, characters, (characters.translate(_ONE_SPELLING),), weight)


def _weight(pair: str) -> float:
    """How much a pair counts in a query: pairs with characters of grammar less than others."""
    if pair in _FUNCTION_PAIRS:
        return 0.0
    grammar = sum(one in _GRAMMAR for one in pair)
    if grammar:
        return 0.5 if grammar == 1 else 0.0
    return (1.0, 0.5, 0.3)[len(_HIRAGANA.findall(pair))]


def _joined(text: str) -> Iterator[Word]:
    """A word, or what joiners hold together: the whole, the segments of a path or address, and all parts."""
    body = text.rstrip("+#")
    parts = [part for part in _SEPARATOR.split(body) if part]
    if not parts:
        return
    if body != text:
        whole = folded(text)
        yield Word(whole, whole, (whole,))
        yield from (word._replace(weight=0.0) for part in parts for word in _word(part, 1.0))
    elif len(parts) > 1 and (number := _NUMBER.match(folded(body))) is not None:
        yield from _number(number[1], parts)
    elif len(parts) == 2 and (contraction := _CONTRACTION.match(body)) is not None:
        yield from _word(contraction[1] or "not", 1.0)
    elif len(parts) == 1 or all(one.isalnum() or one in _APOSTROPHES or not one.isprintable() for one in body):
        if _JOINED_NAME.match(body):
            yield from _joined_name(*parts)
            return
        for part in parts:
            yield from _word(part, 1.0)
    else:
        whole = folded(body).rpartition("://")[2]
        plain = "".join(map(folded, parts))
        lexemes = (whole, stem(plain, "en") if plain.isalpha() else plain)
        if time := _time(whole):
            yield Word(whole, whole, (*lexemes, *time))
            yield from (word._replace(weight=0.0) for part in parts for word in _word(part, 1.0))
            return
        yield Word(whole, whole, lexemes, 2 / 3)
        segments = [one for one in re.split(r"[/\\@]", whole) if one and one != whole and not one.isalnum()]
        for segment in segments:
            yield Word(segment, segment, (segment,), 1 / 3 / len(segments))
        for part in parts:
            yield from _word(part, min(2 / 3, 2 / len(parts)))


def _joined_name(letter: str, name: str) -> Iterator[Word]:
    """A name such as "O'Brien", which is also written "OBrien" and "Obrien"."""
    joined = stem(folded(letter + name), "en")
    yield Word(lowered(letter), folded(letter), (folded(letter),), 0.0)
    for word in _word(name, 1.0):
        yield word._replace(lexemes=(*word.lexemes, joined))


def _number(number: str, parts: list[str]) -> Iterator[Word]:
    """A number with its groups or decimals, or a version and the versions that it belongs to."""
    lexemes: tuple[str, ...] = ()
    if (groups := _GROUPS.match(number)) is not None:
        digits = re.sub(r"\D", "", groups[1])
        lexemes = (f"{digits}.{groups[4]}" if groups[4] else digits,)
        if groups[4]:
            yield Word(digits, digits, (digits,), 0.0)
    spelled = re.sub(r"[,']", ".", number)
    yield Word(number, number, tuple(dict.fromkeys((*lexemes, spelled, *_time(spelled)))))
    pieces = spelled.split(".")
    if len(pieces) <= 4:
        for count in range(2, len(pieces)):
            version = ".".join(pieces[:count])
            yield Word(version, version, (version,), 0.0)
    for part in parts:
        plain = folded(part)
        yield Word(plain, plain, (plain,), 0.0)


def _time(written: str) -> tuple[str, ...]:
    """The lexemes of what may be a time of day, however it is written: "09:30" is "9.30", and "5pm" is "17.00"."""
    match = _TIME.match(written)
    if match is None:
        return ()
    hour, minute, half = match[1] or match[4], match[2] or "00", match[3] or match[5]
    plain = (f"{hour}.{minute}",) if match[1] else ()
    if half is None or int(hour) > 12:
        return plain
    return (*plain, f"{int(hour) % 12 + 12 * (half == 'pm')}.{minute}")


def _word(text: str, weight: float) -> Iterator[Word]:
    yield from _simple(text, weight)
    if not text.isascii() or len(text) > LONGEST:
        return
    mixed = _LETTERS_AND_DIGITS.match(text)
    parts = [part for part in mixed.groups() if part] if mixed else _CAMEL.split(text)
    if len(parts) > 1:
        for part in parts:
            yield from _simple(part, weight / max(3, len(parts)))


def _simple(text: str, weight: float) -> Iterator[Word]:
    """A word without parts, by its stems; with digits, by itself."""
    lower, plain = lowered(text), folded(text)
    if not plain:
        return
    if text in _ACRONYMS:
        yield Word(lower, plain, (plain,), weight)
    elif any(map(str.isdigit, plain)):
        yield Word(lower, plain, (plain, *_time(plain)), weight)
    elif script(plain[0]) == "latin":
        spellings = dict.fromkeys((plain,) if lower.isascii() else (plain, folded(lower.translate(_DIGRAPHS))))
        yield Word(lower, plain, tuple(stem(one, "en") for one in spellings), weight, "latin")
    else:
        yield Word(lower, plain, other_stems(plain), weight, "other")


def _korean(word: str) -> Iterator[Word]:
    """Pairs of syllables, so that particles do not matter; of a single syllable with a particle, the syllable, too."""
    stem = without_particle(word)
    if len(word) < 3:
        yield Word(word, word, tuple(dict.fromkeys((stem, word))))
        return
    if len(stem) == 1:
        yield Word(stem, stem, (stem,))
    for at in range(len(word) - 1):
        pair = word[at : at + 2]
        yield Word(pair, pair, (pair,), 1.0 if len(stem) > 1 else 0.0)
