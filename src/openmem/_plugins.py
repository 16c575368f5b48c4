"""What is chosen by name: providers, embedders and rerankers, of this package and of those installed beside it."""

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
    """Where a choice of this package is, and what must be installed for it."""

    module: str
    attribute: str = "create"
    extra: str | None = None
    needs: tuple[str, ...] = ()


class Registry:
    """The choices of one kind by name.

    Args:
        kind: what they are, and the client's argument for them.
        group: entry-point group of the installed ones.
        built_in: those of this package.
        error: what is raised for a name that stands for nothing.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        built_in: Mapping[str, BuiltIn],
        error: type[InvalidRequestError] = InvalidRequestError,
    ) -> None:
        self._kind = kind
        self._group = group
        self._built_in = built_in
        self._error = error
        self._found: dict[str, EntryPoint] = {}

    def is_built_in(self, name: str) -> bool:
        """Whether this package has it."""
        return name in self._built_in

    def load(self, name: str, spec: str | None = None) -> Any:
        """What a name stands for.

        Args:
            spec: what was given for it, for the message; by default the name.

        Raises:
            InvalidRequestError: nothing has this name; or the subclass that was chosen for that.
            ImportError: an extra is not installed; the message has the command.
        """
        if name in self._built_in:
            choice = self._built_in[name]
            if choice.extra is not None:
                require_extra(f"{self._kind}={spec or name!r}", choice.extra, choice.needs)
            return getattr(importlib.import_module(choice.module), choice.attribute)
        return self._installed(name).load()

    def choices(self) -> str:
        """The names there are, for messages."""
        return f"choose from {', '.join(sorted({*self._built_in, *entry_points(group=self._group).names}))}"

    def _installed(self, name: str) -> EntryPoint:
        """An installed choice. Once found it is remembered, since reading the metadata takes milliseconds."""
        if name not in self._found:
            installed = entry_points(group=self._group)
            if name not in installed.names:
                shown = quoted(name, "of that name")
                raise self._error(f"{self._kind}: there is no {self._kind} {shown}; {self.choices()}")
            self._found[name] = installed[name]
        return self._found[name]


class PartRegistry(Registry, Generic[T]):
    """The parts of one kind by ``"name"`` or ``"name:model"``.

    Each choice is a function that gets the part after the colon, or None, and returns the object.

    Args:
        check: returns an object that is one, and raises `InvalidRequestError` for any other.
        members: what an object of the user's needs, for messages.
    """

    def __init__(
        self, kind: str, group: str, built_in: Mapping[str, BuiltIn], check: Callable[[Any], T], members: str
    ) -> None:
        super().__init__(kind, group, built_in)
        self._check = check
        self._members = members

    def resolve(self, spec: Any) -> T:
        """What a name stands for, or the object itself."""
        if not isinstance(spec, str):
            return self._check(spec)
        name, colon, model = spec.strip().partition(":")
        made = self.load(name, spec)(model if colon else None)
        return made if self.is_built_in(name) else self._check(made)

    def wrong_type(self, thing: Any) -> InvalidRequestError:
        """The error for an object that is something else."""
        kind = f"the class {thing.__name__}" if isinstance(thing, type) else f"of type {type(thing).__name__}"
        article = "an" if self._kind[0] in "aeiou" else "a"
        return InvalidRequestError(f"{self._kind}: it is {kind}, not {article} {self._kind}; {self.choices()}")

    def choices(self) -> str:
        return f"{super().choices()}, or pass an object with {self._members}"
