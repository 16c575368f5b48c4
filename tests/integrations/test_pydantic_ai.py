"""The capability of Pydantic AI in real agents, with a model that follows a script."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent, RunContext, models
from pydantic_ai.messages import (
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from openmem import AsyncMemory, InvalidRequestError, Memory, NotFoundError, ProviderError
from openmem.delimited import NOTICE
from openmem.integrations import AnyClient, MemoryClients
from openmem.integrations.pydantic_ai import OpenmemMemory

from .conftest import Interruption

models.ALLOW_MODEL_REQUESTS = False
pytestmark = pytest.mark.usefixtures("loop_of_run_sync")

EGGS = "Maya is vegan and eats no eggs"


@dataclass(frozen=True)
class Deps:
    user: str | None


class Script:
    """A model that answers by a script, and what it was sent."""

    def __init__(self, *replies: ModelResponse) -> None:
        self.replies = list(replies)
        self.sent: list[list[ModelMessage]] = []
        self.tools: list[str] = []
        self.model = FunctionModel(self._answer)

    def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.sent.append(list(messages))
        self.tools = [tool.name for tool in info.function_tools]
        return self.replies.pop(0) if self.replies else ModelResponse(parts=[TextPart("done")])

    def texts(self, request: int = -1) -> list[str]:
        """What the user says in a request, as the model sees it."""
        return [
            str(part.content)
            for message in self.sent[request]
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, UserPromptPart)
        ]

    def results(self) -> list[str]:
        """What tools returned, as the model sees it in the last request."""
        return [
            str(part.content)
            for message in self.sent[-1]
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, ToolReturnPart)
        ]


def call(tool: str, **arguments: Any) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(tool, arguments)])


def user_of_run(run: RunContext[Deps]) -> str | None:
    return run.deps.user


def agent_of(script: Script, client: AnyClient, **options: Any) -> Agent[Deps, str]:
    return Agent(script.model, deps_type=Deps, capabilities=[OpenmemMemory(client, user_of_run, **options)])


def test_what_is_remembered_is_shown_as_data_before_what_the_user_says(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script()
    result = agent_of(script, clients).run_sync("What can she have for breakfast, eggs?", deps=Deps(user))
    [shown, said] = script.texts()
    assert shown.startswith(f"{NOTICE}\n<memories>\n")
    assert EGGS in shown
    assert said == "What can she have for breakfast, eggs?"
    assert EGGS not in str(result.all_messages()), "it is for this request only"
    assert script.tools == ["remember", "recall", "forget"]


def test_two_conversations_and_two_users(clients: MemoryClients, user: str) -> None:
    first = Script(call("remember", fact=EGGS))
    agent_of(first, clients, app="cook").run_sync("I am vegan", deps=Deps(user))
    [stored] = clients.blocking().list(user)
    assert (stored.content, stored.source and stored.source.app) == (EGGS, "cook")
    assert first.results() == [f"Remembered as [{stored.id}]."]

    for name, expected in ((user, True), (f"{user}-other", False)):
        second = Script(call("recall", query="eggs"))
        agent_of(second, clients).run_sync("Does she eat eggs?", deps=Deps(name))
        assert [EGGS in text for text in second.texts()] == ([True, False] if expected else [False])
        assert [EGGS in text for text in second.results()] == [expected]


def test_a_fact_is_replaced_and_forgotten(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    old = memory.add(content="Maya lives in Berlin", user_id=user)
    script = Script(call("remember", fact="Maya lives in Lyon", replaces=old.id))
    agent_of(script, clients).run_sync("I moved to Lyon", deps=Deps(user))
    [new] = memory.list(user, as_of="2999-01-01").items
    assert (new.content, new.supersedes) == ("Maya lives in Lyon", [old.id])

    agent_of(Script(call("forget", memory_id=new.id)), clients).run_sync("Forget it", deps=Deps(user))
    assert list(memory.search("where does Maya live", user)) == []
    assert len(memory.list(user)) == 2, "nothing was deleted"


def test_a_call_of_a_tool_that_is_made_again_stores_once(clients: MemoryClients, user: str) -> None:
    again = ModelResponse(parts=[ToolCallPart("remember", {"fact": EGGS}, tool_call_id="1")])
    script = Script(again, again, call("remember", fact=EGGS))
    agent_of(script, clients).run_sync("I am vegan", deps=Deps(user))
    latest, first = clients.blocking().list(user)
    assert script.results() == [f"Remembered as [{record.id}]." for record in (first, first, latest)]


def test_a_memory_of_somebody_else_is_not_forgotten(clients: MemoryClients, user: str) -> None:
    other = clients.blocking().add(content=EGGS, user_id=f"{user}-other")
    script = Script(call("forget", memory_id=other.id))
    agent_of(script, clients).run_sync("Forget it", deps=Deps(user))
    with pytest.raises(NotFoundError) as refused:
        clients.blocking().get(other.id, user_id=user)
    assert script.results() == [refused.value.message]
    assert clients.blocking().get(other.id).valid_to is None


def test_memories_are_read_once_a_run(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script(call("recall", query="breakfast"), call("recall", query="eggs"))
    agent = agent_of(script, clients)
    agent.run_sync("Does she eat eggs?", deps=Deps(user))
    assert [entry.action for entry in clients.blocking().audit(user)].count("context") == 1
    assert [EGGS in script.texts(request)[0] for request in range(3)] == [True] * 3


def test_scope_bounds_what_is_read_and_where_is_stored(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    memory.add(content="Maya eats eggs at work", user_id=user, scope="work")
    memory.add(content=EGGS, user_id=user, scope="home/kitchen")
    script = Script(call("recall", query="eggs"), call("remember", fact="Maya likes tofu"))
    agent_of(script, clients, scope="home").run_sync("Does she eat eggs?", deps=Deps(user))
    assert "at work" not in script.texts()[0] + "".join(script.results())
    assert EGGS in script.texts()[0]
    assert [record.content for record in memory.list(user, scope="home")] == ["Maya likes tofu"]


def test_the_query_is_the_latest_text_of_the_user(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    script = Script()
    agent = agent_of(script, clients)
    first = agent.run_sync("Hello", deps=Deps(user))
    question: list[UserContent] = ["Does she eat eggs?", ImageUrl("http://127.0.0.1/egg.png")]
    agent.run_sync(question, deps=Deps(user), message_history=first.all_messages())
    texts = script.texts()
    assert [EGGS in text for text in texts] == [False, True, False]


def test_it_can_be_shown_only_or_have_tools_only(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    shown, tools = Script(), Script()
    agent_of(shown, clients, has_tools=False).run_sync("eggs?", deps=Deps(user))
    agent_of(tools, clients, is_shown=False).run_sync("eggs?", deps=Deps(user))
    assert (len(shown.texts()), shown.tools) == (2, [])
    assert (len(tools.texts()), len(tools.tools)) == (1, 3)


def test_a_run_without_user_is_refused(clients: MemoryClients) -> None:
    with pytest.raises(InvalidRequestError, match="user_id: this run has no user"):
        agent_of(Script(), clients).run_sync("eggs?", deps=Deps(None))


@pytest.mark.parametrize("wrong", [{"on_error": "ignore"}, {"token_budget": 0}, {"scope": "a//b"}])
def test_wrong_arguments_are_refused_at_once(clients: MemoryClients, wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(InvalidRequestError, match=name):
        OpenmemMemory(clients, "maya", **wrong)


def test_a_dead_backend_is_told_and_the_run_goes_on(
    dead: MemoryClients, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script()
    with caplog.at_level(logging.WARNING):
        agent_of(script, dead).run_sync("does she eat eggs?", deps=Deps(user))
    assert script.texts() == ["does she eat eggs?"]
    said = [record.getMessage() for record in caplog.records if record.name == "openmem"]
    assert len(said) == 1
    assert "eggs" not in said[0]


def test_a_dead_backend_may_end_the_run(dead: MemoryClients, user: str) -> None:
    with pytest.raises(ProviderError):
        agent_of(Script(), dead, on_error="raise").run_sync("does she eat eggs?", deps=Deps(user))


def test_a_write_that_fails_is_raised(dead: MemoryClients, user: str) -> None:
    with pytest.raises(ProviderError):
        agent_of(Script(call("remember", fact=EGGS)), dead, is_shown=False).run_sync("hi", deps=Deps(user))


def test_two_loops_and_each_kind_of_client(settings: dict[str, Any], user: str) -> None:
    async def with_client_of_loop() -> Sequence[str]:
        async with AsyncMemory(**settings) as memory:
            script = Script()
            await agent_of(script, memory).run("does she eat eggs?", deps=Deps(user))
            return script.texts()

    with Memory(**settings) as memory:
        memory.add(content=EGGS, user_id=user)
        script = Script()
        agent = agent_of(script, memory)
        for _ in range(2):
            asyncio.run(agent.run("does she eat eggs?", deps=Deps(user)))
            assert EGGS in script.texts()[0]
    for _ in range(2):
        assert EGGS in asyncio.run(with_client_of_loop())[0]


def test_runs_at_once_keep_their_users_apart(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    names = [f"{user}-{number}" for number in range(10)]
    for name in names:
        memory.add(content=f"The favourite dish of {name} is soup", user_id=name)

    class Echo(Script):
        def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self.sent = [messages]
            return ModelResponse(parts=[TextPart(self.texts()[0])])

    agent = agent_of(Echo(), clients)

    async def main() -> list[str]:
        runs = (agent.run("favourite dish", deps=Deps(name)) for name in names)
        return [result.output for result in await asyncio.gather(*runs)]

    for name, output in zip(names, asyncio.run(main()), strict=True):
        assert f"dish of {name} is" in output
        assert output.count("favourite dish") == 1


def test_a_cancelled_run_leaves_the_client_usable(clients: MemoryClients, user: str) -> None:
    async def main() -> int:
        agent = agent_of(Script(call("remember", fact=EGGS)), clients)
        for delay in range(20):
            task = asyncio.create_task(agent.run("I am vegan", deps=Deps(user)))
            for _ in range(delay * 3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        return await clients.current().count(user)

    assert asyncio.run(main()) in range(21)


def test_a_cancelled_run_ends_at_once_and_leaves_nothing(interrupted: Interruption, user: str) -> None:
    async def main() -> None:
        await interrupted(lambda: agent_of(Script(), interrupted.clients).run("does she eat eggs?", deps=Deps(user)))

    asyncio.run(main())
