"""Memory for agents of Strands, as a store of its memory manager.

Install ``openmem[strands]``::

    store = OpenmemStore(MemoryClients(), user_id="maya")
    agent = Agent(memory_manager=MemoryManager(stores=[store], add_tool_config=True))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._extras import require_extra
from ..delimited import show_hidden
from ..models import MemorySource
from ..operations import Add, Context, Search
from .clients import AnyClient, runner_of
from .rules import RECALL_TOKENS, as_query, within_budget

require_extra("OpenmemStore", "strands", ("strands",))

from strands.memory.types import MemoryEntry, MemoryStore, SearchOptions

__all__ = ["OpenmemStore"]


class OpenmemStore(MemoryStore):
    """The memories of one user. Strands searches it, shows the model what it finds, and stores facts in it.

    Errors are raised; Strands logs those of searches, and goes on without memories.

    Args:
        client: an `openmem.MemoryClients`, which serves ``agent(...)`` and any event loop; or an `openmem.AsyncMemory`
            or `openmem.Memory`.
        user_id: whose memories.
        scope: where facts are stored; what is read is in this scope and below. None for all.
        name: of the store, for the model.
        description: of what the store holds, for the model.
        token_budget: tokens of the texts of a search at most; a long text is an excerpt that answers the query.
        max_search_results: of a search that does not say how many, 1 to 100.
        writable: whether facts may be stored.
        extraction: as in Strands: whether and how facts are taken from conversations, by a model of Strands.
        app: name of the agent in `source.app` of what it stores.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    def __init__(
        self,
        client: AnyClient,
        user_id: str,
        scope: str | None = None,
        *,
        name: str = "openmem",
        description: str | None = "What is known about the user from earlier conversations.",
        token_budget: int = RECALL_TOKENS,
        max_search_results: int = 5,
        writable: bool = True,
        extraction: Any = None,
        app: str = "strands",
    ) -> None:
        self.name = name
        self.description = description
        self.max_search_results = max_search_results
        self.writable = writable
        self.extraction = extraction
        self._runner = runner_of(client)
        self._user_id = user_id
        self._scope = scope
        self._source = MemorySource(app=app, type="explicit")
        self._token_budget = token_budget
        self._search_of("-", max_search_results)
        Context(query="-", user_id=user_id, token_budget=token_budget)

    async def search(self, query: str, options: SearchOptions | None = None) -> list[MemoryEntry]:
        """The memories that best answer a query, best first, with id, score, date, scope and tags as metadata.

        Characters that cannot be seen are shown.
        """
        if not query.strip():
            return []
        limit = (options or {}).get("max_search_results", self.max_search_results)
        results = await self._runner.arun(self._search_of(as_query(query), limit))
        return [
            MemoryEntry(
                show_hidden(text),
                metadata={
                    **(memory.metadata or {}),
                    "id": memory.id,
                    "score": score,
                    "created_at": memory.created_at.isoformat(),
                    "scope": memory.scope,
                    "tags": memory.tags,
                },
            )
            for memory, score, text in within_budget(results, query, self._token_budget)
        ]

    async def add(self, content: str, metadata: Mapping[str, Any] | None = None) -> str:
        """Store a fact, and return the id of its memory."""
        op = Add(
            content=content,
            user_id=self._user_id,
            scope=self._scope,
            metadata=dict(metadata) if metadata else None,
            source=self._source,
        )
        return (await self._runner.arun(op)).id

    def _search_of(self, query: str, limit: int) -> Search:
        scope = None if self._scope is None else f"{self._scope}/**"
        return Search(query=query, user_id=self._user_id, scope=scope, limit=limit)
