"""Parts that are chosen by name: those of this package, and those installed beside it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from ._extras import require_extra
from ._text import quoted
from .errors import InvalidRequestError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Which module of this package makes the part, and what must be installed for it."""

    module: str
    extra: str | None = None
    needs: tuple[str, ...] = ()


class Registry(Generic[T]):
    """The parts of one kind by ``"name"`` or ``"name:model"``.

    Args:
        kind: what they are, and the client's argument for them.
        group: entry-point group of the installed ones; an entry point is a function that gets the
            part after the colon, or None, and returns the object.
        built_in: the modules of this package, which have such a function, ``create``.
        check: returns an object that is one, and raises `InvalidRequestError` for any other.
        members: what an object of the user's needs, for messages.
    """

    def __init__(
        self, kind: str, group: str, built_in: Mapping[str, BuiltIn], check: Callable[[Any], T], members: str
    ) -> None:
        self._kind = kind
        self._group = group
        self._built_in = built_in
        self._check = check
        self._members = members
        self._found: dict[str, EntryPoint] = {}

    def resolve(self, spec: Any) -> T:
        """What a name stands for, or the object itself."""
        if not isinstance(spec, str):
            return self._check(spec)
        name, colon, model = spec.strip().partition(":")
        if name in self._built_in:
            place = self._built_in[name]
            if place.extra is not None:
                require_extra(f"{self._kind}={spec!r}", place.extra, place.needs)
            built_in: T = importlib.import_module(place.module).create(model if colon else None)
            return built_in
        return self._check(self._find_installed(name).load()(model if colon else None))

    def wrong_type(self, thing: Any) -> InvalidRequestError:
        """The error for an object that is something else."""
        kind = f"the class {thing.__name__}" if isinstance(thing, type) else f"of type {type(thing).__name__}"
        article = "an" if self._kind[0] in "aeiou" else "a"
        names = entry_points(group=self._group).names
        return InvalidRequestError(f"{self._kind}: it is {kind}, not {article} {self._kind}; {self._choices(names)}")

    def _find_installed(self, name: str) -> EntryPoint:
        """A third-party part. Once found it is remembered, since reading the metadata takes milliseconds."""
        if name not in self._found:
            installed = entry_points(group=self._group)
            if name not in installed.names:
                raise InvalidRequestError(
                    f"{self._kind}: there is no {quoted(name, 'such name')}; {self._choices(installed.names)}"
                )
            self._found[name] = installed[name]
        return self._found[name]

    def _choices(self, installed: set[str]) -> str:
        names = ", ".join(sorted({*self._built_in, *installed}))
        return f"choose from {names}, or pass an object with {self._members}"
