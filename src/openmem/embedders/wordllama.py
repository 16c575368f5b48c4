"""WordLlama: static word vectors that come inside the ``wordllama`` package, so no network and no key."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._forking import PerProcess
from ..errors import InvalidRequestError

CONFIG: Final = "l2_supercat"
DIM: Final = 256
WEIGHTS: Final = f"weights/{CONFIG}_{DIM}.safetensors"
TOKENIZER: Final = f"tokenizers/{CONFIG}_tokenizer_config.json"
"""Files of the package."""
TENSOR: Final = "embedding.weight"

QUICK_CHARACTERS: Final = 512

_BATCH_CHARACTERS: Final = 65_536
_SLICE_TOKENS: Final = 4096


class _Model(NamedTuple):
    tokenizer: Any
    table: Any
    """A row of 32-bit numbers for each word piece."""


_loading = PerProcess(threading.Lock)
_loaded: list[_Model] = []


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

    The model takes about 50 MB, is loaded once per process, by `warm_up` or with the first text, and
    is shared by all instances. Texts of any length are read to their end.
    """

    def __init__(self) -> None:
        self.model = f"wordllama:{CONFIG}-{DIM}"
        self.dim = DIM

    def __repr__(self) -> str:
        return "WordLlamaEmbedder()"

    @property
    def quick_characters(self) -> int:
        """How much text is embedded faster than it is handed to a thread: none before the model is loaded."""
        return QUICK_CHARACTERS if _loaded else 0

    def warm_up(self) -> None:
        """Load the model, unless this process has it already. Takes some tenths of a second."""
        _model()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 per text."""
        model = _model()
        vectors: list[list[float]] = []
        for batch in _batches(texts):
            encodings = model.tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            vectors.extend(_average(model.table, encoding.ids) for encoding in encodings)
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


def _average(table: Any, ids: list[int]) -> list[float]:
    """The direction of the mean of some rows, gathered in slices to bound the memory."""
    total = table[ids[:_SLICE_TOKENS]].sum(axis=0)
    for start in range(_SLICE_TOKENS, len(ids), _SLICE_TOKENS):
        total += table[ids[start : start + _SLICE_TOKENS]].sum(axis=0)
    norm = float((total @ total) ** 0.5)
    vector: list[float] = (total / norm).tolist()
    return vector


def _model() -> _Model:
    if not _loaded:
        with _loading.get():
            if not _loaded:
                _loaded.append(_load())
    return _loaded[0]


def _load() -> _Model:
    # Importing wordllama itself would take longer than all the rest, as it imports what downloads and trains models.
    import numpy  # noqa: PLC0415 - it takes a tenth of a second
    from tokenizers import Tokenizer  # noqa: PLC0415

    package = _package()
    tokenizer = Tokenizer.from_file(str(package / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # This tokenizer takes a whole text for one word, and would keep the last 10,000 in each thread that embeds.
    # The public way, `cache_capacity`, is for a tokenizer that is built anew, not for one that is loaded.
    tokenizer.model._resize_cache(0)
    with open(package / WEIGHTS, "rb") as file:
        # https://huggingface.co/docs/safetensors has the format: a length, a header of this length, the numbers.
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))[TENSOR]
        begin, end = header["data_offsets"]
        numbers = numpy.fromfile(file, "<f2", (end - begin) // 2, offset=begin)
    table = numbers.astype(numpy.float32).reshape(header["shape"])
    return _Model(tokenizer, table)


def _package() -> Path:
    """The directory of the package ``wordllama``, which is not imported."""
    found = importlib.util.find_spec("wordllama")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'wordllama'", name="wordllama")
    return Path(found.origin).parent
