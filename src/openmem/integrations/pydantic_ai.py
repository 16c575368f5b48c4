"""Memory for agents of Pydantic AI, as a capability.

Install ``openmem[pydantic-ai]``::

    agent = Agent(model, deps_type=str, capabilities=[OpenmemMemory(memory, user_id=lambda run: run.deps)])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field, replace
from typing import Any

from .._extras import require_extra
from .agents import FORGET, RECALL, REMEMBER, AgentMemory
from .clients import AnyClient
from .rules import OnError, latest_user_text, user_of

require_extra("OpenmemMemory", "pydantic-ai", ("pydantic_ai",))

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelRequest, TextContent, UserPromptPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.tools import AgentDepsT, Tool
from pydantic_ai.toolsets import FunctionToolset

__all__ = ["OpenmemMemory"]


@dataclass
class OpenmemMemory(AbstractCapability[AgentDepsT]):
    """Shows the model what is remembered about the user, and gives it tools to remember, recall and forget.

    What bears on the latest text of the user is read once a run. The model gets it as a message of the user before that
    text, delimited as data; it is not stored in the history of messages.

    Args:
        client: an `openmem.MemoryClients`, which serves ``run_sync`` and any event loop; or an `openmem.AsyncMemory` or
            `openmem.Memory`.
        user_id: whose memories: an id, or a function that finds it in the context of the run.
        scope: where the tools store memories; what is read is in this scope and below. None for all.
        app: name of the agent in `source.app` of what it stores.
        token_budget: tokens of what the model is shown, at most.
        is_shown: whether the model is shown memories without asking.
        has_tools: whether the model gets tools.
        on_error: what becomes of a run when memories cannot be read: ``warn`` logs it and goes on without, ``raise``
            raises. A tool that fails raises in any case.
        id: id of the capability.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    client: InitVar[AnyClient | AgentMemory]
    user_id: str | Callable[[RunContext[AgentDepsT]], str | None]
    scope: str | None = None
    _: KW_ONLY
    app: str = "pydantic-ai"
    token_budget: int = 500
    is_shown: bool = True
    has_tools: bool = True
    on_error: OnError = "warn"
    id: str | None = "openmem"
    memory: AgentMemory = field(init=False, repr=False)
    _text: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self, client: AnyClient | AgentMemory) -> None:
        if isinstance(client, AgentMemory):
            self.memory = client
        else:
            self.memory = AgentMemory.of(
                client, scope=self.scope, app=self.app, token_budget=self.token_budget, on_error=self.on_error
            )

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> OpenmemMemory[AgentDepsT]:
        """The capability of one run, which reads memories of its own."""
        return replace(self, client=self.memory)

    def get_toolset(self) -> FunctionToolset[AgentDepsT] | None:
        """The tools, unless they are switched off."""
        if not self.has_tools:
            return None
        return FunctionToolset(
            [
                Tool(self._remember, name="remember", description=REMEMBER),
                Tool(self._recall, name="recall", description=RECALL),
                Tool(self._forget, name="forget", description=FORGET),
            ],
            id=self.id,
        )

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Put what is remembered before the latest text of the user, for this request only."""
        if not self.is_shown:
            return request_context
        messages = request_context.messages
        texts = [_user_text(message) for message in messages]
        if self._text is None:
            query = latest_user_text(("user", text) for text in texts)
            self._text = await self.memory.arecollect(query, user_of(self.user_id, ctx))
        if not self._text:
            return request_context
        place = max(index for index, text in enumerate(texts) if text.strip())
        shown = ModelRequest(parts=[UserPromptPart(self._text)])
        return replace(request_context, messages=[*messages[:place], shown, *messages[place:]])

    async def _remember(self, ctx: RunContext[AgentDepsT], fact: str, replaces: str | None = None) -> str:
        user_id = user_of(self.user_id, ctx)
        call = f"{ctx.run_id} {ctx.tool_call_id}" if ctx.run_id and ctx.tool_call_id else None
        return await self.memory.aperform(lambda: self.memory.remember(user_id, fact, replaces, call=call))

    async def _recall(self, ctx: RunContext[AgentDepsT], query: str) -> str:
        user_id = user_of(self.user_id, ctx)
        return await self.memory.aperform(lambda: self.memory.recall(user_id, query))

    async def _forget(self, ctx: RunContext[AgentDepsT], memory_id: str) -> str:
        user_id = user_of(self.user_id, ctx)
        return await self.memory.aperform(lambda: self.memory.forget(user_id, memory_id))


def _user_text(message: ModelMessage) -> str:
    """What the user says in a message."""
    if not isinstance(message, ModelRequest):
        return ""
    return "\n".join(_text_of(part.content) for part in message.parts if isinstance(part, UserPromptPart))


def _text_of(content: str | Sequence[Any]) -> str:
    if isinstance(content, str):
        return content
    texts = (item.content if isinstance(item, TextContent) else item for item in content)
    return "\n".join(text for text in texts if isinstance(text, str))
