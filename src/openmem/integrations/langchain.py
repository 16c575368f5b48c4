"""Memory for agents and chains of LangChain: a middleware, tools, and a retriever.

Install ``openmem[langchain]``::

    agent = create_agent(model, middleware=[MemoryMiddleware(clients, lambda run: run.context.user_id)])
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, NotRequired
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, StructuredTool

from .._extras import require_extra
from ..models import SearchResults
from ..operations import Search
from .agents import FORGET, RECALL, REMEMBER, AgentMemory, Recent
from .clients import AnyClient, Runner, runner_of
from .rules import OnError, as_query, checked_on_error, latest_user_text, reading, user_of

require_extra("MemoryMiddleware", "langchain", ("langchain",))

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr
from langgraph.channels.untracked_value import UntrackedValue
from langgraph.runtime import Runtime, get_runtime
from pydantic import ConfigDict, Field, PrivateAttr

__all__ = ["MemoryMiddleware", "OpenmemRetriever", "UserOfRun", "memory_tools"]

UserOfRun = str | Callable[[Any], str | None]
"""A user's id, or a function that finds it in a run: what LangChain passes as ``runtime``, with its ``context``."""


class MemoryState(AgentState[Any]):
    """The state of a run, with a number for what the middleware has read for it, which streams would show."""

    openmem_run: NotRequired[Annotated[str, UntrackedValue, PrivateStateAttr]]


