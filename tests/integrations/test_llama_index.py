"""The block and the retriever in real agents of LlamaIndex, with a model that shows what it was sent."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLMWithChatMemoryOfLastCall
from llama_index.core.memory import Memory as LlamaMemory

from openmem import AsyncMemory, InvalidRequestError, ProviderError
from openmem.delimited import NOTICE
from openmem.integrations import AnyClient, MemoryClients
from openmem.integrations.llama_index import OpenmemBlock, OpenmemRetriever

from .conftest import Interruption

# LlamaIndex itself uses what pydantic has deprecated, and leaves the database of its short-term memory open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:<aiosqlite:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]

EGGS = "Maya is vegan and eats no eggs"
QUESTION = "Does she eat eggs?"


async def shown(client: AnyClient, user: str, text: str = QUESTION, **options: Any) -> str:
    """What the model was sent."""
    block = OpenmemBlock(client=client, user_id=user, **options)
    memory = LlamaMemory.from_defaults(session_id="s", memory_blocks=[block])
    llm = MockFunctionCallingLLMWithChatMemoryOfLastCall()
    await FunctionAgent(llm=llm, tools=[]).run(text, memory=memory)
    return "\n".join(str(message.content) for message in llm.last_chat_messages or [])


def test_what_is_remembered_is_shown_as_data_to_its_user(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    for _ in range(2):
        text = asyncio.run(shown(clients, user))
        assert NOTICE in text
        assert EGGS in text
    assert EGGS not in asyncio.run(shown(clients, f"{user}-other"))


def test_memories_are_read_once_a_run_and_stand_beside_the_text_of_the_user(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    block = OpenmemBlock(client=clients, user_id=user)
    memory = LlamaMemory.from_defaults(session_id="s", memory_blocks=[block], insert_method="user")

    async def main() -> None:
        for role, text in (("user", QUESTION), ("assistant", "I ask a tool"), ("tool", "eggs are of hens")):
            await memory.aput(ChatMessage(role=role, content=text))
            first, *rest = await memory.aget()
            assert (first.role.value, first.blocks[-1].text) == ("user", QUESTION)
            assert EGGS in first.blocks[0].text
            assert not any(EGGS in str(message.content) for message in rest)

    asyncio.run(main())
    assert [entry.action for entry in clients.blocking().audit(user)].count("context") == 1


def test_a_client_of_one_loop(settings: dict[str, Any], user: str) -> None:
    async def main() -> str:
        async with AsyncMemory(**settings) as memory:
            await memory.add(content=EGGS, user_id=user)
            return await shown(memory, user)

    assert EGGS in asyncio.run(main())


def test_blocking_code(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    block = OpenmemBlock(client=clients, user_id=user)
    memory = LlamaMemory.from_defaults(session_id="s", memory_blocks=[block])
    for _ in range(2):
        memory.put(ChatMessage(role="user", content=QUESTION))
        assert EGGS in "".join(str(message.content) for message in memory.get())


def test_what_leaves_the_short_term_memory_is_stored(clients: MemoryClients, user: str) -> None:
    block = OpenmemBlock(client=clients, user_id=user, scope="chat", app="cook")
    memory = LlamaMemory.from_defaults(
        session_id="s", memory_blocks=[block], token_limit=60, chat_history_token_ratio=0.5, token_flush_size=10
    )

    async def main() -> None:
        for number in range(12):
            await memory.aput(ChatMessage(role="user", content=f"Fact number {number}: {EGGS}"))
            await memory.aput(ChatMessage(role="assistant", content=f"Noted number {number}"))

    asyncio.run(main())
    stored = list(clients.blocking().list(user, order="oldest"))
    assert stored
    assert [record.content for record in stored] == [f"Fact number {number}: {EGGS}" for number in range(len(stored))]
    assert {record.scope for record in stored} == {"chat"}
    assert {(record.source.app, record.source.ref) for record in stored if record.source} == {("cook", "s")}


def test_a_block_is_shortened_by_memories(clients: MemoryClients, user: str) -> None:
    for number in range(5):
        clients.blocking().add(content=f"Maya eats eggs of kind number {number}", user_id=user)
    block = OpenmemBlock(client=clients, user_id=user)

    async def main() -> None:
        text = await block.aget([ChatMessage(role="user", content="eggs")])
        shorter = await block.atruncate(text, 30)
        assert shorter is not None
        assert text.count("number") > shorter.count("number") > 0
        assert shorter.endswith("\n</memories>")
        assert await block.atruncate(text, 10_000) is None
        assert await block.atruncate("", 1) is None

    asyncio.run(main())


def test_a_retriever_in_both_modes(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user, metadata={"topic": "diet"}, scope="home")
    clients.blocking().add(content="Maya paints eggs", user_id=user)
    retriever = OpenmemRetriever(clients, user, where={"topic": "diet"})
    for nodes in (retriever.retrieve("eggs"), asyncio.run(retriever.aretrieve("eggs"))):
        [node] = nodes
        assert node.text == EGGS
        assert (node.metadata["topic"], node.metadata["scope"]) == ("diet", "home")
        assert node.score is not None
        assert node.score > 0
    assert OpenmemRetriever(clients, f"{user}-other").retrieve("eggs") == []


def test_a_dead_backend(dead: MemoryClients, user: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert NOTICE not in asyncio.run(shown(dead, user))
    assert [record.name for record in caplog.records].count("openmem") >= 1
    block = OpenmemBlock(client=dead, user_id=user, on_error="raise")
    with pytest.raises(ProviderError):
        asyncio.run(block.aget([ChatMessage(role="user", content=QUESTION)]))
    with pytest.raises(ProviderError):
        asyncio.run(block.aput([ChatMessage(role="user", content=EGGS)]))
    with pytest.raises(ProviderError):
        OpenmemRetriever(dead, user).retrieve("eggs")


def test_wrong_arguments_are_refused_at_once(clients: MemoryClients) -> None:
    with pytest.raises(InvalidRequestError, match="limit"):
        OpenmemRetriever(clients, "maya", similarity_top_k=0)
    with pytest.raises(InvalidRequestError, match="token_budget"):
        OpenmemBlock(client=clients, user_id="maya", token_budget=0)


def test_texts_that_are_long_odd_or_empty(clients: MemoryClients, user: str) -> None:
    block = OpenmemBlock(client=clients, user_id=user)
    said = [ChatMessage(role="user", content=text) for text in ("x " * 40_000, "no\0 eggs \ud800", " ", EGGS)]
    asyncio.run(block.aput(said, session_id="';\0--"))
    stored = [record.content for record in clients.blocking().list(user)]
    assert len(stored) == 4
    assert {EGGS, "no\ufffd eggs \ufffd"} < set(stored)
    assert EGGS in asyncio.run(block.aget([ChatMessage(role="user", content="eggs\0 \ud800")]))
    assert OpenmemRetriever(clients, user).retrieve(" ") == []
    assert asyncio.run(OpenmemRetriever(clients, user).aretrieve("")) == []


def test_a_cancelled_run_ends_at_once_and_leaves_nothing(interrupted: Interruption, user: str) -> None:
    block = OpenmemBlock(client=interrupted.clients, user_id=user)
    memory = LlamaMemory.from_defaults(session_id="s", memory_blocks=[block])
    retriever = OpenmemRetriever(interrupted.clients, user)
    said = [ChatMessage(role="user", content=f"{EGGS}, number {number}") for number in range(3)]

    async def main() -> int:
        await memory.aput(ChatMessage(role="user", content=QUESTION))
        await interrupted(memory.aget)
        await interrupted(lambda: retriever.aretrieve("eggs"))
        await interrupted(lambda: block.aput(said))
        return await interrupted.clients.current().count(user)

    assert asyncio.run(main()) % len(said) == 0, "all messages of a flush are stored, or none"
