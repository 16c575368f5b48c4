"""Memory for agents of Microsoft's Agent Framework, as a context provider.

Install ``openmem[agent-framework]``::

    memory = OpenmemProvider(MemoryClients(), user_id=lambda session: session.state["user"])
    agent = Agent(client, context_providers=[memory])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._extras import require_extra
from .agents import FORGET, RECALL, REMEMBER, AgentMemory
from .clients import AnyClient
from .rules import OnError, latest_user_text, user_of

require_extra("OpenmemProvider", "agent-framework", ("agent_framework",))

from agent_framework import AgentSession, ContextProvider, Message, SessionContext, SupportsAgentRun, tool

__all__ = ["OpenmemProvider"]


class OpenmemProvider(ContextProvider):
    """Shows the model what is remembered about the user, and gives it tools to remember, recall and forget.

    What bears on the latest text of the user is read once a run. The model gets it as a message of the user, delimited
    as data; sessions do not store it.

    Args:
        client: an `openmem.MemoryClients`, which serves any event loop; or an `openmem.AsyncMemory` or
            `openmem.Memory`.
        user_id: whose memories: an id, or a function that finds it in the session of the run.
        scope: where the tools store memories; what is read is in this scope and below. None for all.
        app: name of the agent in `source.app` of what it stores.
        token_budget: tokens of what the model is shown, at most.
        has_tools: whether the model gets tools.
        on_error: what becomes of a run when memories cannot be read: ``warn`` logs it and goes on without, ``raise``
            raises.
        source_id: id of the provider.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    def __init__(
        self,
        client: AnyClient,
        user_id: str | Callable[[AgentSession], str | None],
        scope: str | None = None,
        *,
        app: str = "agent-framework",
        token_budget: int = 500,
        has_tools: bool = True,
        on_error: OnError = "warn",
        source_id: str = "openmem",
    ) -> None:
        super().__init__(source_id)
        self._memory = AgentMemory.of(client, scope=scope, app=app, token_budget=token_budget, on_error=on_error)
        self._user_id = user_id
        self._has_tools = has_tools

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Add what is remembered, and the tools, to the context of the run."""
        user_id = user_of(self._user_id, session)
        query = latest_user_text((str(message.role), message.text) for message in context.input_messages)
        text = await self._memory.arecollect(query, user_id)
        if text:
            context.extend_messages(self, [Message(role="user", contents=[text])])
        if self._has_tools:
            context.extend_tools(self.source_id, self._tools(user_id))

    def _tools(self, user_id: str) -> list[Any]:
        memory = self._memory

        @tool(name="remember", description=REMEMBER)
        async def remember(fact: str, replaces: str | None = None) -> str:
            return await memory.aperform(lambda: memory.remember(user_id, fact, replaces))

        @tool(name="recall", description=RECALL)
        async def recall(query: str) -> str:
            return await memory.aperform(lambda: memory.recall(user_id, query))

        @tool(name="forget", description=FORGET)
        async def forget(memory_id: str) -> str:
            return await memory.aperform(lambda: memory.forget(user_id, memory_id))

        return [remember, recall, forget]
