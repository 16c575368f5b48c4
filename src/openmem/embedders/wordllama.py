"""WordLlama: static word vectors that come inside the ``wordllama`` package, so no network and no key."""

from __future__ import annotations

import importlib.util
import json
import math
import mmap
import struct
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from .._forking import PerProcess
from ..errors import InvalidRequestError

CONFIG: Final = "l2_supercat"
DIM: Final = 256
WEIGHTS: Final = f"weights/{CONFIG}_{DIM}.safetensors"
TOKENIZER: Final = f"tokenizers/{CONFIG}_tokenizer_config.json"
"""Files of the package."""
TENSOR: Final = "embedding.weight"

QUICK_CHARACTERS: Final = 512

FEW_PIECES: Final = 2048
"""Word pieces that a process reads in the file, before it takes all of them into memory."""

_BATCH_CHARACTERS: Final = 65_536
_SLICE_PIECES: Final = 4096


@cache
def create(model: str | None) -> WordLlamaEmbedder:
    """The embedder for ``"wordllama"`` or its full name."""
    if model not in (None, f"{CONFIG}-{DIM}"):
        raise InvalidRequestError(
            f"embedder: 'wordllama:{model}' is not in the wordllama package; it has 'wordllama:{CONFIG}-{DIM}'"
        )
    return WordLlamaEmbedder()


class WordLlamaEmbedder:
    """Averages of word-piece vectors, of length 1. Thread-safe.

    The model is loaded once per process and shared by all instances. It takes about 50 MB after `warm_up`, or after
    `FEW_PIECES` word pieces, and 20 MB before. Texts of any length are read to their end.
    """

    def __init__(self) -> None:
        self.model = f"wordllama:{CONFIG}-{DIM}"
        self.dim = DIM

    def __repr__(self) -> str:
        return "WordLlamaEmbedder()"

    @property
    def quick_characters(self) -> int:
        """How much text is embedded faster than it is handed to a thread: none before all of the model is loaded."""
        return QUICK_CHARACTERS if _loaded and _loaded[0].is_whole else 0

    def warm_up(self) -> None:
        """Load all of the model, unless this process has it already. Takes some tenths of a second."""
        _model().load_all()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 per text."""
        model = _model()
        vectors: list[list[float]] = []
        for batch in _batches(texts):
            pieces = [encoding.ids for encoding in model.tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
            vectors.extend(map(_direction, model.sums(pieces)))
        return vectors


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in lists of bounded total length; what has no tokens becomes a space, which has one."""
    batch: list[str] = []
    length = 0
    for text in texts:
        if batch and length + len(text) > _BATCH_CHARACTERS:
            yield batch
            batch, length = [], 0
        batch.append(text or " ")
        length += len(text)
    if batch:
        yield batch


def _direction(total: list[float]) -> list[float]:
    norm = math.hypot(*total)
    return [number / norm for number in total]


class _Rows:
    """The vectors of word pieces where they stand in the file."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            # https://huggingface.co/docs/safetensors has the format: a length, a header of this length, the numbers.
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))[TENSOR]
            self._begin = 8 + size + header["data_offsets"][0]
            self._pieces, dim = header["shape"]
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._row = struct.Struct(f"<{dim}e")

    def sum(self, pieces: list[int]) -> list[float]:
        rows = [self._row.unpack_from(self._file, self._begin + piece * self._row.size) for piece in pieces]
        return list(map(sum, zip(*rows, strict=True)))

    def table(self) -> _Table:
        import numpy  # noqa: PLC0415 - it takes a tenth of a second

        count = self._pieces * self._row.size // 2
        numbers = numpy.frombuffer(self._file, "<f2", count, self._begin)
        return _Table(numbers.astype(numpy.float32).reshape(self._pieces, -1))


class _Table:
    """The vectors of word pieces in memory."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def sum(self, pieces: list[int]) -> list[float]:
        # With 64 bits, sums of 16-bit numbers are exact in whichever order, so that they are those of `_Rows`.
        total = self._rows.take(pieces[:_SLICE_PIECES], axis=0).sum(axis=0, dtype="f8")
        for start in range(_SLICE_PIECES, len(pieces), _SLICE_PIECES):
            total += self._rows.take(pieces[start : start + _SLICE_PIECES], axis=0).sum(axis=0, dtype="f8")
        numbers: list[float] = total.tolist()
        return numbers


class _Model:
    """The tokenizer, and the vectors: all of them in memory once that pays off. Thread-safe."""

    def __init__(self, package: Path) -> None:
        # Importing wordllama itself would take longer than all the rest, as it imports what downloads and trains.
        from tokenizers import Tokenizer  # noqa: PLC0415

        self.tokenizer: Any = Tokenizer.from_file(str(package / TOKENIZER))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        # This tokenizer takes a whole text for one word, and would keep the last 10,000 in each thread that embeds.
        # The public way, `cache_capacity`, is for a tokenizer that is built anew, not for one that is loaded.
        self.tokenizer.model._resize_cache(0)
        self._vectors: _Rows | _Table = _Rows(package / WEIGHTS)
        self._few = FEW_PIECES

    @property
    def is_whole(self) -> bool:
        return isinstance(self._vectors, _Table)

    def load_all(self) -> None:
        with _loading.get():
            if isinstance(self._vectors, _Rows):
                self._vectors = self._vectors.table()

    def sums(self, texts: list[list[int]]) -> Iterator[list[float]]:
        """The sum of the vectors of each text's word pieces."""
        if not self.is_whole:
            self._few -= sum(map(len, texts))
            if self._few < 0:
                self.load_all()
        return map(self._vectors.sum, texts)


_loading = PerProcess(threading.Lock)
_loaded: list[_Model] = []


def _model() -> _Model:
    if not _loaded:
        with _loading.get():
            if not _loaded:
                _loaded.append(_load())
    return _loaded[0]


def _load() -> _Model:
    return _Model(_package())


def _package() -> Path:
    """The directory of the package ``wordllama``, which is not imported."""
    found = importlib.util.find_spec("wordllama")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'wordllama'", name="wordllama")
    return Path(found.origin).parent
