"""Rerankers: models that read the query and a memory together, to order what a search has found.

A third-party package offers a reranker through the entry-point group ``openmem.rerankers``: the
entry point's name is the reranker's, its value a function that gets the part after the colon, or
None, and returns a `Reranker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .._model_calls import check_model
from .._plugins import BuiltIn, PartRegistry
from ..ports import Ports
from ..ports.models import Reranker, RerankerIO

__all__ = ["Reranker", "reranker_for", "resolve_reranker"]

ENTRY_POINT_GROUP: Final = "openmem.rerankers"


BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    "cohere": BuiltIn("openmem.rerankers.cohere"),
}


def resolve_reranker(spec: Reranker | str) -> Reranker:
    """The reranker behind the `reranker` argument of a client.

    Args:
        spec: an object with ``model`` and ``rerank``, which is returned as it is, or a name.

    Raises:
        InvalidRequestError: there is no such reranker, its settings are wrong, or the object is not one.
        ImportError: the reranker's extra is not installed; the message has the command.
    """
    return REGISTRY.resolve(spec)


def reranker_for(spec: Reranker | str, ports: Ports) -> RerankerIO:
    """The reranker behind the `reranker` argument of a client, safe to call. Raises as `resolve_reranker` does.

    The client closes a reranker that was made from its name, and leaves the user's own open.
    """
    reranker = resolve_reranker(spec)
    return ports.reranker(reranker, owned=reranker is not spec)


def _check_reranker(reranker: Any) -> Reranker:
    if isinstance(reranker, type) or not isinstance(reranker, Reranker):
        raise REGISTRY.wrong_type(reranker)
    check_model("reranker", ("rerank",), reranker)
    return reranker


REGISTRY: Final = PartRegistry("reranker", ENTRY_POINT_GROUP, BUILT_IN, _check_reranker, "model and rerank")
