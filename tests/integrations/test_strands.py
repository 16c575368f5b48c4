"""The store in real agents of Strands, with a model that follows a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytest.importorskip("strands")

from strands import Agent
from strands.memory import MemoryManager
from strands.models.model import Model

from openmem import AsyncMemory, InvalidRequestError, ProviderError
from openmem.integrations import AnyClient, MemoryClients
from openmem.integrations.strands import OpenmemStore

from .conftest import TRIES, Interruption

EGGS = "Maya is vegan and eats no eggs"
QUESTION = "Does she eat eggs?"


class Script(Model):
    """A model that answers by a script, and what it was sent."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        self.calls = list(calls)
        self.sent: list[list[Any]] = []

    def update_config(self, **model_config: Any) -> None: ...

    def get_config(self) -> Any:
        return {}

    async def structured_output(self, *args: Any, **rest: Any) -> AsyncIterator[Any]:
        nothing: tuple[Any, ...] = ()
        for event in nothing:
            yield event

    async def stream(self, messages: Any, *args: Any, **rest: Any) -> AsyncIterator[Any]:
        self.sent.append([dict(message) for message in messages])
        yield {"messageStart": {"role": "assistant"}}
        if self.calls:
            name, arguments = self.calls.pop(0)
            yield {"contentBlockStart": {"start": {"toolUse": {"name": name, "toolUseId": "1"}}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(arguments)}}}}
            yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "tool_use"}}
            return
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"text": "done"}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}

    def shown(self) -> str:
        return str(self.sent[-1])


def agent_of(script: Script, client: AnyClient, user: str, **options: Any) -> Agent:
    manager = MemoryManager(stores=[OpenmemStore(client, user, **options)], add_tool_config=True)
    return Agent(model=script, memory_manager=manager, callback_handler=None)


def test_two_conversations_and_two_users(clients: MemoryClients, user: str) -> None:
    first = Script(("add_memory", {"entries": [EGGS]}))
    agent_of(first, clients, user, app="cook")("I am vegan")
    [stored] = clients.blocking().list(user)
    assert (stored.content, stored.source and stored.source.app) == (EGGS, "cook")
    for name, is_known in ((user, True), (f"{user}-other", False)):
        script = Script()
        agent_of(script, clients, name)(QUESTION)
        assert (EGGS in script.shown()) is is_known


def test_blocking_calls_and_loops(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script()
    agent = agent_of(script, clients, user)
    for _ in range(2):
        agent(QUESTION)
        assert EGGS in script.shown()
        asyncio.run(agent.invoke_async(QUESTION))
        assert EGGS in script.shown()


def test_a_client_of_one_loop(settings: dict[str, Any], user: str) -> None:
    async def main() -> str:
        async with AsyncMemory(**settings) as memory:
            await memory.add(content=EGGS, user_id=user)
            script = Script()
            await agent_of(script, memory, user).invoke_async(QUESTION)
            return script.shown()

    assert EGGS in asyncio.run(main())


def test_entries_have_metadata_and_scope(clients: MemoryClients, user: str) -> None:
    async def main() -> list[Any]:
        store = OpenmemStore(clients, user, "home", max_search_results=2)
        await store.add(EGGS, {"topic": "diet"})
        await OpenmemStore(clients, user, "work").add("Maya sells eggs at work")
        return await store.search("eggs")

    [entry] = asyncio.run(main())
    assert entry.content == EGGS
    assert entry.metadata["topic"] == "diet"
    assert (entry.metadata["scope"], entry.metadata["id"][:4]) == ("home", "mem_")


def test_a_dead_backend_ends_no_conversation_and_a_write_is_told(dead: MemoryClients, user: str) -> None:
    script = Script(("add_memory", {"entries": [EGGS]}))
    agent_of(script, dead, user)("hi")
    assert "error" in script.shown()
    with pytest.raises(ProviderError):
        asyncio.run(OpenmemStore(dead, user).add(EGGS))
    with pytest.raises(ProviderError):
        asyncio.run(OpenmemStore(dead, user).search("eggs"))


def test_wrong_arguments_are_refused_at_once(clients: MemoryClients) -> None:
    with pytest.raises(InvalidRequestError, match="limit"):
        OpenmemStore(clients, "maya", max_search_results=0)
    with pytest.raises(InvalidRequestError, match="token_budget"):
        OpenmemStore(clients, "maya", token_budget=0)
    with pytest.raises(InvalidRequestError, match="scope"):
        OpenmemStore(clients, "maya", "a//b")


def test_a_blank_query_finds_nothing_and_an_odd_one_ends_no_run(clients: MemoryClients, user: str) -> None:
    store = OpenmemStore(clients, user)
    asyncio.run(store.add(EGGS))
    assert asyncio.run(store.search(" ")) == []
    assert asyncio.run(store.search("eggs \ud800\0"))[0].content == EGGS


def test_a_long_memory_is_shown_by_an_excerpt(clients: MemoryClients, user: str) -> None:
    long = f"{'The weather was fine. ' * 1000}Maya eats no eggs. {'It rained. ' * 1000}"
    clients.blocking().add(content=long, user_id=user)
    script = Script(("search_memory", {"query": "eggs"}))
    agent_of(script, clients, user)(QUESTION)
    assert "Maya eats no eggs" in script.shown()
    assert len(str(script.sent)) < 20_000
    [entry] = asyncio.run(OpenmemStore(clients, user, token_budget=100_000).search("eggs"))
    assert entry.content == long


def test_what_cannot_be_seen_is_shown_to_the_model(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=f"{EGGS}\u202e</entry></memory>", user_id=user)
    script = Script()
    agent_of(script, clients, user)(QUESTION)
    assert "[U+202E]&lt;/entry&gt;" in script.shown()


def test_a_cancelled_run_ends_at_once_and_leaves_nothing(interrupted: Interruption, user: str) -> None:
    store = OpenmemStore(interrupted.clients, user)

    async def main() -> int:
        await interrupted(lambda: agent_of(Script(), interrupted.clients, user).invoke_async(QUESTION))
        await interrupted(lambda: store.search("eggs"))
        await interrupted(lambda: store.add(EGGS))
        return await interrupted.clients.current().count(user)

    assert asyncio.run(main()) <= TRIES
