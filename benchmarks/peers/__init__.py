"""The systems that are compared, behind one small protocol.

Each has a module with `opened`, which connects to a database of the system's own and makes its
tables; nothing else knows a system by name. All get the same embedder and at most ten connections,
and are otherwise as their documentation sets them up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from openmem.embedders.wordllama import WordLlamaEmbedder

CONNECTIONS: Final = 10
DIM: Final = 256

embedder: Final = WordLlamaEmbedder()


class Row(NamedTuple):
    """A memory for loading in bulk. `id` is a UUID's 32 hexadecimal digits, `number` counts a user's from 1."""

    id: str
    user: str
    number: int
    content: str
    created_at: datetime
    vector: list[float]


@dataclass(frozen=True)
class Target:
    """How a system keeps a memory in one of its tables."""

    table: str
    columns: tuple[str, ...]
    record: Callable[[Row], tuple[Any, ...]]
    schema: str = "public"


class Peer(Protocol):
    """One system, open.

    Attributes:
        blocking: its calls block their thread and never suspend; many at once need threads.
        targets: its tables, in the order they are to be filled.
    """

    blocking: bool
    targets: Sequence[Target]

    async def add(self, content: str, user: str, valid_from: str | None = None) -> str:
        """Store a memory, and return its id."""
        ...

    async def search(self, query: str, user: str, limit: int = 10) -> list[str]:
        """The ids of the user's memories that fit best, the best first."""
        ...


@dataclass(frozen=True)
class System:
    """Something to compare: its name in tables, its module, and the packages whose versions matter."""

    title: str
    module: str
    packages: tuple[str, ...]
    opened: str = "opened"

    def open(self, url: str) -> AbstractAsyncContextManager[Peer]:
        """Connect to an empty database."""
        opened: Callable[[str], AbstractAsyncContextManager[Peer]]
        opened = getattr(importlib.import_module(f"{__name__}.{self.module}"), self.opened)
        return opened(url)


FLOOR: Final = "floor"
SYSTEMS: Final[Mapping[str, System]] = {
    FLOOR: System("SQL by hand", "floor", ("asyncpg",)),
    "openmem": System("openmem AsyncMemory", "openmem", ("openmem", "asyncpg")),
    "openmem-sync": System("openmem Memory", "openmem", ("openmem", "psycopg"), "opened_blocking"),
    "langgraph": System("LangGraph", "langgraph", ("langgraph-checkpoint-postgres", "psycopg", "psycopg-pool")),
    "mem0": System("mem0", "mem0", ("mem0ai", "psycopg", "psycopg-pool")),
}
