"""mem0's open-source `AsyncMemory` on pgvector, storing texts as they are (``infer=False``): no LLM, no telemetry.

The driver's import of mem0 keeps its telemetry off and the home directory as it is. mem0 builds an
LLM client all the same, which wants a key that is never used. The embedder is set on the engine,
one call of Python nearer than through LangChain, which is the documented way.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from openmem.providers.vendors.mem0.sdk import mem0

from . import CONNECTIONS, DIM, Row, Target, embedder

TABLE: Final = "mem0"
_UNUSED: Final = {"provider": "openai", "config": {"api_key": "unused"}}


class Embedding:
    """The common embedder in mem0's shape."""

    def embed(self, text: str, memory_action: object = None) -> list[float]:
        return list(embedder.embed([text])[0])


def _record(row: Row) -> tuple[object, ...]:
    moment = row.created_at.isoformat()
    payload = {
        "user_id": row.user,
        "role": "user",
        "data": row.content,
        "hash": hashlib.md5(row.content.encode(), usedforsecurity=False).hexdigest(),
        "created_at": moment,
        "updated_at": moment,
        "text_lemmatized": row.content,
    }
    return row.id, row.vector, json.dumps(payload)


class Mem0:
    """The engine."""

    blocking = False
    targets = (Target(TABLE, ("id", "vector", "payload"), _record),)

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def add(self, content: str, user: str, valid_from: str | None = None) -> str:
        added = await self._engine.add(content, user_id=user, infer=False)
        return str(added["results"][0]["id"])

    async def search(self, query: str, user: str, limit: int = 10) -> list[str]:
        found = await self._engine.search(query, filters={"user_id": user}, top_k=limit, threshold=0.0)
        return [item["id"] for item in found["results"]]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Mem0]:
    with tempfile.TemporaryDirectory() as directory:
        config = {
            "vector_store": {
                "provider": "pgvector",
                "config": {
                    "connection_string": url,
                    "collection_name": TABLE,
                    "embedding_model_dims": DIM,
                    "minconn": CONNECTIONS,
                    "maxconn": CONNECTIONS,
                },
            },
            "llm": _UNUSED,
            "embedder": _UNUSED,
            "history_db_path": str(Path(directory) / "history.db"),
        }
        engine = mem0.AsyncMemory.from_config(config)
        try:
            engine.embedding_model = Embedding()
            peer = Mem0(engine)
            await peer.search("makes the table", "nobody")
            yield peer
        finally:
            engine.close()
            engine.vector_store.connection_pool.close()
