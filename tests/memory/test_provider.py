"""What `provider="memory"` promises beyond the conformance tests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory
from openmem.call import Call
from openmem.operations import Add
from openmem.ports import run_blocking
from openmem.providers.memory import MemoryStore
from openmem.providers.memory import store as stores
from openmem.server import OmpServerConfig

from ..server.harness import running

FACTS = Path(__file__).parents[2] / "benchmarks" / "data" / "facts"
TALK = (
    "Tom: What is the name of your cat?",
    "Maya: It is Moustache, since the day we found him",
    "Maya: The train was late",
    "Tom: Do you play the cello?",
    "Priya: I saw that Maya paints landscapes",
    "The quarterly report is due on the first Monday of April",
)


def test_every_client_begins_with_nothing() -> None:
    with Memory("memory") as one, Memory("memory") as other:
        one.add(content="tea", user_id="ann")
        assert len(one.search("tea", "ann")) == 1
        assert other.search("tea", "ann") == []


def test_clients_of_both_modes_share_a_store() -> None:
    store = MemoryStore()

    async def add() -> str:
        async with AsyncMemory("memory", store=store) as memory:
            return (await memory.add(content="tea", user_id="ann")).id

    id = asyncio.run(add())
    with Memory("memory", store=store) as memory:
        assert memory.get(id).content == "tea"


@pytest.mark.parametrize("wrong", ["name", {}, 5])
def test_a_store_is_a_store(wrong: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"^store: .* pass a MemoryStore"):
        Memory("memory", store=wrong)


def test_what_is_stored_does_not_change_with_what_was_returned() -> None:
    with Memory("memory") as memory:
        given: dict[str, Any] = {"x-app": {"deep": [1]}}
        record = memory.add(content="tea", user_id="ann", tags=["a"], **given)
        assert record.tags is not None
        record.tags.append("b")
        record.extensions["x-app"]["deep"].append(2)
        given["x-app"]["deep"].append(3)
        again = memory.get(record.id)
        assert (again.tags, again.extensions) == (["a"], {"x-app": {"deep": [1]}})


def test_it_is_loaded_only_when_it_is_chosen() -> None:
    code = (
        "import sys; from openmem import Memory; loaded = lambda: [name for name in sys.modules "
        "if name.startswith(('openmem.providers.memory', 'snowballstemmer', 'openmem.ranking.reference'))]; "
        "assert loaded() == [], loaded(); memory = Memory('memory'); "
        "assert 'snowballstemmer' not in sys.modules; memory.add(content='tea', user_id='u'); assert loaded()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_threads_share_a_client() -> None:
    with Memory("memory") as memory, ThreadPoolExecutor(8) as threads:
        old = memory.add(content="lives in Leeds", user_id="ann")

        def work(number: int) -> str:
            record = memory.add(content=f"note {number}", user_id="ann")
            memory.search("note", "ann", limit=3)
            memory.update(record.id, tags=[str(number)])
            return record.id

        ids = list(threads.map(work, range(200)))
        listed = memory.list("ann", limit=500).items
        assert {record.id for record in listed} == {*ids, old.id}
        times = [record.created_at for record in listed]
        assert len(set(times)) == len(times)
        assert times == sorted(times, reverse=True)


def test_the_newest_of_equal_memories_comes_first() -> None:
    with Memory("memory") as memory:
        ids = [memory.add(content="tea", user_id="ann").id for _ in range(50)]
        assert [hit.memory.id for hit in memory.search("tea", "ann", limit=50)] == ids[::-1]


def test_the_best_of_thousands_are_found_off_the_loop() -> None:
    async def run() -> None:
        async with AsyncMemory("memory") as memory:
            await memory.add_many([{"content": f"note number {n}", "user_id": "ann"} for n in range(3000)])
            searching = asyncio.create_task(memory.search("number 1234", "ann"))
            turns = 0
            while not searching.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns > 10
            assert (await searching)[0].memory.content == "note number 1234"

    asyncio.run(run())


def test_a_key_stores_one_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with Memory("memory") as memory:

        def add(content: str = "tea", user_id: str = "ann") -> str:
            call = Call(request_id=uuid.uuid4().hex, idempotency_key="k")
            return run_blocking(memory.client.run(Add(content=content, user_id=user_id), call)).id

        first = add()
        assert add() == first
        assert add(user_id="bob") != first
        assert [entry.action for entry in memory.audit("ann")] == ["add"]
        with pytest.raises(InvalidRequestError, match="another body"):
            add(content="coffee")
        memory.delete(first)
        with pytest.raises(InvalidRequestError, match="deleted since"):
            add()
        monkeypatch.setattr(stores, "KEY_LIFETIME", timedelta(microseconds=1))
        assert add() != first
        assert len(memory.list("ann").items) == 1


class Constant:
    dim = 2

    def __init__(self, model: str) -> None:
        self.model = model

    def embed(self, texts: Any) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


def test_only_vectors_of_one_model_are_compared_until_all_are_embedded_again() -> None:
    store = MemoryStore()
    with Memory("memory", store=store, embedder=Constant("old")) as memory:
        records = memory.add_many([{"content": f"tea {n}", "user_id": f"user {n % 3}"} for n in range(10)])
    with Memory("memory", store=store, embedder=Constant("new")) as memory:
        assert memory.search("nothing of the kind", "user 0") == []
        told: list[tuple[int, int]] = []
        assert memory.reembed(batch_size=4, progress=lambda done, total: told.append((done, total))) == 10
        assert told == [(4, 10), (8, 10), (10, 10)]
        assert memory.reembed() == 0
        assert len(memory.search("nothing of the kind", "user 0")) == 4
        assert memory.get(records[0].id).embedding_model == "new"
        assert memory.get(records[0].id).updated_at is None


@pytest.mark.parametrize("embedder", ["hashing", "hashing:64"])
def test_searches_answer_as_postgresql_does(url: str, embedder: str) -> None:
    """Texts whose stems agree; vectors are in half precision there, so that equal scores may swap."""
    facts = [json.loads(line)["content"] for line in (FACTS / "memories.jsonl").read_text("utf-8").splitlines()]
    questions = [json.loads(line)["question"] for line in (FACTS / "questions.jsonl").read_text("utf-8").splitlines()]
    user = uuid.uuid4().hex
    records: list[dict[str, Any]] = [{"content": text, "user_id": user} for text in [*facts, *TALK]]
    for record in records[::7]:
        record["valid_from"] = "2023-05-08T12:00:00Z"
    with Memory("memory", embedder=embedder) as memory, Memory(url=url, embedder=embedder) as postgres:
        for client in (memory, postgres):
            client.add_many(records)
        for query in [*questions[::3], "the name of Maya's cat, Moustache", "8 May 2023", "What does Tom play?"]:
            found, expected = (client.search(query, user, limit=100) for client in (memory, postgres))
            ranks = zip([hit.score for hit in found], [hit.score for hit in expected], strict=False)
            assert all(one == pytest.approx(other, abs=1e-3) for one, other in ranks)
            scores, exact = ({hit.memory.content: hit.score for hit in hits} for hits in (found, expected))
            for content in {*scores, *exact}:
                assert scores.get(content, 0) == pytest.approx(exact.get(content, 0), abs=1e-3)
        texts = [client.context("Maya's cat", user, token_budget=80).text for client in (memory, postgres)]
        first, second = (re.sub(r"\[mem_\w+\]", "", text) for text in texts)
        assert first == second


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_with_a_copy_of_a_store() -> None:
    store = MemoryStore()
    with Memory("memory", store=store) as memory, ThreadPoolExecutor(4) as threads:
        memory.add(content="tea", user_id="ann")
        busy = [threads.submit(memory.add, content=f"coffee {n}", user_id="bob") for n in range(200)]
        child = os.fork()
        if child == 0:
            found = False
            try:
                memory.add(content="green tea", user_id="ann")
                found = len(memory.search("tea", "ann")) == 2
            finally:
                os._exit(0 if found else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert len(memory.search("tea", "ann")) == 1
        assert all(work.result() for work in busy)


def test_a_server_over_it_needs_nothing_else() -> None:
    with running(OmpServerConfig(provider="memory")) as server, Memory("passthrough", base_url=server.url) as memory:
        record = memory.add(content="Maya moved to Porto", user_id="maya")
        assert memory.search("Where is Maya?", "maya")[0].memory == record
        assert memory.capabilities().provider == "memory"
        assert [entry.action for entry in memory.audit("maya")] == ["search", "add"]


class Counting:
    """Counts the texts that it embeds; before it answers it calls `meanwhile`, once."""

    model = "counting"
    dim = 2

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.texts += texts
        return [[1.0, 0.0] for _ in texts]

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return self.embed(texts)


def test_nothing_is_embedded_for_what_no_search_finds() -> None:
    embedder, part = Counting(), {"user_id": "ann", "indexed": False}
    with Memory("memory", embedder=embedder) as memory:
        record = memory.add(content="a", user_id="ann", indexed=False)
        [_, found] = memory.add_many([{"content": "b", **part}, {"content": "c", "user_id": "ann"}])
        memory.put(key="k", content="d", user_id="ann", indexed=False)
        memory.update(record.id, content="e", valid_from="2024-01-01")
        memory.update(found.id, tags=["x"], valid_from="2024-01-01")
        records = memory.list("ann").items
        memory.delete_many("ann", everything=True)
        memory.restore(records)
        assert embedder.texts == ["c", "c"]
    other = Constant("other")
    with Memory("memory", store=MemoryStore(), embedder=other) as memory:
        memory.restore(records)
        assert memory.reembed() == 0


@pytest.mark.parametrize("changes", [{}, {"content": "plays chess"}])
def test_the_words_of_a_new_date_are_found(changes: dict[str, Any]) -> None:
    with Memory("memory") as memory:
        record = memory.add(content="plays the cello", user_id="ann", valid_from="2022-01-01")
        memory.add(content="plays the flute", user_id="ann", valid_from="2022-01-01")
        memory.update(record.id, valid_from="2023-05-08", **changes)
        assert memory.search("8 May 2023", "ann")[0].memory.id == record.id
        created = memory.update(record.id, valid_from=None).created_at
        assert memory.search(f"{created:%d %B %Y}", "ann")[0].memory.id == record.id


def test_what_was_read_of_a_text_is_read_again_if_its_date_changes_meanwhile() -> None:
    async def run() -> None:
        embedder = Counting()
        async with AsyncMemory("memory", embedder=embedder) as memory:
            record = await memory.add(content="plays the cello", user_id="ann", valid_from="2022-01-01")
            embedder.meanwhile = lambda: memory.update(record.id, valid_from="2023-05-08")
            updated = await memory.update(record.id, content="plays chess")
            assert updated.content == "plays chess"
            assert updated.version == 3
            store = memory.client.provider._store  # type: ignore[attr-defined]
            assert {"2023-05-08", "chess"} <= store.find(record.id).terms.lexemes

    asyncio.run(run())


def test_a_key_stores_many_memories_once() -> None:
    with Memory("memory") as memory:
        records = [{"content": f"note {n}", "user_id": "ann"} for n in range(3)]
        stored = memory.add_many(records, idempotency_key="k")
        assert memory.add_many(records, idempotency_key="k") == stored
        assert len(memory.list("ann").items) == 3
        memory.forget_user("ann")
        assert [record.content for record in memory.add_many(records[:1], idempotency_key="k")] == ["note 0"]


@pytest.mark.parametrize("verb", ["add", "put"])
def test_a_memory_takes_the_place_of_one_with_its_key_that_has_expired(verb: str) -> None:
    with Memory("memory", embedder="hashing") as memory:
        memory.add(content="milk", user_id="u", key="k", expires_at="2020-01-01")
        added = getattr(memory, verb)(content="tea", user_id="u", key="k")
        assert memory.purge().memories == 0
        assert memory.get_by_key("k", "u") == added
