"""Embedders: from texts to vectors, by name, by ``"provider:model"``, or any object of the user's.

Choosing an embedder is cheap: nothing heavy is imported, and no model is loaded, before `warm_up`
is called or the first text is embedded.

A third-party package offers an embedder through the entry-point group ``openmem.embedders``: the
entry point's name is the embedder's, its value a function that gets the part after the colon, or
None, and returns an `Embedder`.
"""

from __future__ import annotations

import inspect
import logging
import math
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, Protocol, cast, runtime_checkable

from .._extras import is_installed
from .._plugins import BuiltIn, Registry, translated
from ..errors import InvalidRequestError, ProviderError
from ..ports.models import Vectors

ENTRY_POINT_GROUP: Final = "openmem.embedders"
ENVIRONMENT_VARIABLE: Final = "OPENMEM_EMBEDDER"

logger = logging.getLogger("openmem.embedders")


@runtime_checkable
class Embedder(Protocol):
    """What openmem needs of an embedder.

    Attributes:
        model: name of the model. Stored with every vector; only vectors of one model are compared.
        dim: length of the vectors.

    An embedder may also have:

    * ``aembed``, a coroutine function like `embed`, which `AsyncMemory` prefers;
    * ``warm_up``, a method without arguments that loads what the first `embed` would have to load;
      `AsyncMemory` calls it in a thread when it opens;
    * ``quick_characters``, up to how many characters of text `embed` takes less time at the moment than
      it takes to hand them to a thread, some tenths of a millisecond; `AsyncMemory` then calls it in place;
    * ``close`` or ``aclose``, called when openmem made the embedder itself from a name.
    """

    model: str
    dim: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of `dim` finite numbers per text, in order. May block; may run in any thread."""
        ...


BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    "wordllama": BuiltIn("openmem.embedders.wordllama", extra="local", needs=("wordllama",)),
    "hashing": BuiltIn("openmem.embedders.hashing"),
    "openai": BuiltIn("openmem.embedders.openai", extra="openai", needs=("openai",)),
}


def resolve_embedder(spec: Any) -> Embedder:
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
        raise REGISTRY.not_one(embedder)
    model, dim = cast(object, embedder.model), cast(object, embedder.dim)
    if not isinstance(model, str) or not model.strip() or not _is_storable(model):
        raise InvalidRequestError(f"embedder: its model must be text that is not empty, not {model!r}")
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < 1:
        raise InvalidRequestError(f"embedder: the dim of {model!r} must be a whole number from 1, not {dim!r}")
    if not callable(embedder.embed) or inspect.iscoroutinefunction(embedder.embed):
        raise InvalidRequestError(
            f"embedder: embed of {model!r} must be a plain function; a coroutine function is named aembed, beside it"
        )
    if not callable(getattr(embedder, "aembed", _check_embedder)):
        raise InvalidRequestError(f"embedder: aembed of {model!r} must be a coroutine function")
    return embedder


REGISTRY: Final = Registry("embedder", ENTRY_POINT_GROUP, BUILT_IN, _check_embedder, "model, dim and embed")


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def embed_checked(embedder: Embedder, texts: Sequence[str]) -> list[list[float]]:
    """The vectors of some texts, checked, from `Embedder.embed`.

    Raises:
        ProviderError: the embedder failed, with its own exception as the cause, or its answer is
            not one vector of finite numbers and the right length per text.
    """
    with translated(f"embedder {embedder.model!r}"):
        return checked(embedder, texts, embedder.embed(texts))


async def aembed_checked(embedder: Any, texts: Sequence[str]) -> list[list[float]]:
    """Like `embed_checked`, from the embedder's ``aembed``."""
    with translated(f"embedder {embedder.model!r}"):
        return checked(embedder, texts, await embedder.aembed(texts))


def warm_up_checked(embedder: Embedder) -> None:
    """Let an embedder that has ``warm_up`` load its model.

    Raises:
        ProviderError: it failed, with its own exception as the cause.
    """
    warm_up = getattr(embedder, "warm_up", None)
    if warm_up is not None:
        with translated(f"embedder {embedder.model!r}"):
            warm_up()


def checked(embedder: Embedder, texts: Sequence[object], vectors: Any) -> list[list[float]]:
    """An embedder's answer as lists of floats.

    Args:
        vectors: sequences of numbers, or arrays of any library that have ``tolist``.

    Raises:
        ProviderError: there is not one vector per text, or one has the wrong length or is not made
            of finite numbers.
    """
    rows = _as_list(embedder, vectors)
    if len(rows) != len(texts):
        raise _bad_answer(embedder, f"{len(rows)} vectors for {len(texts)} texts")
    return [_checked_row(embedder, row, number) for number, row in enumerate(rows, 1)]


def _checked_row(embedder: Embedder, row: Any, number: int) -> list[float]:
    items = _as_list(embedder, row)
    if len(items) != embedder.dim:
        raise _bad_answer(embedder, f"a vector of {len(items)} numbers, while its dim is {embedder.dim}")
    values = items.copy()
    if set(map(type, items)) != {float}:
        try:
            values = array("d", items).tolist()
        except (TypeError, OverflowError) as error:
            raise _bad_answer(embedder, f"something that is not a number, in vector {number}") from error
    # The sum tells in one step that all are finite; only if it is not, each is looked at.
    if not math.isfinite(sum(values)) and not all(map(math.isfinite, values)):
        raise _bad_answer(embedder, f"NaN or infinity, in vector {number}")
    return values


def _as_list(embedder: Embedder, values: Any) -> list[Any]:
    tolist: Callable[[], Any] | None = getattr(values, "tolist", None)
    items = values if tolist is None else tolist()
    if isinstance(items, list):
        return items
    if not isinstance(items, Sequence) or isinstance(items, str | bytes | bytearray):
        raise _bad_answer(embedder, f"{type(values).__name__} where a sequence was expected")
    return list(items)


def _bad_answer(embedder: Embedder, what: str) -> ProviderError:
    return ProviderError(f"embedder {embedder.model!r} returned {what}")
