"""Memory in real agents of the OpenAI Agents SDK, with a model that follows a script."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

import pytest

pytest.importorskip("agents")

from agents import Agent, RunConfig, Runner, SQLiteSession, set_tracing_disabled
from agents.testing import ModelCall, ScriptedModel, assistant_message, function_call

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError
from openmem.delimited import NOTICE
from openmem.integrations import AnyClient, MemoryClients
from openmem.integrations.openai_agents import OpenmemMemory

from .conftest import Interruption

EGGS = "Maya is vegan and eats no eggs"
QUESTION = "Does she eat eggs?"


@pytest.fixture(autouse=True)
def no_tracing() -> None:
    set_tracing_disabled(True)


def last_call(model: ScriptedModel) -> ModelCall:
    assert model.last_call is not None
    return model.last_call


def done(text: str = "done") -> list[Any]:
    return [assistant_message(text)]


def calls(tool: str, **arguments: Any) -> list[Any]:
    return [function_call(tool, arguments, call_id=uuid.uuid4().hex)]


def memory_of(client: AnyClient, **options: Any) -> OpenmemMemory[str | None]:
    return OpenmemMemory(client, lambda user: user, **options)


class Conversation:
    """An agent with memory, and a model that answers by a script."""

    def __init__(self, client: AnyClient, *steps: list[Any], **options: Any) -> None:
        self.model = ScriptedModel([*steps, done()])
        memory = memory_of(client, **options)
        self.agent: Agent[str | None] = Agent(name="cook", model=self.model, tools=[*memory.tools])
        self.config = RunConfig(call_model_input_filter=memory.filter)

    async def say(self, text: str, user: str | None, session: SQLiteSession | None = None) -> None:
        await Runner.run(self.agent, text, context=user, run_config=self.config, session=session)

    def texts(self, call: int = -1) -> list[str]:
        """What the user says in a call of the model."""
        return [item["content"] for item in self.items(call) if item.get("role") == "user"]

    def results(self) -> list[str]:
        """What tools returned, in the last call of the model."""
        return [item["output"] for item in self.items(-1) if item.get("type") == "function_call_output"]

    def items(self, call: int) -> list[dict[str, Any]]:
        given = self.model.calls[call].input
        assert isinstance(given, list)
        return [dict(item) for item in given]


def test_what_is_remembered_is_shown_as_data_and_not_stored_in_the_session(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    conversation = Conversation(clients)

    async def main() -> list[Any]:
        session = SQLiteSession("s")
        await conversation.say(QUESTION, user, session)
        items = await session.get_items()
        session.close()
        return items

    items = asyncio.run(main())
    [shown, said] = conversation.texts()
    assert shown.startswith(f"{NOTICE}\n<memories>\n")
    assert EGGS in shown
    assert said == QUESTION
    assert EGGS not in str(items)
    assert last_call(conversation.model).system_instructions is None


def test_two_conversations_and_two_users(clients: MemoryClients, user: str) -> None:
    first = Conversation(clients, calls("remember", fact=EGGS), app="cook")
    asyncio.run(first.say("I am vegan", user))
    [stored] = clients.blocking().list(user)
    assert (stored.content, stored.source and stored.source.app) == (EGGS, "cook")
    assert first.results() == [f"Remembered as [{stored.id}]."]

    for name, expected in ((user, True), (f"{user}-other", False)):
        second = Conversation(clients, calls("recall", query="eggs"))
        asyncio.run(second.say(QUESTION, name))
        assert [EGGS in text for text in second.texts()] == ([True, False] if expected else [False])
        assert [EGGS in text for text in second.results()] == [expected]


def test_a_fact_is_replaced_and_forgotten(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    old = memory.add(content="Maya lives in Berlin", user_id=user)
    asyncio.run(Conversation(clients, calls("remember", fact="Maya lives in Lyon", replaces=old.id)).say("moved", user))
    [new] = memory.list(user, as_of="2999-01-01").items
    assert (new.content, new.supersedes) == ("Maya lives in Lyon", [old.id])
    asyncio.run(Conversation(clients, calls("forget", memory_id=new.id)).say("Forget it", user))
    assert list(memory.search("where does Maya live", user)) == []
    assert len(memory.list(user)) == 2, "nothing was deleted"


def test_the_model_is_told_what_it_asked_wrongly(clients: MemoryClients, user: str) -> None:
    other = clients.blocking().add(content=EGGS, user_id=f"{user}-other")
    conversation = Conversation(clients, calls("forget", memory_id=other.id))
    asyncio.run(conversation.say("Forget it", user))
    assert [other.id in text for text in conversation.results()] == [True]
    assert clients.blocking().get(other.id).valid_to is None

    blank = Conversation(clients, calls("remember", fact=" "))
    asyncio.run(blank.say("hi", user))
    assert ["content" in text for text in blank.results()] == [True]

    broken = Conversation(clients, [function_call("remember", "{no JSON", call_id="1")])
    asyncio.run(broken.say("hi", user))
    assert ["Invalid JSON" in text for text in broken.results()] == [True]


def test_memories_are_read_once_a_run(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    conversation = Conversation(clients, calls("recall", query="breakfast"), calls("recall", query="eggs"))
    asyncio.run(conversation.say(QUESTION, user))
    assert [entry.action for entry in clients.blocking().audit(user)].count("context") == 1
    assert [EGGS in conversation.texts(call)[0] for call in range(3)] == [True] * 3

    clients.blocking().add(content="Maya now eats eggs on Sundays", user_id=user)
    again = Conversation(clients)
    asyncio.run(again.say(QUESTION, user))
    assert "on Sundays" in again.texts()[0]


def test_the_same_question_in_a_new_run_is_read_anew(clients: MemoryClients, user: str) -> None:
    memory = memory_of(clients)
    config = RunConfig(call_model_input_filter=memory.filter)
    clients.blocking().add(content=EGGS, user_id=user)
    seen = []
    for fact in ("Maya likes tofu eggs", "Maya paints eggs"):
        clients.blocking().add(content=fact, user_id=user)
        model = ScriptedModel([done()])
        agent: Agent[str | None] = Agent(name="cook", model=model)
        asyncio.run(_run(agent, QUESTION, user, config))
        seen.append(fact in str(last_call(model).input))
    assert seen == [True, True]


async def _run(agent: Agent[str | None], text: str, user: str, config: RunConfig) -> None:
    await Runner.run(agent, text, context=user, run_config=config)


def test_dynamic_instructions(clients: MemoryClients, user: str) -> None:
    clients.blocking().add(content=EGGS, user_id=user)
    memory, model = memory_of(clients), ScriptedModel([done()])
    agent = Agent(name="cook", model=model, instructions=memory.instructions("You are a cook."))
    asyncio.run(_run(agent, QUESTION, user, RunConfig()))
    given = last_call(model).system_instructions
    assert given is not None
    assert given.startswith(f"You are a cook.\n\n{NOTICE}\n<memories>\n")
    assert EGGS in given


def test_scope_bounds_what_is_read_and_where_is_stored(clients: MemoryClients, user: str) -> None:
    memory = clients.blocking()
    memory.add(content="Maya eats eggs at work", user_id=user, scope="work")
    memory.add(content=EGGS, user_id=user, scope="home/kitchen")
    steps = calls("recall", query="eggs"), calls("remember", fact="Maya likes tofu")
    conversation = Conversation(clients, *steps, scope="home")
    asyncio.run(conversation.say(QUESTION, user))
    assert "at work" not in conversation.texts()[0] + "".join(conversation.results())
    assert EGGS in conversation.texts()[0]
    assert [record.content for record in memory.list(user, scope="home")] == ["Maya likes tofu"]


def test_tools_do_not_take_a_user(clients: MemoryClients) -> None:
    parameters = [sorted(tool.params_json_schema["properties"]) for tool in memory_of(clients).tools]
    assert parameters == [["fact", "replaces"], ["query"], ["memory_id"]]


def test_a_run_without_user_is_refused(clients: MemoryClients) -> None:
    with pytest.raises(InvalidRequestError, match="user_id: this run has no user"):
        asyncio.run(Conversation(clients).say(QUESTION, None))


def test_a_dead_backend_is_told_and_the_run_goes_on(
    dead: MemoryClients, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    conversation = Conversation(dead)
    with caplog.at_level(logging.WARNING):
        asyncio.run(conversation.say(QUESTION, user))
    assert conversation.texts() == [QUESTION]
    said = [record.getMessage() for record in caplog.records if record.name == "openmem"]
    assert len(said) == 1
    assert "eggs" not in said[0]


def test_a_dead_backend_may_end_the_run_and_a_write_does(dead: MemoryClients, user: str) -> None:
    with pytest.raises(ProviderError):
        asyncio.run(Conversation(dead, on_error="raise").say(QUESTION, user))
    memory, model = memory_of(dead), ScriptedModel([calls("remember", fact=EGGS), done()])
    agent: Agent[str | None] = Agent(name="cook", model=model, tools=[*memory.tools])
    with pytest.raises(Exception, match="remember") as failed:
        asyncio.run(_run(agent, QUESTION, user, RunConfig()))
    assert isinstance(failed.value.__cause__, ProviderError)


def test_blocking_runs_loops_and_each_kind_of_client(settings: dict[str, Any], user: str) -> None:
    async def on_a_loop_of_its_own() -> list[str]:
        async with AsyncMemory(**settings) as memory:
            conversation = Conversation(memory)
            await conversation.say(QUESTION, user)
            return conversation.texts()

    with MemoryClients(**settings) as clients, Memory(**settings) as memory:
        memory.add(content=EGGS, user_id=user)
        for client in (clients, memory, clients):
            conversation = Conversation(client)
            asyncio.run(conversation.say(QUESTION, user))
            assert EGGS in conversation.texts()[0]
    for _ in range(2):
        assert EGGS in asyncio.run(on_a_loop_of_its_own())[0]


def test_a_cancelled_run_leaves_the_client_usable(clients: MemoryClients, user: str) -> None:
    async def main() -> int:
        for delay in range(0, 60, 3):
            conversation = Conversation(clients, calls("remember", fact=EGGS))
            task = asyncio.create_task(conversation.say("I am vegan", user))
            for _ in range(delay):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        return await clients.current().count(user)

    assert asyncio.run(main()) in range(21)


def test_a_cancelled_run_ends_at_once_and_leaves_nothing(interrupted: Interruption, user: str) -> None:
    async def main() -> None:
        await interrupted(lambda: Conversation(interrupted.clients).say(QUESTION, user))

    asyncio.run(main())
