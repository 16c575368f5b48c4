"""Memory for agents of LlamaIndex: a block of its memory, and a retriever.

Install ``openmem[llama-index]``::

    block = OpenmemBlock(client=MemoryClients(), user_id="maya")
    memory = Memory.from_defaults(session_id="1", memory_blocks=[block], insert_method="user")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._extras import require_extra
from ..models import MemorySource, SearchResults
from ..operations import Add, AddMany, Search
from ..tokens import estimate_tokens
from .agents import AgentMemory, OncePerRun
from .clients import AnyClient, runner_of
from .rules import OnError, as_query, as_reference, latest_user_text, turn_as_contents

require_extra("OpenmemBlock", "llama-index", ("llama_index.core",))

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.memory import BaseMemoryBlock
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

__all__ = ["OpenmemBlock", "OpenmemRetriever"]


class OpenmemBlock(BaseMemoryBlock[str]):
    """Shows the model what is remembered about a user, and stores what the user said when short-term memory is full.

    What bears on the latest text of the user is read once a run, delimited as data. Give LlamaIndex's memory
    ``insert_method="user"``, so that it stands beside that text and not in the system's message.

    Attributes:
        client: an `openmem.MemoryClients`, which serves blocking code and any event loop; or an `openmem.AsyncMemory`
            or `openmem.Memory`.
        user_id: whose memories.
        scope: where messages are stored; what is read is in this scope and below. None for all.
        app: name of the agent in `source.app` of what is stored.
        token_budget: tokens of what the model is shown, at most.
        on_error: what becomes of a run when memories cannot be read: ``warn`` logs it and goes on without, ``raise``
            raises. A write that fails raises in any case.
    """

    name: str = "openmem"
    client: Any = Field(exclude=True, repr=False)
    user_id: str
    scope: str | None = None
    app: str = "llama-index"
    token_budget: int = 500
    on_error: OnError = "warn"
    _memory: AgentMemory = PrivateAttr()
    _once: OncePerRun = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Check the arguments."""
        super().model_post_init(context)
        self._memory = AgentMemory.of(
            self.client, scope=self.scope, app=self.app, token_budget=self.token_budget, on_error=self.on_error
        )
        self._once = OncePerRun(self._memory)

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        said = [(message.role.value, message.content or "") for message in messages or []]
        has_begun = bool(said) and latest_user_text(said[-1:]) is None
        return await self._once.arecollect(latest_user_text(said), self.user_id, has_begun=has_begun)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        records = tuple(
            Add(
                content=content,
                user_id=self.user_id,
                scope=self.scope,
                source=MemorySource(
                    app=self.app, type="explicit", ref=as_reference(message.additional_kwargs.get("session_id"))
                ),
            )
            for message in messages
            if message.role.value == "user"
            for content in turn_as_contents(message.content or "")
        )
        if records:
            await self._memory.runner.arun(AddMany(records=records))

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """Leave out the last memories until the text is shorter by this many tokens; None if nothing is left."""
        head, *notes, end = content.split("\n") if content else ["", ""]
        budget = estimate_tokens(content) - tokens_to_truncate
        while len(notes) > 2:
            notes.pop()
            shorter = "\n".join((head, *notes, end))
            if estimate_tokens(shorter) <= budget:
                return shorter
        return None


class OpenmemRetriever(BaseRetriever):
    """The memories of a user that best answer a query, as nodes.

    Args:
        client: as in `OpenmemBlock`.
        user_id: whose memories.
        scope: a pattern of scopes; None for all.
        similarity_top_k: memories at most, 1 to 100.
        where: a filter of metadata.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    def __init__(
        self,
        client: AnyClient,
        user_id: str,
        *,
        scope: str | Sequence[str] | None = None,
        similarity_top_k: int = 10,
        where: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._runner = runner_of(client)
        self._fields: dict[str, Any] = {"user_id": user_id, "scope": scope, "limit": similarity_top_k, "where": where}
        Search(query="-", **self._fields)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if not query_bundle.query_str.strip():
            return []
        return _nodes(self._runner.run(self._search_of(query_bundle)))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if not query_bundle.query_str.strip():
            return []
        return _nodes(await self._runner.arun(self._search_of(query_bundle)))

    def _search_of(self, query_bundle: QueryBundle) -> Search:
        return Search(query=as_query(query_bundle.query_str), **self._fields)


def _nodes(results: SearchResults) -> list[NodeWithScore]:
    return [
        NodeWithScore(
            node=TextNode(
                id_=result.memory.id,
                text=result.memory.content,
                metadata={
                    **(result.memory.metadata or {}),
                    "scope": result.memory.scope,
                    "tags": result.memory.tags,
                    "created_at": result.memory.created_at.isoformat(),
                },
            ),
            score=result.score,
        )
        for result in results
    ]
