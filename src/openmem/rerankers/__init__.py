"""Rerankers: models that read the query and a memory together, to order what a search has found.

A third-party package offers a reranker through the entry-point group ``openmem.rerankers``: the
entry point's name is the reranker's, its value a function that gets the part after the colon, or
None, and returns a `Reranker`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from .._plugins import BuiltIn, Registry, translated
from ..errors import InvalidRequestError, ProviderError

ENTRY_POINT_GROUP: Final = "openmem.rerankers"


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


BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    "cohere": BuiltIn("openmem.rerankers.cohere", extra="cohere", needs=("cohere",)),
}


def resolve_reranker(spec: Any) -> Reranker:
    """The reranker behind the `reranker` argument of a client.

    Args:
        spec: an object with ``model`` and ``rerank``, which is returned as it is, or a name.

    Raises:
        InvalidRequestError: there is no such reranker, its settings are wrong, or the object is not one.
        ImportError: the reranker's extra is not installed; the message has the command.
    """
    return REGISTRY.resolve(spec)


def _check_reranker(reranker: Any) -> Reranker:
    if isinstance(reranker, type) or not isinstance(reranker, Reranker):
        raise REGISTRY.not_one(reranker)
    model: object = reranker.model
    if not isinstance(model, str) or not model.strip():
        raise InvalidRequestError(f"reranker: its model must be text that is not empty, not {model!r}")
    if not callable(reranker.rerank) or inspect.iscoroutinefunction(reranker.rerank):
        raise InvalidRequestError(
            f"reranker: rerank of {model!r} must be a plain function; a coroutine function is named arerank, beside it"
        )
    if not callable(getattr(reranker, "arerank", _check_reranker)):
        raise InvalidRequestError(f"reranker: arerank of {model!r} must be a coroutine function")
    return reranker


REGISTRY: Final = Registry("reranker", ENTRY_POINT_GROUP, BUILT_IN, _check_reranker, "model and rerank")


def rerank_checked(reranker: Reranker, query: str, texts: Sequence[str]) -> list[float]:
    """The scores of some texts, checked, from `Reranker.rerank`.

    Raises:
        ProviderError: the reranker failed, with its own exception as the cause, or its answer is not
            one number from 0 to 1 per text.
    """
    with translated(_name(reranker)):
        return _checked(reranker, texts, reranker.rerank(query, texts))


async def arerank_checked(reranker: Any, query: str, texts: Sequence[str]) -> list[float]:
    """Like `rerank_checked`, from the reranker's ``arerank``."""
    with translated(_name(reranker)):
        return _checked(reranker, texts, await reranker.arerank(query, texts))


def warm_up_checked(reranker: Reranker) -> None:
    """Let a reranker that has ``warm_up`` load its model.

    Raises:
        ProviderError: it failed, with its own exception as the cause.
    """
    warm_up = getattr(reranker, "warm_up", None)
    if warm_up is not None:
        with translated(_name(reranker)):
            warm_up()


def _name(reranker: Reranker) -> str:
    return f"reranker {reranker.model!r}"


def _checked(reranker: Reranker, texts: Sequence[str], scores: Any) -> list[float]:
    try:
        values = [float(score) for score in scores]
    except (TypeError, ValueError) as error:
        raise ProviderError(f"{_name(reranker)} returned something that is not a list of numbers") from error
    if len(values) != len(texts):
        raise ProviderError(f"{_name(reranker)} returned {len(values)} scores for {len(texts)} texts")
    for value in values:
        if math.isnan(value) or not 0.0 <= value <= 1.0:
            raise ProviderError(f"{_name(reranker)} returned the score {value}, which is not between 0 and 1")
    return values
