"""Memory for agents of the OpenAI Agents SDK: tools, and what the model is shown before it answers.

Install ``openmem[openai-agents]``::

    remembered = OpenmemMemory(memory, user_id=lambda context: context)
    agent = Agent(name="cook", tools=remembered.tools)
    await Runner.run(agent, "Dinner?", context="maya", run_config=RunConfig(call_model_input_filter=remembered.filter))

It is no ``Session``: the SDK's own sessions hold the turns of a conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from .._extras import require_extra
from .agents import FORGET, RECALL, REMEMBER, AgentMemory, OncePerRun
from .clients import AnyClient
from .rules import OnError, latest_user_text, user_of

require_extra("OpenmemMemory", "openai-agents", ("agents",))

from agents import Agent, FunctionTool, ModelBehaviorError, RunContextWrapper, TResponseInputItem, function_tool
from agents.run_config import CallModelData, ModelInputData

__all__ = ["OpenmemMemory"]

ContextT = TypeVar("ContextT")


class OpenmemMemory(Generic[ContextT]):
    """The memory of an agent, for the user of each run.

    Args:
        client: an `openmem.MemoryClients`, which serves ``Runner.run_sync`` and any event loop; or an
            `openmem.AsyncMemory` or `openmem.Memory`.
        user_id: whose memories: an id, or a function that finds it in the context that the run was given.
        scope: where the tools store memories; what is read is in this scope and below. None for all.
        app: name of the agent in `source.app` of what it stores.
        token_budget: tokens of what the model is shown, at most.
        on_error: what becomes of a run when memories cannot be read: ``warn`` logs it and goes on without, ``raise``
            raises. A tool that fails raises in any case.

    Attributes:
        tools: the tools ``remember``, ``recall`` and ``forget``.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    def __init__(
        self,
        client: AnyClient,
        user_id: str | Callable[[ContextT], str | None],
        scope: str | None = None,
        *,
        app: str = "openai-agents",
        token_budget: int = 500,
        on_error: OnError = "warn",
    ) -> None:
        self._memory = AgentMemory.of(client, scope=scope, app=app, token_budget=token_budget, on_error=on_error)
        self._user_id = user_id
        self._once = OncePerRun(self._memory)
        self.tools: list[FunctionTool] = self._tools()

    async def filter(self, data: CallModelData[ContextT]) -> ModelInputData:
        """For ``RunConfig.call_model_input_filter``: show the model what is remembered, as data before the user's text.

        The message is not stored in the session.
        """
        items = data.model_data.input
        text = await self._recollected(items, cast("ContextT", data.context))
        if not text:
            return data.model_data
        place = max(index for index, item in enumerate(items) if _user_text(item).strip())
        shown: TResponseInputItem = {"role": "user", "content": text}
        return ModelInputData(input=[*items[:place], shown, *items[place:]], instructions=data.model_data.instructions)

    def instructions(self, text: str = "") -> Callable[[RunContextWrapper[ContextT], Agent[ContextT]], Any]:
        """For ``Agent.instructions``: `text`, and what is remembered, as delimited data behind it.

        Models follow instructions more readily than what users say. Use `filter` where strangers may have written
        memories.
        """

        async def instructions(run: RunContextWrapper[ContextT], agent: Agent[ContextT]) -> str:
            found = await self._recollected(run.turn_input, run.context)
            return "\n\n".join(filter(None, (text, found)))

        return instructions

    async def _recollected(self, items: Sequence[TResponseInputItem], context: ContextT) -> str:
        """What is remembered that bears on the latest text of the user, read once a run."""
        user_id = user_of(self._user_id, context)
        query = latest_user_text(("user", _user_text(item)) for item in items)
        has_begun = bool(items) and not _user_text(items[-1]).strip()
        return await self._once.arecollect(query, user_id, has_begun=has_begun)

    def _tools(self) -> list[FunctionTool]:
        memory = self._memory

        @function_tool(description_override=REMEMBER, failure_error_function=_told)
        async def remember(run: RunContextWrapper[Any], fact: str, replaces: str | None = None) -> str:
            user_id = user_of(self._user_id, run.context)
            return await memory.aperform(lambda: memory.remember(user_id, fact, replaces))

        @function_tool(description_override=RECALL, failure_error_function=_told)
        async def recall(run: RunContextWrapper[Any], query: str) -> str:
            user_id = user_of(self._user_id, run.context)
            return await memory.aperform(lambda: memory.recall(user_id, query))

        @function_tool(description_override=FORGET, failure_error_function=_told)
        async def forget(run: RunContextWrapper[Any], memory_id: str) -> str:
            user_id = user_of(self._user_id, run.context)
            return await memory.aperform(lambda: memory.forget(user_id, memory_id))

        return [remember, recall, forget]


def _told(run: RunContextWrapper[Any], error: Exception) -> str:
    """What the model is told of arguments that are none; every other error is raised."""
    if isinstance(error, ModelBehaviorError):
        return error.message
    raise error


def _user_text(item: Mapping[str, Any] | Any) -> str:
    """What the user says in an item of the input."""
    if not isinstance(item, Mapping) or item.get("role") != "user":
        return ""
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))
