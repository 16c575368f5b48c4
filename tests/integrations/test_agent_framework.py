"""The context provider in real agents of Microsoft's Agent Framework, with a chat client that follows a script."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

pytest.importorskip("agent_framework")

from agent_framework import (
    Agent,
    AgentSession,
    BaseChatClient,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    Message,
)

from openmem import AsyncMemory, InvalidRequestError, ProviderError
from openmem.delimited import NOTICE
from openmem.integrations import AnyClient, MemoryClients
from openmem.integrations.agent_framework import OpenmemProvider

from .conftest import TRIES, Interruption

EGGS = "Maya is vegan and eats no eggs"
QUESTION = "Does she eat eggs?"


class Script(FunctionInvocationLayer, BaseChatClient):
    """A chat client that answers by a script, and what it was sent."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        super().__init__()
        self.calls = list(calls)
        self.sent: list[list[Message]] = []
        self.tools: list[str] = []

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool = False, options: Any = None, **rest: Any
    ) -> Awaitable[ChatResponse]:
        self.sent.append(list(messages))
        self.tools = [tool.name for tool in (options or {}).get("tools") or []]

        async def answer() -> ChatResponse:
            if self.calls:
                name, arguments = self.calls.pop(0)
                call = Content.from_function_call(call_id=str(len(self.calls)), name=name, arguments=arguments)
                return ChatResponse(messages=[Message(role="assistant", contents=[call])])
            return ChatResponse(messages=[Message(role="assistant", contents=["done"])])

        return answer()

    def texts(self, call: int = -1) -> list[str]:
        return [message.text for message in self.sent[call] if message.role == "user"]

    def results(self) -> list[str]:
        contents = (content for message in self.sent[-1] for content in message.contents)
        return [str(content.result) for content in contents if content.type == "function_result"]


def user_of_session(session: AgentSession) -> str | None:
    return session.state.get("user")


async def say(script: Script, client: AnyClient, user: str | None, text: str, **options: Any) -> AgentSession:
    agent = Agent(script, context_providers=[OpenmemProvider(client, user_of_session, **options)])
    session = agent.create_session()
    session.state["user"] = user
    await agent.run(text, session=session)
    return session


def test_what_is_remembered_is_shown_as_data(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script()
    asyncio.run(say(script, clients, user, QUESTION))
    shown, said = script.texts()
    assert shown.startswith(f"{NOTICE}\n<memories>\n")
    assert EGGS in shown
    assert said == QUESTION
    assert script.tools == ["remember", "recall", "forget"]


def test_two_conversations_and_two_users(clients: MemoryClients, user: str) -> None:
    first = Script(("remember", {"fact": EGGS}))
    asyncio.run(say(first, clients, user, "I am vegan", app="cook"))
    [stored] = clients.blocking().list(user)
    assert (stored.content, stored.source and stored.source.app) == (EGGS, "cook")
    for name, is_known in ((user, True), (f"{user}-other", False)):
        second = Script(("recall", {"query": "eggs"}))
        asyncio.run(say(second, clients, name, QUESTION))
        assert [EGGS in text for text in second.texts()] == ([True, False] if is_known else [False])
        assert [EGGS in text for text in second.results()] == [is_known]


def test_memories_are_read_once_a_run_and_forgotten(clients: MemoryClients, user: str) -> None:
    stored = clients.blocking().add(content=EGGS, user_id=user)
    script = Script(("recall", {"query": "eggs"}), ("forget", {"memory_id": stored.id}))
    asyncio.run(say(script, clients, user, QUESTION))
    assert [entry.action for entry in clients.blocking().audit(user)].count("context") == 1
    assert list(clients.blocking().search("eggs", user)) == []
    assert clients.blocking().get(stored.id).content == EGGS


def test_each_kind_of_client(settings: dict[str, Any], user: str) -> None:
    async def main() -> list[str]:
        async with AsyncMemory(**settings) as memory:
            await memory.add(content=EGGS, user_id=user)
            script = Script()
            await say(script, memory, user, QUESTION, has_tools=False)
            assert script.tools == []
            return script.texts()

    assert EGGS in asyncio.run(main())[0]


def test_a_dead_backend(dead: MemoryClients, user: str, caplog: pytest.LogCaptureFixture) -> None:
    script = Script()
    with caplog.at_level(logging.WARNING):
        asyncio.run(say(script, dead, user, QUESTION))
    assert script.texts() == [QUESTION]
    assert [record.name for record in caplog.records].count("openmem") == 1
    assert "eggs" not in caplog.text
    with pytest.raises(ProviderError):
        asyncio.run(say(Script(), dead, user, QUESTION, on_error="raise"))


def test_a_run_without_user_is_refused(clients: MemoryClients) -> None:
    with pytest.raises(InvalidRequestError, match="user_id: this run has no user"):
        asyncio.run(say(Script(), clients, None, QUESTION))


def test_a_cancelled_run_ends_at_once_and_leaves_nothing(interrupted: Interruption, user: str) -> None:
    provider = OpenmemProvider(interrupted.clients, user)
    remember = provider._tools(user)[0]

    async def main() -> int:
        await interrupted(lambda: say(Script(), interrupted.clients, user, QUESTION))
        await interrupted(lambda: remember.invoke(arguments={"fact": EGGS}))
        return await interrupted.clients.current().count(user)

    assert asyncio.run(main()) <= TRIES
