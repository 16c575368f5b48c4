"""An embedder without a model: words and pieces of words, hashed into a vector.

It needs nothing but the standard library and knows nothing of meaning; texts are alike as far as
their words are, in any language, with misspellings and inflections forgiven. The function belongs
to the model's name: a change to it needs a new name, since stored vectors are compared with new ones.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ..errors import InvalidRequestError
from ..ports.models import Vectors

NAME: Final = "hashing"
DEFAULT_DIM: Final = 256
MAX_DIM: Final = 16_000

_WORD = re.compile(r"\w+")
# A string, compiled at its first use, because that takes milliseconds.
_UNSPACED: Final = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
_CACHED_LENGTH: Final = 32
_BYTES_PER_CHARACTER: Final = 4


@lru_cache(16)
def create(model: str | None) -> HashingEmbedder:
    """The embedder for ``"hashing"`` or ``"hashing:<dim>"``."""
    if model is None:
        return HashingEmbedder()
    if not (model.isascii() and model.isdigit()):
        raise InvalidRequestError(f"embedder: 'hashing:{model}' does not end in a number; write 'hashing:512'")
    return HashingEmbedder(int(model))


class HashingEmbedder:
    """Signed feature hashing of words and of their 3- to 5-letter pieces.

    Scripts written without spaces between words, and texts of symbols only, give pieces of 1 to 3
    characters. Frequencies
    count by their logarithm, and the vectors have length 1. The same text gives the same vector on
    every machine and in every version. Thread-safe.

    Args:
        dim: length of the vectors, 1 to 16,000. Less than 128 makes unrelated texts look alike.

    Raises:
        InvalidRequestError: `dim` is out of range.
    """

    def __init__(self, dim: int = DEFAULT_DIM) -> None:
        if not isinstance(dim, int) or isinstance(dim, bool) or not 1 <= dim <= MAX_DIM:
            raise InvalidRequestError(f"embedder: hashing has 1 to {MAX_DIM} dimensions, not {dim!r}")
        self.dim = dim
        self.model = f"{NAME}:{dim}"

    def __repr__(self) -> str:
        return f"HashingEmbedder({self.dim})"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 per text."""
        return [self._embed(text) for text in texts]

    def _embed(self, text: str) -> list[float]:
        normal = unicodedata.normalize("NFKC", text).casefold()
        words = Counter(_WORD.findall(normal) or normal.split() or [normal])
        frequencies: Counter[int] = Counter()
        once: list[int] = []
        for word, count in words.items():
            features = _cached_features(word) if len(word) <= _CACHED_LENGTH else _features(word)
            if count == 1:
                once += features
            else:
                for feature in features:
                    frequencies[feature] += count
        frequencies.update(once)
        # A feature's lowest bit is its sign, and the other bits, modulo the dimensions, its index.
        width = 2 * self.dim
        halves = [0.0] * width
        for half, number in Counter([feature % width for feature, count in frequencies.items() if count == 1]).items():
            halves[half] += number
        for feature, count in frequencies.items():
            if count > 1:
                halves[feature % width] += 1.0 + math.log(count)
        vector = [plus - minus for minus, plus in zip(halves[::2], halves[1::2], strict=True)]
        norm = math.hypot(*vector)
        if norm == 0.0:
            vector[_hash(_encode(normal)) % self.dim] = norm = 1.0
        return [value / norm for value in vector]


@lru_cache(maxsize=4096)
def _cached_features(word: str) -> list[int]:
    return _features(word)


def _features(word: str) -> list[int]:
    """The hashes of a word and of its pieces, where ``<`` and ``>`` mark its ends."""
    marked = _encode(f"<{word}>")
    features = [_hash(marked)]
    is_spaced = _WORD.search(word) is not None and (word.isascii() or re.search(_UNSPACED, word) is None)
    for length in (3, 4, 5) if is_spaced else (1, 2, 3):
        width = length * _BYTES_PER_CHARACTER
        if width < len(marked):
            starts = range(0, len(marked) - width + 1, _BYTES_PER_CHARACTER)
            features += [_hash(marked[start : start + width]) for start in (starts if length > 1 else starts[1:-1])]
    return features


def _encode(text: str) -> bytes:
    return text.encode("utf-32-le", "surrogatepass")


_hash = zlib.crc32
