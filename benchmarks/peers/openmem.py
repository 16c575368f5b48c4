"""openmem with its defaults: hybrid ranking, audit log, a pool of ten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from openmem import AsyncMemory, Memory
from openmem._ids import bucket_of, new_memory_id
from openmem.analysis import VERSION
from openmem.analysis.analyzer import Analyzer
from openmem.providers.postgres.binary import sparse_vector
from openmem.providers.postgres.lexemes import term_ids

from . import CONNECTIONS, Row, Target, embedder

SCHEMA: Final = "benchmark"

_analyzer = Analyzer()


def _record(row: Row) -> tuple[object, ...]:
    return (
        new_memory_id(row.user),
        row.user,
        bucket_of(row.user),
        row.number,
        row.created_at,
        row.content,
        embedder.model,
        row.vector,
        sparse_vector(term_ids(_analyzer.memory(row.content, row.created_at))),
        VERSION,
    )


TARGETS: Final = (
    Target(
        "memories",
        (
            "id",
            "user_id",
            "bucket",
            "ordinal",
            "created_at",
            "content",
            "embedding_model",
            "embedding",
            "terms",
            "analysis",
        ),
        _record,
        schema=SCHEMA,
    ),
)


class Async:
    """`AsyncMemory`."""

    blocking = False
    targets = TARGETS

    def __init__(self, memory: AsyncMemory) -> None:
        self._memory = memory

    async def add(self, content: str, user: str, valid_from: str | None = None) -> str:
        return (await self._memory.add(content=content, user_id=user, valid_from=valid_from)).id

    async def search(self, query: str, user: str, limit: int = 10) -> list[str]:
        return [result.memory.id for result in await self._memory.search(query, user, limit=limit)]


class Blocking:
    """`Memory`. Its coroutines never suspend."""

    blocking = True
    targets = TARGETS

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def add(self, content: str, user: str, valid_from: str | None = None) -> str:
        return self._memory.add(content=content, user_id=user, valid_from=valid_from).id

    async def search(self, query: str, user: str, limit: int = 10) -> list[str]:
        return [result.memory.id for result in self._memory.search(query, user, limit=limit)]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Async]:
    async with AsyncMemory(url=url, schema=SCHEMA, embedder=embedder, pool_max_size=CONNECTIONS) as memory:
        yield Async(memory)


@asynccontextmanager
async def opened_blocking(url: str) -> AsyncIterator[Blocking]:
    with Memory(url=url, schema=SCHEMA, embedder=embedder, pool_max_size=CONNECTIONS) as memory:
        yield Blocking(memory)