class MemoryMiddleware(AgentMiddleware[MemoryState, Any, Any]):
    """Shows the model what is remembered about the user, and gives it tools to remember, recall and forget.

    What bears on the latest text of the user is read once a run, when it begins. The model gets it as a message of the
    user before that text, delimited as data; it is not stored in the messages of the agent. Works with ``invoke`` and
    ``ainvoke``.

    Args:
        client: an `openmem.MemoryClients`, which serves every thread and event loop; or an `openmem.Memory` or
            `openmem.AsyncMemory`.
        user_id: whose memories: an id, or a function of the ``runtime``, such as ``lambda run: run.context.user_id``.
        scope: where the tools store memories; what is read is in this scope and below. None for all.
        app: name of the agent in `source.app` of what it stores.
        token_budget: tokens of what the model is shown, at most.
        is_shown: whether the model is shown memories without asking.
        has_tools: whether the model gets tools.
        on_error: what becomes of a run when memories cannot be read: ``warn`` logs it and goes on without, ``raise``
            raises. A tool that fails raises in any case.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    state_schema = MemoryState

    def __init__(
        self,
        client: AnyClient,
        user_id: UserOfRun,
        *,
        scope: str | None = None,
        app: str = "langchain",
        token_budget: int = 500,
        is_shown: bool = True,
        has_tools: bool = True,
        on_error: OnError = "warn",
    ) -> None:
        super().__init__()
        self._memory = AgentMemory.of(client, scope=scope, app=app, token_budget=token_budget, on_error=on_error)
        self._user_id = user_id
        self._is_shown = is_shown
        self._recent = Recent()
        self.tools = _tools(self._memory, user_id) if has_tools else []

    def before_agent(self, state: MemoryState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Read what is remembered, once a run."""
        if not self._is_shown:
            return None
        return self._begun(self._memory.recollect(_query(state["messages"]), user_of(self._user_id, runtime)))

    async def abefore_agent(self, state: MemoryState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """`before_agent` as a coroutine."""
        if not self._is_shown:
            return None
        user_id = user_of(self._user_id, runtime)
        return self._begun(await self._memory.arecollect(_query(state["messages"]), user_id))

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Put what is remembered before the latest text of the user, for this call of the model only."""
        text = self._memories(request)
        if text is None and self._is_shown:
            text = self._memory.recollect(_query(request.messages), user_of(self._user_id, request.runtime))
        return handler(_with(request, text))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """`wrap_model_call` as a coroutine."""
        text = self._memories(request)
        if text is None and self._is_shown:
            text = await self._memory.arecollect(_query(request.messages), user_of(self._user_id, request.runtime))
        return await handler(_with(request, text))

    def _begun(self, text: str) -> dict[str, Any]:
        """The state of a run that has read a text."""
        run = uuid4().hex
        self._recent.keep(run, text)
        return {"openmem_run": run}

    def _memories(self, request: ModelRequest[Any]) -> str | None:
        """What was read when the run began; None for a run that was resumed by a checkpointer."""
        state: Mapping[str, Any] = request.state
        return self._recent.find(state.get("openmem_run"))


def memory_tools(
    client: AnyClient, user_id: UserOfRun, *, scope: str | None = None, app: str = "langchain"
) -> list[BaseTool]:
    """The tools ``remember``, ``recall`` and ``forget``, for an agent or a node of your own.

    The model chooses the facts and the queries, and never the user. A tool that cannot read or write raises.

    Args:
        client, user_id, scope, app: as in `MemoryMiddleware`. With a function as `user_id` the tools work in agents and
            graphs, which have a ``runtime``.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """
    return _tools(AgentMemory.of(client, scope=scope, app=app, token_budget=500, on_error="raise"), user_id)


class OpenmemRetriever(BaseRetriever):
    """Searches the memories of one user, as a retriever of LangChain.

    A document has the content of a memory, its id, and in its metadata ``score``, ``scope``, ``tags``, ``created_at``
    and what the memory has as ``metadata``.

    Args:
        client: as in `MemoryMiddleware`.
        user_id: whose memories: an id, or a function that finds it in the metadata of the run, as in
            ``retriever.invoke(query, config={"metadata": {"user_id": "maya"}})``.
        k: how many memories to find at most; ``invoke`` takes it, too.
        scope, where, min_score: as in `openmem.Memory.search`.
        required_tags: tags of which a memory must have all; `tags` are LangChain's, of the run.
        on_error: ``raise``, or ``warn`` to log it when the backend fails, and find nothing.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: Any = Field(repr=False, exclude=True)
    user_id: str | Callable[[Mapping[str, Any]], str | None]
    k: int = 10
    scope: str | Sequence[str] | None = None
    required_tags: Sequence[str] | None = None
    where: dict[str, Any] | None = None
    min_score: float | None = None
    on_error: OnError = "raise"
    _runner: Runner = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check the arguments before anything runs."""
        super().model_post_init(context)
        self._runner = runner_of(self.client)
        checked_on_error(self.on_error)
        self._search("-", "-", self.k)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        wanted = self._search(query, user_of(self.user_id, run_manager.metadata), k)
        found: SearchResults = []
        if wanted is not None:
            with reading(self.on_error, "retrieving memories"):
                found = self._runner.run(wanted)
        return _documents(found)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        wanted = self._search(query, user_of(self.user_id, run_manager.metadata), k)
        found: SearchResults = []
        if wanted is not None:
            with reading(self.on_error, "retrieving memories"):
                found = await self._runner.arun(wanted)
        return _documents(found)

    def _search(self, query: str, user_id: str, k: int | None) -> Search | None:
        """What is asked; None for a blank query, which nothing answers."""
        if not query.strip():
            return None
        return Search(
            query=as_query(query),
            user_id=user_id,
            limit=self.k if k is None else k,
            scope=self.scope,
            tags=self.required_tags,
            where=self.where,
            min_score=self.min_score,
        )


def _documents(results: SearchResults) -> list[Document]:
    return [
        Document(
            id=result.memory.id,
            page_content=result.memory.content,
            metadata={
                **(result.memory.metadata or {}),
                "score": result.score,
                "scope": result.memory.scope,
                "tags": result.memory.tags or [],
                "created_at": result.memory.created_at.isoformat(),
            },
        )
        for result in results
    ]


def _query(messages: Sequence[AnyMessage]) -> str | None:
    return latest_user_text((message.type, str(message.text)) for message in messages)


def _with(request: ModelRequest[Any], text: str | None) -> ModelRequest[Any]:
    """The request with a message before the latest text of the user."""
    places = [
        place
        for place, message in enumerate(request.messages)
        if isinstance(message, HumanMessage) and str(message.text).strip()
    ]
    if not text or not places:
        return request
    place = places[-1]
    messages = [*request.messages[:place], HumanMessage(text), *request.messages[place:]]
    return request.override(messages=messages)


def _task() -> str | None:
    """The task of the graph that calls a tool, which is the same when it is tried again; None outside of a graph."""
    try:
        run = get_runtime()
    except RuntimeError:
        return None
    return None if run is None or run.execution_info is None else run.execution_info.task_id


def _tools(memory: AgentMemory, user_id: UserOfRun) -> list[BaseTool]:
    """The tools of an agent. Whose memories they are about, they ask the run, of which the model knows nothing."""

    def user() -> str:
        return user_of(user_id, get_runtime() if callable(user_id) else None)

    def remember(fact: str, replaces: str | None = None) -> str:
        whose, call = user(), _task()
        return memory.perform(lambda: memory.remember(whose, fact, replaces, call=call))

    async def aremember(fact: str, replaces: str | None = None) -> str:
        whose, call = user(), _task()
        return await memory.aperform(lambda: memory.remember(whose, fact, replaces, call=call))

    def recall(query: str) -> str:
        whose = user()
        return memory.perform(lambda: memory.recall(whose, query))

    async def arecall(query: str) -> str:
        whose = user()
        return await memory.aperform(lambda: memory.recall(whose, query))

    def forget(memory_id: str) -> str:
        whose = user()
        return memory.perform(lambda: memory.forget(whose, memory_id))

    async def aforget(memory_id: str) -> str:
        whose = user()
        return await memory.aperform(lambda: memory.forget(whose, memory_id))

    return [
        StructuredTool.from_function(remember, aremember, name="remember", description=REMEMBER),
        StructuredTool.from_function(recall, arecall, name="recall", description=RECALL),
        StructuredTool.from_function(forget, aforget, name="forget", description=FORGET),
    ]
