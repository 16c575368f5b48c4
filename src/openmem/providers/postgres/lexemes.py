"""Lexemes as PostgreSQL keeps them: by numbers, which are hashes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from ...analysis import MemoryTerms, QueryWord
from ...analysis.memo import Memo
from ...ranking.constants import MAX_QUERY_LEXEMES, SPEAKER_WEIGHT
from .retrieval import layout

MAX_ENTRIES: Final = 16_000
"""The most entries that pgvector's ``sparsevec`` takes."""

Values: TypeAlias = Mapping[str, list[int] | list[float] | str | None]

_MASK: Final = 0xFFFFFFFF
_SPEAKER_SUFFIX: Final = ":"
_QUESTION: Final = "?"


def lexeme_id(lexeme: str) -> int:
    """The number of a lexeme, 1 to `layout.LEXEME_IDS`: what the SQL function ``term_number`` gives."""
    return _ids[lexeme]


def _hashed(lexeme: str) -> int:
    """The lower half of PostgreSQL's ``hashtextextended(lexeme, 0)``, which is Bob Jenkins' lookup3 hash."""
    data = lexeme.encode()
    length = len(data)
    # The last block has up to 11 bytes. The lowest byte of its third word is left to the length.
    blocks = length // 12
    tail = data[12 * blocks :]
    a = b = c = (0x9E3779B9 + length + 3_923_095) & _MASK
    for start in range(0, 12 * blocks, 12):
        a = a + int.from_bytes(data[start : start + 4], "little") & _MASK
        b = b + int.from_bytes(data[start + 4 : start + 8], "little") & _MASK
        c = c + int.from_bytes(data[start + 8 : start + 12], "little") & _MASK
        a = (a - c ^ (c << 4 | c >> 28)) & _MASK
        c = c + b & _MASK
        b = (b - a ^ (a << 6 | a >> 26)) & _MASK
        a = a + c & _MASK
        c = (c - b ^ (b << 8 | b >> 24)) & _MASK
        b = b + a & _MASK
        a = (a - c ^ (c << 16 | c >> 16)) & _MASK
        c = c + b & _MASK
        b = (b - a ^ (a << 19 | a >> 13)) & _MASK
        a = a + c & _MASK
        c = (c - b ^ (b << 4 | b >> 28)) & _MASK
        b = b + a & _MASK
    a = a + int.from_bytes(tail[:4], "little") & _MASK
    b = b + int.from_bytes(tail[4:8], "little") & _MASK
    c = c + (int.from_bytes(tail[8:], "little") << 8) & _MASK
    c = (c ^ b) - (b << 14 | b >> 18) & _MASK
    a = (a ^ c) - (c << 11 | c >> 21) & _MASK
    b = (b ^ a) - (a << 25 | a >> 7) & _MASK
    c = (c ^ b) - (b << 16 | b >> 16) & _MASK
    a = (a ^ c) - (c << 4 | c >> 28) & _MASK
    b = (b ^ a) - (a << 14 | a >> 18) & _MASK
    c = (c ^ b) - (b << 24 | b >> 8) & _MASK
    return (c & layout.LEXEME_IDS - 1) + 1


_ids: Final = Memo(_hashed, 32_768)
_speaker_ids: Final = Memo(lambda name: _hashed(name + _SPEAKER_SUFFIX), 8_192)


def term_ids(terms: MemoryTerms) -> list[int]:
    """The entries of a memory's ``terms``, ascending: its lexemes, its speakers, and whether it is a question."""
    marks = speaker_ids(terms.speakers)
    if terms.is_question:
        marks.add(QUESTION_ID)
    ids = marks.union(map(_ids.__getitem__, terms.lexemes))
    if len(ids) > MAX_ENTRIES:
        ids = {*sorted(ids - marks)[: MAX_ENTRIES - len(marks)], *marks}
    return sorted(ids)


def speaker_ids(names: Iterable[str]) -> set[int]:
    """The entries of memories whose speaker has one of these names."""
    return set(map(_speaker_ids.__getitem__, names))


def terms_literal(ids: Sequence[int]) -> str:
    """A value of ``terms`` as text, from ids in ascending order."""
    ones = f"{':1,'.join(map(str, ids))}:1" if ids else ""
    return f"{{{ones}}}/{layout.LEXEME_IDS}"


def _array(items: Iterable[float]) -> str:
    return f"{{{','.join(map(str, items))}}}"


