"""Texts that are too long for a model: the parts they are embedded in, and the vector that stands for the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from ..errors import InvalidRequestError
from ._settings import check_choice

LongTexts: TypeAlias = Literal["average", "truncate", "refuse"]
"""What becomes of a text that is too long for a model."""
SMALLEST_PART_BYTES: Final = 64


def check_long_texts(value: LongTexts) -> LongTexts:
    """A value of the setting ``long_texts``."""
    checked: LongTexts = check_choice("long_texts", value, get_args(LongTexts))
    return checked


@dataclass(frozen=True, slots=True)
class Part:
    """A text, or a piece of one, as long as one input may be."""

    number: int
    text: str
    size: int


def split(number: int, text: str, most: int) -> Iterator[Part]:
    """The text in parts of at most `most` bytes, broken after a space where there is one."""
    data = text.encode()
    while len(data) > most:
        end = data.rfind(b" ", most // 2, most) + 1 or most
        while data[end] & 0b1100_0000 == 0b1000_0000:
            end -= 1
        yield Part(number, data[:end].decode(), end)
        data = data[end:]
    yield Part(number, data.decode(), len(data))


def parts_of(texts: Sequence[str], most: int, long_texts: LongTexts, model: str) -> list[Part]:
    """The texts in parts of at most `most` bytes, or the beginning of each.

    Raises:
        InvalidRequestError: `long_texts` is ``"refuse"``, and a text is longer.
    """
    parts: list[Part] = []
    for number, text in enumerate(texts):
        pieces = list(split(number, text, most))
        if len(pieces) > 1 and long_texts == "refuse":
            raise InvalidRequestError(
                f"embedder {model!r}: a text has {len(text.encode())} bytes, max_input_bytes are {most}; "
                "shorten it, or let the embedder do with long_texts='average' or 'truncate'"
            )
        parts += pieces[:1] if long_texts == "truncate" else pieces
    return parts


def join_parts(embedded: list[tuple[Part, list[float]]]) -> list[list[float]]:
    """One vector per text: of its only part, or the weighted average of its parts, of length 1."""
    groups: dict[int, list[tuple[int, list[float]]]] = {}
    for part, vector in embedded:
        groups.setdefault(part.number, []).append((part.size, vector))
    return [group[0][1] if len(group) == 1 else _average(group) for group in groups.values()]


def _average(group: list[tuple[int, list[float]]]) -> list[float]:
    weights = [size for size, _ in group]
    total = [
        sum(weight * value for weight, value in zip(weights, column, strict=True))
        for column in zip(*(vector for _, vector in group), strict=True)
    ]
    norm = math.hypot(*total) or 1.0
    return [value / norm for value in total]
