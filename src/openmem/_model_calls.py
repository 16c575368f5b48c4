"""Calls of embedders and rerankers: what every such object must have, what its failures become, what its answers are.

Pure: which thread calls is the business of `openmem.drivers`.
"""

from __future__ import annotations

import inspect
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar, cast

from .errors import InvalidRequestError, OMPError, ProviderError
from .ports.models import Embedder, Reranker

M = TypeVar("M", bound=Embedder | Reranker)


def check_model(kind: str, methods: Sequence[str], thing: Embedder | Reranker) -> None:
    """Raise `InvalidRequestError` unless an object has a name, and functions of the right kind.

    Args:
        kind: what it is, as in ``"embedder"``.
        methods: what it does: what it must have, then what it may have. A coroutine function is named as the plain
            one after an ``a``.
    """
    model: object = thing.model
    if not isinstance(model, str) or not model.strip() or not _is_storable(model):
        raise InvalidRequestError(f"{kind}: its model must be text that is not empty, not {model!r}")
    required, *optional = methods
    for method in (required, *(name for name in optional if hasattr(thing, name) or hasattr(thing, f"a{name}"))):
        _check_method(kind, method, model, thing)


def _check_method(kind: str, method: str, model: str, thing: object) -> None:
    function = getattr(thing, method, None)
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise InvalidRequestError(
            f"{kind}: {method} of {model!r} must be a plain function; "
            f"a coroutine function is named a{method}, beside it"
        )
    if not callable(getattr(thing, f"a{method}", function)):
        raise InvalidRequestError(f"{kind}: a{method} of {model!r} must be a coroutine function")


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class CheckedModel(Generic[M]):
    """An embedder or a reranker whose failures are translated.

    Attributes:
        model: the object itself.
        name: what messages call it.
        has_coroutines: whether it has a coroutine function of its own for what it must do.
    """

    kind: ClassVar[str]
    method: ClassVar[str]

    def __init__(self, model: M) -> None:
        self.model = model
        self.name = f"{self.kind} {model.model!r}"
        self.has_coroutines = hasattr(model, f"a{self.method}")

    def warm_up(self) -> None:
        """Let the model load, if it has ``warm_up``.

        Raises:
            ProviderError: it failed, with its own exception as the cause.
        """
        warm_up = getattr(self.model, "warm_up", None)
        if warm_up is not None:
            with self.translate_errors():
                warm_up()

    @property
    def close(self) -> Callable[[], None] | None:
        """Its ``close``, if it has one."""
        return cast("Callable[[], None] | None", getattr(self.model, "close", None))

    async def aclose(self) -> bool:
        """Call its ``aclose``, and return whether it has one."""
        aclose = getattr(self.model, "aclose", None)
        if aclose is not None:
            await aclose()
        return aclose is not None

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn the model's own exception into ours, whose message leaves out what may be a secret."""
        try:
            yield
        except OMPError:
            raise
        except Exception as error:
            may_pass = isinstance(error, TimeoutError | ConnectionError)
            raise ProviderError(
                f"{self.name} failed with {type(error).__name__}; see the __cause__ of this error",
                code="provider_unavailable" if may_pass else None,
            ) from error

    def _bad_answer(self, what: str) -> ProviderError:
        return ProviderError(f"{self.name} returned {what}")


class CheckedEmbedder(CheckedModel[Embedder]):
    """An embedder whose vectors are checked. Its methods raise `ProviderError` for a failure and for a wrong answer."""

    kind = "embedder"
    method = "embed"

    def __init__(self, model: Embedder) -> None:
        super().__init__(model)
        self._dim: int | None = None

    @property
    def dim(self) -> int | None:
        """Length of the vectors: what the embedder says, else that of the first one."""
        return self.model.dim or self._dim

    @property
    def tells_queries(self) -> bool:
        """Whether the vector of a query is another than that of a document."""
        return hasattr(self.model, "embed_query") and not getattr(self.model, "is_symmetric", False)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, from `Embedder.embed`."""
        with self.translate_errors():
            return self.check(texts, self.model.embed(texts))

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, from the embedder's ``aembed``."""
        with self.translate_errors():
            return self.check(texts, await cast(Any, self.model).aembed(texts))

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector to search with per text, from the embedder's ``embed_query`` if it tells queries apart."""
        if not self.tells_queries:
            return self.embed(texts)
        with self.translate_errors():
            return self.check(texts, [cast(Any, self.model).embed_query(text) for text in texts])

    async def aembed_query(self, text: str) -> list[float]:
        """The vector to search with for a text, from the embedder's ``aembed_query``."""
        with self.translate_errors():
            [vector] = self.check([text], [await cast(Any, self.model).aembed_query(text)])
        return vector

    def check(self, texts: Sequence[object], vectors: Any) -> list[list[float]]:
        """An answer as lists of floats.

        Args:
            vectors: sequences of numbers, or arrays of any library that have ``tolist``.

        Raises:
            ProviderError: there is not one vector per text, or one has the wrong length or is not made
                of finite numbers.
        """
        rows = self._as_list(vectors)
        if len(rows) != len(texts):
            raise self._bad_answer(f"{len(rows)} vectors for {len(texts)} texts")
        return [self._check_row(row, number) for number, row in enumerate(rows, 1)]

    def _check_row(self, row: Any, number: int) -> list[float]:
        items = self._as_list(row)
        dim = self.dim or len(items)
        if len(items) != dim or not dim:
            raise self._bad_answer(f"a vector of {len(items)} numbers, while its dim is {dim}")
        values = items.copy()
        if set(map(type, items)) != {float}:
            try:
                values = array("d", items).tolist()
            except (TypeError, OverflowError) as error:
                raise self._bad_answer(f"something that is not a number, in vector {number}") from error
        # A finite sum shows in one step that all are finite. Only if it is not, each is checked.
        if not math.isfinite(sum(values)) and not all(map(math.isfinite, values)):
            raise self._bad_answer(f"NaN or infinity, in vector {number}")
        self._dim = dim
        return values

    def _as_list(self, values: Any) -> list[Any]:
        tolist: Callable[[], Any] | None = getattr(values, "tolist", None)
        items = values if tolist is None else tolist()
        if isinstance(items, list):
            return items
        if not isinstance(items, Sequence) or isinstance(items, str | bytes | bytearray):
            raise self._bad_answer(f"{type(values).__name__} where a sequence was expected")
        return list(items)


class CheckedReranker(CheckedModel[Reranker]):
    """A reranker whose scores are checked. Its methods raise `ProviderError` for a failure and for a wrong answer."""

    kind = "reranker"
    method = "rerank"

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score from 0 to 1 per text, from `Reranker.rerank`."""
        with self.translate_errors():
            return self._check(texts, self.model.rerank(query, texts))

    async def arerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score from 0 to 1 per text, from the reranker's ``arerank``."""
        with self.translate_errors():
            return self._check(texts, await cast(Any, self.model).arerank(query, texts))

    def _check(self, texts: Sequence[str], scores: Any) -> list[float]:
        try:
            values = [float(score) for score in scores]
        except (TypeError, ValueError) as error:
            raise self._bad_answer("something that is not a list of numbers") from error
        if len(values) != len(texts):
            raise self._bad_answer(f"{len(values)} scores for {len(texts)} texts")
        for value in values:
            if math.isnan(value) or not 0.0 <= value <= 1.0:
                raise self._bad_answer(f"the score {value}, which is not between 0 and 1")
        return values
