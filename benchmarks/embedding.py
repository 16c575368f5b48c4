"""An embedder that embeds each text once, and keeps the vectors on disk if it is told where."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from openmem.ports.models import Embedder

Array = NDArray[np.float32]
BATCH: Final = 64


class Remembering:
    """Another embedder whose vectors are remembered, so that no text is embedded twice.

    Attributes:
        quick_characters: to look a vector up takes less than to hand it to a thread, however long the texts are.
    """

    quick_characters: Final = 2**31

    def __init__(self, embedder: Embedder, folder: Path | None = None) -> None:
        """
        Args:
            folder: where `save` writes the vectors and where those of an earlier run are read from.
        """
        self._embedder = embedder
        self._documents = _Vectors(embedder.embed, _file(folder, embedder.model, "documents"))
        self._queries = self._documents
        embed_query = getattr(embedder, "embed_query", None)
        if embed_query is not None and not getattr(embedder, "is_symmetric", False):
            self._queries = _Vectors(
                lambda texts: [embed_query(text) for text in texts], _file(folder, embedder.model, "queries")
            )
            self.embed_query = self._query

    def __getattr__(self, name: str) -> Any:
        if name in {"embed_query", "aembed", "aembed_query"}:
            raise AttributeError(name)
        return getattr(self._embedder, name)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return cast(list[list[float]], self._documents.of(texts).tolist())

    def _query(self, text: str) -> list[float]:
        [vector] = self._queries.of([text]).tolist()
        return cast(list[float], vector)

    def documents(self, texts: Sequence[str]) -> Array:
        """The vectors of memories, a row each, of length 1."""
        return _unit(self._documents.of(texts))

    def queries(self, texts: Sequence[str]) -> Array:
        """The vectors of questions, a row each, of length 1."""
        return _unit(self._queries.of(texts))

    def read(self, memories: Iterable[str], questions: Iterable[str], advance: Callable[[int], object]) -> None:
        """Embed texts that are going to be needed."""
        self._documents.read(memories, advance)
        self._queries.read(questions, advance)

    def save(self) -> None:
        """Write the vectors to the folder, if there is one."""
        for vectors in (self._documents, self._queries):
            vectors.save()


class _Vectors:
    """The vectors of texts, by a digest of each."""

    def __init__(self, embed: Callable[[Sequence[str]], Sequence[Sequence[float]]], file: Path | None) -> None:
        self._embed = embed
        self._file = file
        self._known: dict[str, Array] = {}
        if file is not None and file.exists():
            with np.load(file) as saved:
                self._known = dict(zip(saved["digests"].tolist(), saved["vectors"], strict=True))
        self._saved = len(self._known)

    def of(self, texts: Sequence[str]) -> Array:
        self.read(texts, lambda _: None)
        return np.array([self._known[_digest(text)] for text in texts])

    def read(self, texts: Iterable[str], advance: Callable[[int], object]) -> None:
        every = list(texts)
        missing = list({_digest(text): text for text in every if _digest(text) not in self._known}.items())
        advance(len(every) - len(missing))
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            for (digest, _), vector in zip(batch, self._embed([text for _, text in batch]), strict=True):
                self._known[digest] = np.asarray(vector, dtype=np.float32)
            advance(len(batch))

    def save(self) -> None:
        if self._file is None or len(self._known) == self._saved:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(self._file, digests=np.array(list(self._known)), vectors=np.array(list(self._known.values())))
        self._saved = len(self._known)


def _file(folder: Path | None, model: str, kind: str) -> Path | None:
    return None if folder is None else folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', model)}-{kind}.npz"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return unit
