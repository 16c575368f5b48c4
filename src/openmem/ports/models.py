"""Embedders and rerankers: what an object must have to be one, and how the logic sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

Vectors: TypeAlias = Sequence[Sequence[float]]


@runtime_checkable
class Embedder(Protocol):
    """What openmem needs of an embedder.

    Attributes:
        model: name of the model. Stored with every vector; only vectors of one model are compared.
        dim: length of the vectors; None while the embedder does not know it, before the first of them.

    An embedder may also have:

    * ``embed_query``, a function from one text to its vector, if the model tells queries from documents: `search` and
      `context` call it for the query, and `embed` is only called for memories;
    * ``is_symmetric``, true if ``embed_query`` gives what `embed` gives for the text, which is then called instead;
    * ``aembed`` and ``aembed_query``, coroutine functions like the plain ones, which `AsyncMemory` prefers;
    * ``warm_up``, a method without arguments that loads what the first `embed` would have to load;
      `AsyncMemory` calls it in a thread when it opens;
    * ``quick_characters``, a number of characters. `embed` and ``embed_query`` take less time for texts of up to so
      many than it takes to hand them to a thread, some tenths of a millisecond, so that `AsyncMemory` calls them on
      the event loop;
    * ``close`` or ``aclose``, called when openmem made the embedder itself from a name.
    """

    model: str

    @property
    def dim(self) -> int | None: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of `dim` finite numbers per text, in order. May block; may run in any thread."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """What openmem needs of a reranker.

    Attributes:
        model: name of the model, for messages.

    A reranker may also have:

    * ``arerank``, a coroutine function like `rerank`, which `AsyncMemory` prefers;
    * ``warm_up``, a method without arguments that loads what the first `rerank` would have to load;
      `AsyncMemory` calls it in a thread when it opens;
    * ``close`` or ``aclose``, called when openmem made the reranker itself from a name.
    """

    model: str

    def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers the query, from 0 to 1, in order. May block; may run in any thread."""
        ...


class EmbedderIO(Protocol):
    """An embedder that does not block its caller's loop."""

    model: str

    async def embed(self, texts: Sequence[str], *, has_turn: bool = False) -> Vectors:
        """One vector per text, all of one length, checked.

        Args:
            has_turn: whether the texts are quick, and the caller has taken its turn.
        """
        ...

    async def embed_query(self, text: str, *, has_turn: bool = False) -> Sequence[float]:
        """The vector to search with for a text, checked; that of `embed` if the model does not tell queries apart.

        Args:
            has_turn: as in `embed`.
        """
        ...

    def is_quick(self, text: str) -> bool:
        """Whether a text is embedded where that is asked for, as a piece of work for `Ports.take_turn`."""
        ...

    async def load(self) -> None:
        """Load the model now if waiting for the first text would hold up others."""
        ...

    async def close(self) -> None:
        """Release what the embedder holds, unless it is the user's own object. Idempotent."""
        ...


class RerankerIO(Protocol):
    """A reranker that does not block its caller's loop."""

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score from 0 to 1 per text, checked."""
        ...

    async def load(self) -> None:
        """Load the model now if waiting for the first query would hold up others."""
        ...

    async def close(self) -> None:
        """Release what the reranker holds, unless it is the user's own object. Idempotent."""
        ...
