"""The middleware, the tools and the retriever of LangChain, in real agents with a model that follows a script."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("langchain")

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolRetryMiddleware
from langchain_core.language_models import GenericFakeChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from openmem import AsyncMemory, InvalidRequestError, Memory, MemoryRecord, NotFoundError, ProviderError
from openmem.delimited import NOTICE
from openmem.integrations import AnyClient, MemoryClients
from openmem.integrations.langchain import MemoryMiddleware, OpenmemRetriever, memory_tools

from ..servers import free_port
from .conftest import TRIES, Interruption

EGGS = "Maya is vegan and eats no eggs"
QUESTION = "Does she eat eggs?"


@dataclass(frozen=True)
class Run:
    user: str | None


class Script(GenericFakeChatModel):
    """A model that answers by a script, and what it was sent."""

    sent: list[list[BaseMessage]] = Field(default_factory=list)
    offered: list[str] = Field(default_factory=list)

    def __init__(self, *replies: AIMessage) -> None:
        super().__init__(messages=iter([*replies, *(AIMessage("done") for _ in range(50))]))

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Runnable[LanguageModelInput, AIMessage]:
        self.offered = [tool.name for tool in tools]
        return self

    def _generate(self, messages: list[BaseMessage], *arguments: Any, **options: Any) -> Any:
        self.sent.append(list(messages))
        return super()._generate(messages, *arguments, **options)

    def texts(self, request: int = -1) -> list[str]:
        """What the user says in a request, as the model sees it."""
        return [str(message.text) for message in self.sent[request] if isinstance(message, HumanMessage)]

    def results(self) -> list[str]:
        """What tools returned, as the model sees it in the last request."""
        return [str(message.text) for message in self.sent[-1] if isinstance(message, ToolMessage)]


def call(tool: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": f"call-{tool}"}])


def agent_of(script: Script, client: AnyClient, checkpointer: Any = None, **options: Any) -> Any:
    memory = MemoryMiddleware(client, lambda run: run.context.user, **options)
    return create_agent(script, middleware=[memory], context_schema=Run, checkpointer=checkpointer)


def run(agent: Any, text: str, user: str | None, *, suspends: bool = False, **config: Any) -> dict[str, Any]:
    asked = {"messages": [("user", text)]}
    if suspends:
        answer: dict[str, Any] = asyncio.run(agent.ainvoke(asked, config, context=Run(user)))
    else:
        answer = agent.invoke(asked, config, context=Run(user))
    return answer


MODES = pytest.mark.parametrize("suspends", [False, True], ids=["invoke", "ainvoke"])


@MODES
def test_what_is_remembered_is_shown_as_data_before_what_the_user_says(
    clients: MemoryClients, user: str, suspends: bool
) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script()
    answer = run(agent_of(script, clients), QUESTION, user, suspends=suspends)
    [shown, said] = script.texts()
    assert shown.startswith(f"{NOTICE}\n<memories>\n")
    assert EGGS in shown
    assert said == QUESTION
    assert EGGS not in str(answer), "it is for the calls of the model only"
    assert script.offered == ["remember", "recall", "forget"]


@MODES
def test_two_users_two_loops_and_two_runs(clients: MemoryClients, user: str, suspends: bool) -> None:
    first = Script(call("remember", fact=EGGS))
    run(agent_of(first, clients, app="cook"), "I am vegan", user, suspends=suspends)
    [stored] = clients.blocking().list(user)
    assert (stored.content, stored.source and stored.source.app) == (EGGS, "cook")
    assert first.results() == [f"Remembered as [{stored.id}]."]
    for name, knows in ((user, True), (f"{user}-other", False)):
        second = Script(call("recall", query="eggs"))
        run(agent_of(second, clients), QUESTION, name, suspends=suspends)
        assert [EGGS in text for text in second.texts()] == ([True, False] if knows else [False])
        assert [EGGS in text for text in second.results()] == [knows]


def test_memories_are_read_once_a_run(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script(call("recall", query="breakfast"), call("recall", query="eggs"))
    run(agent_of(script, clients), QUESTION, user)
    assert [entry.action for entry in clients.blocking().audit(user)].count("context") == 1
    assert [EGGS in script.texts(request)[0] for request in range(3)] == [True] * 3


def test_a_conversation_asks_anew_and_stores_none_of_it(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    memory.add(content=EGGS, user_id=user)
    memory.add(content="Maya plays the cello", user_id=user)
    script, saver = Script(), InMemorySaver()
    agent = agent_of(script, clients, saver)
    run(agent, QUESTION, user, configurable={"thread_id": "1"})
    run(agent, "Which instrument, a cello?", user, configurable={"thread_id": "1"})
    assert [NOTICE in text for text in script.texts()] == [False, True, False]
    assert "cello" in script.texts()[1]
    assert NOTICE not in str(list(saver.list({"configurable": {"thread_id": "1"}})))


@pytest.mark.parametrize("mode", ["updates", "values", "messages", "debug"])
def test_streams_do_not_show_what_is_remembered(clients: MemoryClients, user: str, mode: Any) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script()
    asked = {"messages": [("user", QUESTION)]}
    streamed = list(agent_of(script, clients).stream(asked, context=Run(user), stream_mode=mode))
    assert EGGS in script.texts()[0]
    assert EGGS not in str(streamed)


@MODES
def test_a_tool_that_is_tried_again_stores_once(
    clients: MemoryClients, user: str, suspends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = clients.blocking().add(content="Maya eats eggs", user_id=user)
    lost: list[MemoryRecord] = []

    def losing(answer: Any) -> Any:
        if isinstance(answer, MemoryRecord) and not lost:
            lost.append(answer)
            raise ProviderError("the answer was lost")
        return answer

    async def alosing(op: Any, **options: Any) -> Any:
        return losing(await arun(op, **options))

    arun, blocks = clients.arun, clients.run
    monkeypatch.setattr(clients, "arun", alosing)
    monkeypatch.setattr(clients, "run", lambda op, **options: losing(blocks(op, **options)))
    script = Script(call("remember", fact=EGGS, replaces=old.id), call("remember", fact=EGGS))
    retrying: list[Any] = [MemoryMiddleware(clients, user), ToolRetryMiddleware(max_retries=1, initial_delay=0)]
    agent = create_agent(script, middleware=retrying)
    run(agent, "I am vegan", None, suspends=suspends)
    latest, first, _ = clients.blocking().list(user)
    assert [record.id for record in lost] == [first.id]
    assert script.results() == [f"Remembered as [{record.id}]." for record in (first, latest)]


def test_a_graph_that_is_resumed_stores_once(clients: MemoryClients, user: str) -> None:
    crashes = [True]

    class Crashing(AgentMiddleware[Any, Any, Any]):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            answer = handler(request)
            if crashes:
                crashes.pop()
                raise KeyboardInterrupt
            return answer

    script = Script(call("remember", fact=EGGS))
    interrupted: list[Any] = [MemoryMiddleware(clients, user), Crashing()]
    agent: Any = create_agent(script, middleware=interrupted, checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "../%00'; --"}}
    with pytest.raises(KeyboardInterrupt):
        agent.invoke({"messages": [("user", "I am vegan")]}, config)
    agent.invoke(None, config)
    [stored] = clients.blocking().list(user)
    assert script.results() == [f"Remembered as [{stored.id}]."]


def test_a_fact_is_replaced_and_forgotten(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    old = memory.add(content="Maya lives in Berlin", user_id=user)
    run(agent_of(Script(call("remember", fact="Maya lives in Lyon", replaces=old.id)), clients), "I moved", user)
    [new] = memory.list(user, as_of="2999-01-01").items
    assert (new.content, new.supersedes) == ("Maya lives in Lyon", [old.id])
    run(agent_of(Script(call("forget", memory_id=new.id)), clients), "Forget it", user)
    assert list(memory.search("where does Maya live", user)) == []
    assert len(memory.list(user)) == 2, "nothing was deleted"


def test_a_memory_of_somebody_else_is_not_forgotten(clients: MemoryClients, user: str) -> None:
    other = clients.blocking().add(content=EGGS, user_id=f"{user}-other")
    script = Script(call("forget", memory_id=other.id))
    run(agent_of(script, clients), "Forget it", user)
    with pytest.raises(NotFoundError) as refused:
        clients.blocking().get(other.id, user_id=user)
    assert script.results() == [refused.value.message]
    assert clients.blocking().get(other.id).valid_to is None


def test_a_memory_out_of_the_agents_scope_is_neither_forgotten_nor_replaced(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    outside = [memory.add(content=EGGS, user_id=user, scope=scope) for scope in (None, "diet", "dietary")]
    below = memory.add(content="Maya likes eggs of wood", user_id=user, scope="diet/eggs/wood")
    for other in outside:
        for asked in (call("forget", memory_id=other.id), call("remember", fact="Maya eats eggs", replaces=other.id)):
            script = Script(asked)
            run(agent_of(script, clients, scope="diet/eggs"), "Forget it", user)
            assert script.results() == [f"there is no memory {other.id!r}"]
        assert memory.get(other.id).valid_to is None
    assert memory.count(user) == 4
    run(agent_of(Script(call("forget", memory_id=below.id)), clients, scope="diet/eggs"), "Forget", user, suspends=True)
    assert memory.get(below.id).valid_to is not None


def test_what_is_not_wanted_is_left_out(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user, scope="diet/eggs")
    clients.blocking().add(content="Maya likes eggs of wood", user_id=user, scope="art")
    quiet, scoped = Script(), Script()
    run(agent_of(quiet, clients, is_shown=False, has_tools=False), QUESTION, user)
    assert (quiet.texts(), quiet.offered) == ([QUESTION], [])
    run(agent_of(scoped, clients, scope="diet"), QUESTION, user)
    assert EGGS in scoped.texts()[0]
    assert "wood" not in scoped.texts()[0]


@pytest.mark.parametrize("nobody", [None, "", " "])
def test_a_run_without_a_user_is_an_error(clients: MemoryClients, nobody: str | None) -> None:
    for options in ({}, {"is_shown": False}):
        script = Script(call("remember", fact=EGGS))
        with pytest.raises(InvalidRequestError, match="this run has no user"):
            run(agent_of(script, clients, **options), QUESTION, nobody)


@MODES
def test_a_backend_that_is_down(caplog: pytest.LogCaptureFixture, suspends: bool) -> None:
    with MemoryClients(url=f"postgresql://127.0.0.1:{free_port()}/omp", embedder="hashing") as down:
        script = Script()
        with caplog.at_level(logging.WARNING, "openmem"):
            run(agent_of(script, down), QUESTION, "maya", suspends=suspends)
        assert script.texts() == [QUESTION]
        [warned] = [record.getMessage() for record in caplog.records if record.name == "openmem"]
        assert "code=provider_unavailable" in warned
        assert "eggs" not in warned
        with pytest.raises(ProviderError):
            run(agent_of(Script(), down, on_error="raise"), QUESTION, "maya", suspends=suspends)
        with pytest.raises(ProviderError):
            run(agent_of(Script(call("remember", fact=EGGS)), down), QUESTION, "maya", suspends=suspends)


def test_a_cancelled_run_leaves_the_client_usable(clients: MemoryClients, user: str) -> None:
    async def main() -> None:
        agent = agent_of(Script(), clients)
        for delay in (0, 0.001, 0.01):
            task = asyncio.create_task(agent.ainvoke({"messages": [("user", QUESTION)]}, context=Run(user)))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await agent.ainvoke({"messages": [("user", QUESTION)]}, context=Run(user))

    asyncio.run(main())


def test_every_client_that_is_given_serves(settings: dict[str, Any], user: str) -> None:
    with Memory(**settings) as memory:
        for suspends in (False, True):
            run(agent_of(Script(call("remember", fact=EGGS)), memory), QUESTION, user, suspends=suspends)

    async def main() -> None:
        async with AsyncMemory(**settings) as memory:
            agent = agent_of(Script(call("remember", fact=EGGS)), memory)
            await agent.ainvoke({"messages": [("user", QUESTION)]}, context=Run(user))
            assert await memory.count(user) == 3

    asyncio.run(main())


def test_tools_without_an_agent(clients: MemoryClients, user: str) -> None:
    remember, recall, _ = memory_tools(clients, user, scope="diet")
    assert "Remembered" in remember.invoke({"fact": EGGS})
    assert EGGS in recall.invoke({"query": "eggs"})
    assert EGGS in asyncio.run(recall.ainvoke({"query": "eggs"}))
    assert remember.invoke({"fact": " "}).startswith("content:")
    assert [memory.scope for memory in clients.blocking().list(user)] == ["diet"]


def test_a_retriever_finds_memories_of_the_user_of_the_run(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    memory.add(content=EGGS, user_id=user, scope="diet", tags=["food"], metadata={"n": 9})
    memory.add(content="Maya would like eggs of wood", user_id=user, metadata={"n": 10})
    memory.add(content="Ben eats eggs", user_id=f"{user}-other")
    retriever = OpenmemRetriever(client=clients, user_id=lambda run: run.get("user"), k=5)
    found = retriever.invoke("eggs", config={"metadata": {"user": user}})
    assert {document.page_content for document in found} == {EGGS, "Maya would like eggs of wood"}
    [best] = asyncio.run(retriever.ainvoke("vegan eggs", k=1, config={"metadata": {"user": user}}))
    assert (best.page_content, best.metadata["scope"], best.metadata["n"]) == (EGGS, "diet", 9)
    assert 0 < best.metadata["score"] <= 1
    numbers = OpenmemRetriever(client=clients, user_id=user, where={"n": {"$gt": 9}})
    assert [document.metadata["n"] for document in numbers.invoke("eggs")] == [10]
    tagged = OpenmemRetriever(client=clients, user_id=user, required_tags=["food"])
    assert len(tagged.invoke("eggs")) == 1
    with pytest.raises(InvalidRequestError, match="this run has no user"):
        retriever.invoke("eggs")
    assert user not in repr(retriever)
    assert tagged.invoke(" ") == asyncio.run(tagged.ainvoke("")) == []
    assert len(tagged.invoke("eggs\0 \ud800")) == 1


def test_a_retriever_on_a_backend_that_is_down() -> None:
    with MemoryClients(url=f"postgresql://127.0.0.1:{free_port()}/omp", embedder="hashing") as down:
        with pytest.raises(ProviderError):
            OpenmemRetriever(client=down, user_id="maya").invoke("eggs")
        assert OpenmemRetriever(client=down, user_id="maya", on_error="warn").invoke("eggs") == []


def test_wrong_arguments_are_refused_before_anything_runs(clients: MemoryClients) -> None:
    with pytest.raises(InvalidRequestError, match="token_budget"):
        MemoryMiddleware(clients, "maya", token_budget=0)
    with pytest.raises(InvalidRequestError, match="limit"):
        OpenmemRetriever(client=clients, user_id="maya", k=0)
    with pytest.raises(TypeError, match="is no client"):
        memory_tools("postgresql://localhost/omp", "maya")  # type: ignore[arg-type]


def test_a_cancelled_run_ends_at_once_and_leaves_nothing(interrupted: Interruption, user: str) -> None:
    remember, recall, _ = memory_tools(interrupted.clients, user)
    agent = agent_of(Script(), interrupted.clients)

    async def main() -> int:
        await interrupted(lambda: agent.ainvoke({"messages": [("user", QUESTION)]}, context=Run(user)))
        await interrupted(lambda: recall.ainvoke({"query": "eggs"}))
        await interrupted(lambda: remember.ainvoke({"fact": EGGS}))
        await interrupted(lambda: OpenmemRetriever(client=interrupted.clients, user_id=user).ainvoke("eggs"))
        return await interrupted.clients.current().count(user)

    assert asyncio.run(main()) <= TRIES
