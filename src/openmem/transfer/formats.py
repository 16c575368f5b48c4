"""The formats by name, and what reads one.

A reader is a pure function from a source to records; see `openmem.transfer.records`. Another package offers one through
the entry-point group ``openmem.readers``: the entry point's name is the format's, its value a `Reader`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .._plugins import BuiltIn, Registry
from ..errors import InvalidRequestError
from .records import Item
from .sources import Source

__all__ = ["Options", "Reader", "flag", "format_names", "read_options", "reader_for"]

ENTRY_POINT_GROUP: Final = "openmem.readers"

Options: TypeAlias = Mapping[str, str]
"""What the caller chose for a reader, by name, as text; see `Reader.options`."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads one format.

    Attributes:
        format: the format's name, as in ``openmem import <format>``; also in ``x-<format>``.
        title: what people call it, in a few words.
        read: yields what the source holds, the oldest record first where the order is known. It keeps no more than a
            bounded part of the source, and does nothing but read. `InvalidRequestError` says that the source is not of
            this format at all; what is wrong with a part of it is a `Problem`.
        options: the options it takes, by name, and what each means.
        takes_folder: whether the source may be a folder.
    """

    format: str
    title: str
    read: Callable[[Source, Options], Iterator[Item]]
    options: Mapping[str, str] = field(default_factory=dict)
    takes_folder: bool = False

    def items(self, source: Source, options: Options) -> Iterator[Item]:
        """What the source holds, after a look at the options.

        Raises:
            InvalidRequestError: an option is unknown, the source cannot be opened, or is not of this format.
        """
        self.check(source, options)
        return self.read(source, options)

    def check(self, source: Source, options: Options) -> None:
        """Refuse options that there are not, and a folder where there must be a file.

        Raises:
            InvalidRequestError: that is so.
        """
        for name in options:
            if name not in self.options:
                known = ", ".join(sorted(self.options)) or "none"
                raise InvalidRequestError(f"option {name!r}: format {self.format!r} does not have it; it has {known}")
        if source.is_folder and not self.takes_folder:
            raise InvalidRequestError(f"{source.name} is a folder; a source of format {self.format!r} is one file")


def read_options(texts: Iterable[str]) -> Options:
    """Options that are written as ``NAME=VALUE``.

    Raises:
        InvalidRequestError: one is not.
    """
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidRequestError(f"option {name[:80]!r}: give it as NAME=VALUE")
        options[name] = value
    return options


def flag(options: Options, name: str) -> bool:
    """An option that is on or off; off if it was not given.

    Raises:
        InvalidRequestError: it is neither ``true`` nor ``false``.
    """
    value = options.get(name, "false")
    if value not in ("true", "false"):
        raise InvalidRequestError(f"option {name!r}: give true or false")
    return value == "true"


_READERS: Final = "openmem.transfer.readers"
BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    "omp": BuiltIn("openmem.transfer.omp_format", "READER"),
    "chatgpt": BuiltIn(f"{_READERS}.chatgpt", "READER"),
    "claude": BuiltIn(f"{_READERS}.claude", "READER"),
    "graphiti": BuiltIn(f"{_READERS}.graph", "GRAPHITI_READER"),
    "hindsight": BuiltIn(f"{_READERS}.hindsight", "READER"),
    "langgraph": BuiltIn(f"{_READERS}.langgraph", "READER"),
    "letta": BuiltIn(f"{_READERS}.letta", "READER"),
    "markdown": BuiltIn(f"{_READERS}.markdown", "READER"),
    "mcp-memory": BuiltIn(f"{_READERS}.mcp_memory", "READER"),
    "mem0": BuiltIn(f"{_READERS}.mem0", "READER"),
    "openmemory": BuiltIn(f"{_READERS}.openmemory", "READER"),
    "pam": BuiltIn(f"{_READERS}.pam", "READER"),
    "supermemory": BuiltIn(f"{_READERS}.supermemory", "READER"),
    "text": BuiltIn(f"{_READERS}.markdown", "TEXT_READER"),
    "zep": BuiltIn(f"{_READERS}.graph", "ZEP_READER"),
}
"""A row for each module, whose `READER` is a `Reader`."""

REGISTRY: Final = Registry("format", ENTRY_POINT_GROUP, BUILT_IN)


def reader_for(format: str) -> Reader:
    """The reader of a format.

    Raises:
        InvalidRequestError: there is none of this name, or that of another package is not a `Reader`.
    """
    reader = REGISTRY.load(format)
    if not isinstance(reader, Reader):
        raise InvalidRequestError(f"format: what another package offers as {format!r} is not a Reader")
    return reader


def format_names() -> tuple[str, ...]:
    """The names of the formats of this package."""
    return tuple(sorted(BUILT_IN))
