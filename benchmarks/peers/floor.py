"""The floor: what somebody would write by hand.

A table with a ``vector(256)`` column and an index on the user, an exact scan ordered by cosine
distance and limited to one user, statements on asyncpg's default pool, the text embedded in place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from ..database import use_vectors
from . import CONNECTIONS, DIM, Row, Target, embedder

SCHEMA = f"""
    CREATE EXTENSION IF NOT EXISTS vector;
    CREATE TABLE floor (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id text NOT NULL,
        content text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        embedding vector({DIM}) NOT NULL
    );
    CREATE INDEX ON floor (user_id);
"""
SEARCH = """
    SELECT id, content, created_at, 1 - (embedding <=> $2) AS score
    FROM floor WHERE user_id = $1 ORDER BY embedding <=> $2 LIMIT $3
"""
ADD = "INSERT INTO floor (user_id, content, embedding) VALUES ($1, $2, $3) RETURNING id, created_at"


def _record(row: Row) -> tuple[object, ...]:
    return row.user, row.content, row.created_at, row.vector


class Floor:
    """Hand-written SQL."""

    blocking = False
    targets = (Target("floor", ("user_id", "content", "created_at", "embedding"), _record),)

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, content: str, user: str, valid_from: str | None = None) -> str:
        [vector] = embedder.embed([content])
        return str((await self._pool.fetchrow(ADD, user, content, vector))["id"])

    async def search(self, query: str, user: str, limit: int = 10) -> list[str]:
        [vector] = embedder.embed([query])
        return [str(row["id"]) for row in await self._pool.fetch(SEARCH, user, vector, limit)]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Floor]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SCHEMA)
    finally:
        await connection.close()
    async with asyncpg.create_pool(url, init=use_vectors, max_size=CONNECTIONS) as pool:
        yield Floor(pool)
