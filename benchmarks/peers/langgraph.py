"""LangGraph's `AsyncPostgresStore` on a pool, with the index that its documentation shows: HNSW, cosine.

A user's memories are the namespace ``(user, "memories")``. The embedder is an async function that
embeds in place, as the floor does.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PoolConfig, PostgresIndexConfig

from . import CONNECTIONS, DIM, Row, Target, embedder


async def _embed(texts: Sequence[str]) -> list[list[float]]:
    return embedder.embed(texts)


def _item(row: Row) -> tuple[object, ...]:
    return f"{row.user}.memories", row.id, json.dumps({"text": row.content}), row.created_at, row.created_at


def _vector(row: Row) -> tuple[object, ...]:
    return f"{row.user}.memories", row.id, "text", row.vector, row.created_at, row.created_at


class LangGraph:
    """A store on a pool of connections."""

    blocking = False
    targets = (
        Target("store", ("prefix", "key", "value", "created_at", "updated_at"), _item),
        Target("store_vectors", ("prefix", "key", "field_name", "embedding", "created_at", "updated_at"), _vector),
    )

    def __init__(self, store: AsyncPostgresStore) -> None:
        self._store = store

    async def add(self, content: str, user: str, valid_from: str | None = None) -> str:
        key = uuid.uuid4().hex
        await self._store.aput((user, "memories"), key, {"text": content})
        return key

    async def search(self, query: str, user: str, limit: int = 10) -> list[str]:
        return [item.key for item in await self._store.asearch((user, "memories"), query=query, limit=limit)]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[LangGraph]:
    index: PostgresIndexConfig = {"dims": DIM, "embed": _embed, "fields": ["text"]}
    pool = PoolConfig(min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with AsyncPostgresStore.from_conn_string(url, pool_config=pool, index=index) as store:
        await store.setup()
        yield LangGraph(store)