def _vector_literal(entries: Mapping[int, int]) -> str:
    return f"{{{','.join(f'{id}:{value}' for id, value in entries.items())}}}/{layout.LEXEME_IDS}"


@lru_cache(64)
def counted_values(words: tuple[QueryWord, ...]) -> Values:
    """The parameters of a search that tell the words of a query where the number of memories that have each decides.

    Every lexeme has a bit in the masks of the memories. A word is a set of bits of one chunk, so that one mask says
    whether a memory has the word.
    """
    ids: list[int] = []
    bits: list[int] = []
    positions: list[int] = []
    chunks: list[int] = []
    flags: list[int] = []
    speakers: set[int] = set()
    bit = layout.FIRST_LEXEME_BIT
    for position, word in enumerate(words):
        own = list(dict.fromkeys(map(lexeme_id, word.alternatives)))
        if bit % layout.MASK_BITS + len(own) > layout.MASK_BITS:
            bit += -bit % layout.MASK_BITS
        ids += own
        bits += range(bit, bit + len(own))
        positions += [position] * len(own)
        chunks.append(bit // layout.MASK_BITS)
        flags.append((1 << len(own)) - 1 << bit % layout.MASK_BITS)
        bit += len(own)
        speakers |= speaker_ids(word.alternatives)
    return {
        "lexeme_ids": ids,
        "lexeme_bits": bits,
        "lexeme_words": positions,
        # Drivers refuse lists of both kinds of numbers.
        "word_weights": [float(word.weight) for word in words],
        "word_chunks": chunks,
        "word_flags": flags,
        "speaker_ids": list(speakers),
    }


def is_long(words: Iterable[QueryWord]) -> bool:
    """Whether a query has more lexemes than a mask has bits for, so that counts must say which of them matter."""
    return sum(len(word.alternatives) for word in words) > MAX_QUERY_LEXEMES


def query_values(words: tuple[QueryWord, ...]) -> Values:
    """The parameters of a search that tell the words of a query."""
    return counted_values(words) if is_long(words) else mask_values(words)


@lru_cache(64)
def mask_values(words: tuple[QueryWord, ...]) -> Values:
    """The parameters of a search that tell the words of a query that is not long.

    Every lexeme has a bit in the mask of a memory, and a word is a set of bits.
    """
    bits: dict[int, int] = {}
    factors: dict[int, float] = {}
    speakers: set[int] = set()
    for alternatives, weight in words:
        flags = 0
        for lexeme in alternatives:
            id = _ids[lexeme]
            bit = bits.get(id)
            if bit is None:
                bits[id] = bit = layout.FIRST_LEXEME_BIT + len(bits)
            flags |= 1 << bit
            speakers.add(_speaker_ids[lexeme])
        factors[flags] = factors.get(flags, 0.0) + weight
    if words:
        factors[layout.SPEAKER_FLAG] = SPEAKER_WEIGHT
    entries: tuple[dict[int, int], ...] = tuple({} for _ in range(layout.MASK_CHUNKS))
    entries[0][QUESTION_ID] = layout.QUESTION_FLAG
    for id in speakers:
        entries[0][id] = entries[0].get(id, 0) | 1 << layout.SPEAKER_BIT
    for id, bit in bits.items():
        chunk = entries[bit // layout.MASK_BITS]
        chunk[id] = chunk.get(id, 0) | 1 << bit % layout.MASK_BITS
    # Negative entries, since the operator <#> gives the negative inner product.
    first, second, third = (
        _vector_literal({id: -flags for id, flags in chunk.items()}) if chunk else None for chunk in entries
    )
    # Arrays as text: a driver looks at every item of a list.
    return {
        "first_mask": first,
        "second_mask": second,
        "third_mask": third,
        "mask_flags": _array(factors),
        "mask_factors": _array(factors.values()),
        "mask_lexemes": _array(bits),
        "mask_speakers": _array(speakers),
    }


def flags_of(words: Iterable[QueryWord]) -> list[int]:
    """The bits that `mask_values` gives each word of a query."""
    bits: dict[int, int] = {}
    flags = []
    for word in words:
        own = {bits.setdefault(id, layout.FIRST_LEXEME_BIT + len(bits)) for id in map(lexeme_id, word.alternatives)}
        flags.append(sum(1 << bit for bit in own))
    return flags


QUESTION_ID: Final = lexeme_id(_QUESTION)
"""The entry of a memory that is a question."""
