"""The store of the Pydantic AI Harness beside the harness's own, and in real agents with a scripted model."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

pytest.importorskip("pydantic_ai_harness")

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai_harness import Memory
from pydantic_ai_harness.memory import (
    InMemoryStore,
    MemoryConflictError,
    MemoryOperation,
    MemoryOperationConflictError,
    MemoryStore,
    MetadataMemoryStore,
    SearchableMemoryStore,
)

from openmem import InvalidRequestError, ProviderError
from openmem.integrations import MemoryClients
from openmem.integrations.pydantic_ai_harness import OpenmemStore

from .conftest import TRIES, Interruption

pytestmark = pytest.mark.usefixtures("loop_of_run_sync")

EGGS = "Maya is vegan and eats no eggs"
PATHS = ("main/MEMORY.md", "main/a.md", "main/ab.md", "tenant-1/main/a.md", "tenant-1/.x", "b")
TEXTS = ("", "\n", "one", "one\ntwo\n", "naïve ☕", "x" * 70_000)
STEPS = 150 * int(os.environ.get("OPENMEM_TEST_MORE", "1"))


class Both:
    """The same calls on two stores, whose versions are named by the order in which they were made."""

    def __init__(self, ours: Any, theirs: Any) -> None:
        self.stores = (ours, theirs)
        self.names: tuple[dict[Any, Any], dict[Any, Any]] = ({None: None}, {None: None})
        self.versions: tuple[dict[Any, Any], dict[Any, Any]] = ({None: None}, {None: None})
        self.count = 0

    async def call(self, verb: str, *args: Any, expected: int | None = None, **rest: Any) -> Any:
        seen: list[Any] = []
        self.count += 1
        for number, store in enumerate(self.stores):
            if verb in ("write", "delete", "write_with_metadata"):
                rest["expected_version"] = self.versions[number].get(expected, "0")
            try:
                result = await getattr(store, verb)(*args, **rest)
            except (MemoryConflictError, MemoryOperationConflictError) as error:
                seen.append(type(error).__name__)
                continue
            version = getattr(result, "version", None)
            if version not in self.names[number]:
                self.names[number][version] = self.count
                self.versions[number][self.count] = version
            fields = dict(vars(result)) if hasattr(result, "__dict__") else result
            if isinstance(fields, dict) and "version" in fields:
                fields["version"] = self.names[number][version]
            seen.append(fields)
        assert seen[0] == seen[1], (verb, args, rest)
        return seen[0]


def test_the_same_calls_have_the_same_results(clients: MemoryClients, user: str) -> None:
    async def main(seed: int) -> None:
        choose = random.Random(seed)
        both = Both(OpenmemStore(clients, f"{user}-{seed}"), InMemoryStore())
        current: dict[str, int | None] = {}
        last: tuple[Any, ...] | None = None
        for step in range(STEPS):
            path = choose.choice(PATHS)
            expected = choose.choice([current.get(path), current.get(path), choose.choice([None, step])])
            operation = choose.choice([None, MemoryOperation(f"op-{step}", "f")])
            match choose.randrange(8):
                case 0 | 1 | 2:
                    last = ("write", path, choose.choice(TEXTS), expected, operation)
                    found = await both.call(*last[:3], expected=expected, operation=operation)
                    if isinstance(found, dict):
                        current[path] = found["version"]
                case 3:
                    last = ("delete", path, None, expected, operation)
                    found = await both.call("delete", path, expected=expected, operation=operation)
                    if isinstance(found, dict):
                        current[path] = None
                case 4 if last is not None and last[4] is not None:
                    verb, name, text, wanted, done = last
                    args = (name,) if text is None else (name, text)
                    await both.call(verb, *args, expected=wanted, operation=done)
                    await both.call("get_operation", done)
                    await both.call("get_operation", MemoryOperation(done.id, "other"))
                case 5 | 4:
                    await both.call("read", path, max_chars=choose.choice([1, 3, 100_000]))
                case 6:
                    prefix = choose.choice(["", "main/", "main/a", "tenant-1/", "tenant-1/main/", "none/"])
                    await both.call("list_paths", prefix, limit=choose.choice([1, 100]))
                case 7:
                    metadata = choose.choice([None, {"by": "agent"}])
                    found = await both.call("write_with_metadata", path, "m", expected=expected, metadata=metadata)
                    if isinstance(found, dict):
                        current[path] = found["version"]

    for seed in range(2):
        asyncio.run(main(seed))


def test_it_is_what_the_harness_asks_for(clients: MemoryClients) -> None:
    store = OpenmemStore(clients, "maya")
    assert isinstance(store, MemoryStore)
    assert isinstance(store, MetadataMemoryStore)
    assert isinstance(store, SearchableMemoryStore)


def test_writers_at_once_lose_nothing_and_repeat_nothing(clients: MemoryClients, user: str) -> None:
    store = OpenmemStore(clients, user)

    async def append(number: int) -> None:
        while True:
            file = await store.read("main/a.md", max_chars=10_000)
            content, version = ("", None) if file is None else (file.content, file.version)
            try:
                await store.write("main/a.md", f"{content}{number}\n", expected_version=version)
            except MemoryConflictError:
                continue
            return

    async def main() -> None:
        await asyncio.gather(*map(append, range(8)))
        file = await store.read("main/a.md", max_chars=10_000)
        assert file is not None
        assert sorted(file.content.split()) == sorted(map(str, range(8)))
        same = MemoryOperation("same", "f")
        writes = [store.write("main/b.md", "once", expected_version=None, operation=same) for _ in range(12)]
        done = await asyncio.gather(*writes)
        assert len({mutation.version for mutation in done}) == 1
        assert [mutation.replayed for mutation in done].count(False) == 1

    asyncio.run(main())


def agent_of(clients: MemoryClients, *calls: tuple[str, dict[str, Any]]) -> tuple[Agent[str, str], list[str]]:
    """An agent that calls tools by a script, and what its model was sent."""
    left, sent = list(calls), []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        sent.append(str(messages))
        return ModelResponse([ToolCallPart(*left.pop(0))] if left else [TextPart("done")])

    memory: Memory[str] = Memory(store_resolver=lambda run: OpenmemStore(clients, user_id=run.deps))
    return Agent(FunctionModel(answer), deps_type=str, capabilities=[memory]), sent


def test_two_conversations_and_two_users(clients: MemoryClients, user: str) -> None:
    agent, _ = agent_of(clients, ("write_memory", {"content": EGGS, "file": "MEMORY.md"}))
    asyncio.run(agent.run("I am vegan", deps=user))
    [stored] = clients.blocking().list(user)
    assert (stored.key, stored.scope) == ("main/MEMORY.md", "harness/main")
    assert clients.blocking().search("Does Maya eat eggs?", user)[0].memory == stored
    for name, is_known in ((user, True), (f"{user}-other", False)):
        agent, sent = agent_of(clients, ("search_memory", {"query": "eggs"}))
        agent.run_sync("Does she eat eggs?", deps=name)
        assert [EGGS in text for text in sent] == [is_known, is_known]


def test_search_is_ranked_and_within_its_folder(clients: MemoryClients, user: str) -> None:
    store = OpenmemStore(clients, user)

    async def main() -> None:
        long = f"{'The weather was fine. ' * 100}Maya paints eggs. {'It rained. ' * 100}"
        for path, text in (("m/a.md", EGGS), ("m/b.md", long), ("m/n/c.md", EGGS), ("o/d.md", EGGS), ("m/e.md", "x")):
            await store.write(path, text, expected_version=None)
        bounds = {"limit": 5, "max_files": 100, "max_chars": 300, "max_file_chars": 10_000}
        found = await store.search("m/", "eggs", **bounds)
        assert {match.path for match in found.matches} == {"m/a.md", "m/b.md"}
        assert all("eggs" in match.snippet for match in found.matches)
        assert sum(len(match.snippet) for match in found.matches) <= 300
        assert (await store.search("m/", "eggs", **bounds | {"limit": 1})).truncated
        assert (await store.search("m/", " ", **bounds)).matches == []
        await store.delete("m/a.md", expected_version=(await store.read("m/a.md", max_chars=1)).version)  # type: ignore[union-attr]
        assert [match.path for match in (await store.search("m/", "eggs", **bounds)).matches] == ["m/b.md"]

    asyncio.run(main())
    assert EGGS not in [record.content for record in clients.blocking().list(user, scope="harness/m")]


def test_every_version_is_kept_until_the_file_is_deleted(clients: MemoryClients, user: str) -> None:
    store = OpenmemStore(clients, user)

    async def main() -> None:
        version = None
        for text in ("one", "two", "three"):
            version = (await store.write("m/a.md", text, expected_version=version)).version
        latest = clients.blocking().get_by_key("m/a.md", user, scope="harness/m")
        assert [record.content for record in clients.blocking().history(latest.id)] == ["one", "two", "three"]
        await store.delete("m/a.md", expected_version=version)
        assert [record.content for record in clients.blocking().list(user)] == [""]
        assert (await store.write("m/a.md", "four", expected_version=None)).existed is False

    asyncio.run(main())


def test_operations_on_a_deleted_file_are_not_done_again(clients: MemoryClients, user: str) -> None:
    wrote, deleted, rewrote, redeleted = (MemoryOperation(f"run.$1/{name}", name) for name in ("w", "d", "v", "e"))

    async def main(store: Any) -> list[Any]:
        first = await store.write("m/a.md", EGGS, expected_version=None, operation=wrote)
        await store.delete("m/a.md", expected_version=first.version, operation=deleted)
        again = await store.write("m/a.md", EGGS, expected_version=None, operation=wrote)
        assert (again.version, again.replayed, await store.read("m/a.md", max_chars=99)) == (first.version, True, None)
        second = await store.write("m/a.md", "two", expected_version=None, operation=rewrote)
        await store.delete("m/a.md", expected_version=second.version, operation=redeleted)
        with pytest.raises(MemoryOperationConflictError):
            await store.get_operation(MemoryOperation(wrote.id, "other"))
        done = [await store.get_operation(operation) for operation in (wrote, deleted, rewrote, redeleted)]
        assert [mutation.version for mutation in done] == [first.version, None, second.version, None]
        return [(mutation.replayed, mutation.existed) for mutation in done]

    assert asyncio.run(main(OpenmemStore(clients, user))) == asyncio.run(main(InMemoryStore()))
    assert [record.content for record in clients.blocking().list(user)] == [""]


def test_a_deletion_erases_no_file_that_is_written_after_it(clients: MemoryClients, user: str) -> None:
    store = OpenmemStore(clients, user)

    async def main() -> None:
        version = (await store.write("m/a.md", "one", expected_version=None)).version
        for number in range(10):
            deletion = asyncio.create_task(store.delete("m/a.md", expected_version=version))
            while True:
                try:
                    version = (await store.write("m/a.md", str(number), expected_version=None)).version
                except MemoryConflictError:
                    await asyncio.sleep(0)
                    continue
                break
            await deletion
            file = await store.read("m/a.md", max_chars=9)
            assert file is not None
            assert (file.content, file.version) == (str(number), version)

    asyncio.run(main())


@pytest.mark.parametrize("path", ["", "/", "a//b", "../a", "a/..", "a/./b", "a b", "a/b*", "é"])
def test_paths_that_mean_something_else_are_refused(clients: MemoryClients, path: str) -> None:
    store = OpenmemStore(clients, "maya")
    for call in (
        store.read(path, max_chars=1),
        store.write(path, "x", expected_version=None),
        store.delete(path, expected_version=None),
    ):
        with pytest.raises(ValueError, match="path"):
            asyncio.run(call)


def test_a_dead_backend(dead: MemoryClients, user: str) -> None:
    agent, sent = agent_of(dead)
    asyncio.run(agent.run("hi", deps=user))
    assert len(sent) == 1, "the harness goes on without memories"
    with pytest.raises(ProviderError):
        asyncio.run(OpenmemStore(dead, user).write("a", "x", expected_version=None))


def test_a_cancelled_call_ends_at_once_and_leaves_nothing_half_written(interrupted: Interruption, user: str) -> None:
    store = OpenmemStore(interrupted.clients, user)
    agent, _ = agent_of(interrupted.clients)

    async def main() -> int:
        await interrupted(lambda: agent.run("hi", deps=user))
        await interrupted(lambda: store.write("m/a.md", EGGS, expected_version=None))
        await interrupted(lambda: store.search("m/", "eggs", limit=1, max_files=1, max_chars=1, max_file_chars=1))
        return await interrupted.clients.current().count(user)

    assert asyncio.run(main()) <= TRIES


def test_wrong_arguments_are_refused_at_once(clients: MemoryClients) -> None:
    for wrong in ({"user_id": " "}, {"user_id": "maya", "scope": "a//b"}):
        with pytest.raises(InvalidRequestError):
            OpenmemStore(clients, **wrong)
