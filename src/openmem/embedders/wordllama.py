"""WordLlama: static word vectors that come inside the ``wordllama`` package, so no network and no key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from .._forking import PerProcess
from ..errors import InvalidRequestError

CONFIG: Final = "l2_supercat"
DIM: Final = 256

QUICK_CHARACTERS: Final = 512

_BATCH_CHARACTERS: Final = 65_536
_SLICE_TOKENS: Final = 4096

_loading = PerProcess(threading.Lock)
_loaded: list[Any] = []


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
            vectors.extend(_average(model.embedding, encoding.ids) for encoding in encodings)
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


def _model() -> Any:
    if not _loaded:
        with _loading.get():
            if not _loaded:
                _loaded.append(_load())
    return _loaded[0]


def _load() -> Any:
    with _root_logger_left_alone():
        import wordllama  # noqa: PLC0415 - it takes seconds, and logs while it does

    # The weights are found by themselves, but the tokenizer, in the same package, only as a cached file.
    package = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(CONFIG, cache_dir=package, dim=DIM, disable_download=True)
    model.tokenizer.no_padding()
    # This tokenizer takes a whole text for one word, and would keep the last 10,000 in each thread that embeds.
    # The public way, `cache_capacity`, is for a tokenizer that is built anew, not for one that is loaded.
    model.tokenizer.model._resize_cache(0)
    return model


@contextmanager
def _root_logger_left_alone() -> Iterator[None]:
    """Keep `logging.basicConfig`, which wordllama calls when imported, from setting up the application's logging.

    It does nothing where a handler exists. The one added here is what Python uses when there is none.
    """
    root, handler = logging.getLogger(), logging.lastResort
    if root.handlers or handler is None:
        handler = logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
