"""Embedders that run a model in this process: loaded once, when it is needed; texts in parts it can read."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

from .._forking import PerProcess
from .._model_calls import CheckedEmbedder
from ._parts import SMALLEST_PART_BYTES, LongTexts, check_long_texts, join_parts, parts_of
from ._prefixes import Prefixes
from ._settings import check_dim, check_model_name, check_number

BATCH_TEXTS = 64
"""Texts that a model is given together, at most."""


class LocalEmbedder(ABC):
    """Vectors from a model in this process. Thread-safe.

    Choosing it imports and loads nothing. The model is loaded by `warm_up` or with the first text, and again in a
    forked child, since threads of native libraries do not outlive a fork.

    Args:
        kind: the name of the embedder, before the colon.
        model: the library's name of the model, or a directory.
        dim: length of the vectors, shorter than the model's own; None for that.
        prefixes: what is put before texts.
        max_input_bytes: bytes of UTF-8 in a text, at most, at which `long_texts` begins; None for what the model reads.
        long_texts: what to do with a text that is too long: ``average`` embeds it in parts, whose average,
            weighted by length, stands for the whole; ``truncate`` embeds its beginning; ``refuse`` raises.

    Raises:
        InvalidRequestError: a setting is out of its range.
    """

    takes_threads: ClassVar[bool] = True
    """Whether several threads may use the model at a time."""

    def __init__(
        self,
        kind: str,
        model: str,
        *,
        dim: int | None = None,
        prefixes: Prefixes = Prefixes(),  # noqa: B008 - immutable
        max_input_bytes: int | None = None,
        long_texts: LongTexts = "average",
    ) -> None:
        self._name = check_model_name(kind, model)
        self._dim = self._wanted_dim = check_dim(dim)
        self.model = f"{kind}:{model}" if dim is None else f"{kind}:{model}:{dim}"
        self._prefixes = prefixes
        if max_input_bytes is not None:
            check_number("max_input_bytes", max_input_bytes, SMALLEST_PART_BYTES)
        self._max_input_bytes = max_input_bytes
        self._long_texts = check_long_texts(long_texts)
        self._loaded = PerProcess(self._load)
        self._lock = PerProcess(threading.Lock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    @property
    def dim(self) -> int | None:
        """Length of the vectors; None before the first of them, unless it was asked for."""
        return self._dim

    @property
    def is_symmetric(self) -> bool:
        """Whether the vector of a query is that of a document with the same text."""
        return self._prefixes.query == self._prefixes.document

    def warm_up(self) -> None:
        """Load the model, unless this process has it already. Takes seconds, and a download the first time."""
        self._loaded.get()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text."""
        return self._embed(texts, False)

    def embed_query(self, text: str) -> list[float]:
        """The vector to search with for a text."""
        return self._embed([text], True)[0]

    @abstractmethod
    def _load(self) -> Any:
        """The model, imported and loaded."""

    @abstractmethod
    def _vectors(self, model: Any, texts: list[str], is_query: bool) -> Any:
        """One vector per text, of a number of texts that a model can be given together."""

    def _longest(self, model: Any) -> int | None:
        """Bytes of UTF-8 that the model reads of a text; None if it reads texts of any length."""
        return None

    def _embed(self, texts: Sequence[str], is_query: bool) -> list[list[float]]:
        model = self._loaded.get()
        prefix = self._prefixes.query if is_query else self._prefixes.document
        most = self._longest(model) if self._max_input_bytes is None else self._max_input_bytes
        parts = parts_of(texts, most or sum(map(len, texts)) * 4 + 1, self._long_texts, self.model)
        vectors: list[list[float]] = []
        for start in range(0, len(parts), BATCH_TEXTS):
            batch = [prefix + part.text for part in parts[start : start + BATCH_TEXTS]]
            with nullcontext() if self.takes_threads else self._lock.get():
                made = self._vectors(model, batch, is_query)
            vectors += CheckedEmbedder(self).check(batch, made)
            self._dim = len(vectors[0])
        return join_parts(list(zip(parts, vectors, strict=True)))


def bytes_of(tokens: Any) -> int | None:
    """How long a text may be for a model that reads so many tokens: few texts have less than 3 bytes a token."""
    return max(3 * tokens, SMALLEST_PART_BYTES) if isinstance(tokens, int) and 0 < tokens < 2**20 else None
