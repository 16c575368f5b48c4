"""Settings that embedders have in common: how they are checked, and how a model and its dimensions are written."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidRequestError


def check_model_name(kind: str, model: Any) -> str:
    """The name of a model, which must be text that is not empty."""
    if not isinstance(model, str) or not model.strip():
        raise InvalidRequestError(f"embedder: '{kind}:' needs the name of a model after the colon")
    return model


def check_dim(dim: Any) -> int | None:
    """The length of vectors that was asked for, if any."""
    return None if dim is None else check_number("dim", dim, 1)


def check_number(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidRequestError(f"embedder: {name} must be a whole number from {least}, not {value!r}")
    return value


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> Any:
    """One of some words."""
    if value not in choices:
        raise InvalidRequestError(f"embedder: {name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def check_text(name: str, value: Any) -> str:
    """A text, which may be empty."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"embedder: {name} must be text, not of type {type(value).__name__}")
    return value


def split_dim(model: str) -> tuple[str, int | None]:
    """The model and the dimensions in ``"model"`` or ``"model:dim"``; a name may have colons of its own."""
    name, _, last = model.rpartition(":")
    return (name, int(last)) if name and last.isascii() and last.isdigit() else (model, None)
