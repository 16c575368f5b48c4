"""`OpenmemStore`: paging, ranking, expiry, users, both modes, and what happens when things fail."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

import pytest

pytest.importorskip("langgraph")

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import InvalidNamespaceError, Op, PutOp, SearchOp

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError
from openmem.integrations import MemoryClients
from openmem.integrations.langgraph import OpenmemStore
from openmem.integrations.langgraph.items import EXTENSION, MAX_TEXT_CHARACTERS

from ..servers import free_port
from .conftest import Interruption

FOODS = ("tea", "rye bread", "hazelnuts", "cello lessons", "green tea", "black tea with milk")
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "postgres"])
def clients(request: pytest.FixtureRequest) -> Iterator[MemoryClients]:
    if request.param == "memory":
        made = MemoryClients("memory")
    else:
        made = MemoryClients(url=request.getfixturevalue("url"), embedder="hashing")
    with made:
        yield made


@pytest.fixture
def store(clients: MemoryClients) -> OpenmemStore:
    return OpenmemStore(clients, user_id=f"user-{uuid.uuid4()}")


def test_values_come_back_as_they_were(store: OpenmemStore) -> None:
    value = {"text": "tea", "n": 1e23, "deep": {"list": [1, None, True, "x"]}, "empty": {}, "none": None}
    for given in (value, {}):
        store.put(("maya",), "k", given)
        item = store.get(("maya",), "k")
        assert item is not None
        assert (item.value, item.key, item.namespace) == (given, "k", ("maya",))
    store.delete(("maya",), "k")
    store.delete(("maya",), "k")
    assert store.get(("maya",), "k") is None


def test_what_is_put_again_keeps_its_beginning(store: OpenmemStore) -> None:
    store.put(("maya",), "k", {"n": 1})
    first = store.get(("maya",), "k")
    store.put(("maya",), "k", {"n": 2})
    second = store.get(("maya",), "k")
    assert first is not None
    assert second is not None
    assert first.created_at == first.updated_at == second.created_at < second.updated_at


def test_what_is_put_again_can_be_kept(clients: MemoryClients) -> None:
    user = f"user-{uuid.uuid4()}"
    store = OpenmemStore(clients, user_id=user, keep_history=True)
    for number in range(4):
        store.put(("maya",), "diet", {"text": f"Maya eats {FOODS[number]}", "n": number})
        store.put(("maya",), f"other {number}", {"text": FOODS[number]}, index=False)
    item = store.get(("maya",), "diet")
    assert item is not None
    assert item.value["n"] == 3
    memory = clients.blocking()
    latest = memory.get_by_key("diet", user, scope="langgraph/maya")
    assert [version.metadata and version.metadata["n"] for version in memory.history(latest.id)] == [0, 1, 2, 3]
    found = [store.search(("maya",), query="What does Maya eat?", limit=2, offset=offset) for offset in (0, 2, 4)]
    keys = [item.key for page in found for item in page]
    assert sorted(keys) == ["diet", *(f"other {number}" for number in range(4))]
    assert len(store.search(("maya",), limit=100)) == 5
    store.delete(("maya",), "diet")
    store.delete(("maya",), "diet")
    assert store.get(("maya",), "diet") is None
    assert memory.count(user) == 4, "the versions are erased, too"


def test_versions_that_were_put_for_good_expire_with_the_item(
    clients: MemoryClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = f"user-{uuid.uuid4()}"
    store = OpenmemStore(clients, user_id=user, keep_history=True)
    for number in range(3):
        store.put(("maya",), "diet", {"n": number})
    store.put(("maya",), "for good", {"n": 0})
    store.put(("maya",), "diet", {"n": 3}, ttl=10)
    soon = datetime.now(UTC) + 5 * MINUTE
    monkeypatch.setattr("openmem.integrations.langgraph.store.utc_now", lambda: soon)
    asyncio.run(store.aput(("maya",), "diet", {"n": 4}, ttl=10))
    records = list(clients.blocking().iterate(user))
    ends = {record.key: record.expires_at for record in records}
    assert (ends["for good"], ends["diet"]) == (None, soon + 10 * MINUTE)
    versions = [record for record in records if record.key is None]
    assert len(versions) == 4
    assert all(version.expires_at and version.expires_at < soon + 6 * MINUTE for version in versions)


def test_numbers_are_compared_as_numbers(store: OpenmemStore) -> None:
    store.batch([PutOp(("n",), str(n), {"n": n}) for n in range(60)])
    found = store.search(("n",), filter={"n": {"$gt": 9}}, limit=100)
    assert sorted(item.value["n"] for item in found) == list(range(10, 60))
    ranked = store.search(("n",), query="12", filter={"n": {"$gte": 9, "$lt": 14}}, limit=3)
    assert ranked[0].value["n"] == 12
    assert len(ranked) == 3


@pytest.mark.parametrize("query", [None, "tea"])
@pytest.mark.parametrize("size", [7, 60])
def test_pages_have_every_item_once(store: OpenmemStore, query: str | None, size: int) -> None:
    store.batch([PutOp(("notes", str(n % 3)), str(n), {"text": f"{FOODS[n % 6]} {n}", "n": n}) for n in range(150)])
    seen: list[str] = []
    scores: list[float | None] = []
    while page := store.search(("notes",), query=query, filter={"n": {"$lt": 140}}, limit=size, offset=len(seen)):
        seen += [item.key for item in page]
        scores += [item.score for item in page]
    assert sorted(seen, key=int) == [str(n) for n in range(140)]
    scored = [score for score in scores if score is not None]
    assert scored == sorted(scored, reverse=True)
    assert scores == scored + [None] * (140 - len(scored))
    assert bool(scored) == (query is not None)


def test_without_a_query_the_latest_change_is_first(store: OpenmemStore) -> None:
    for key in "abc":
        store.put(("maya",), key, {"n": key})
    store.put(("maya",), "a", {"n": "again"})
    assert [item.key for item in store.search(("maya",))] == ["a", "c", "b"]


def test_prefixes_are_of_labels_and_not_of_texts(store: OpenmemStore) -> None:
    store.put(("ann",), "1", {})
    store.put(("ann", "notes"), "2", {})
    store.put(("anna",), "3", {})
    assert {item.key for item in store.search(("ann",))} == {"1", "2"}
    assert {item.key for item in store.search(())} == {"1", "2", "3"}
    assert store.list_namespaces(prefix=("ann",)) == [("ann",), ("ann", "notes")]
    assert store.list_namespaces(suffix=("notes",)) == [("ann", "notes")]
    assert store.list_namespaces(max_depth=1) == [("ann",), ("anna",)]


def test_more_namespaces_than_facets_have(clients: MemoryClients) -> None:
    user = f"user-{uuid.uuid4()}"
    clients.blocking().add_many(
        {"content": "", "user_id": user, "scope": f"langgraph/n/{n:04}", "key": "k", "indexed": False}
        for n in range(1005)
    )
    store = OpenmemStore(clients, user_id=user)
    assert store.list_namespaces(limit=3, offset=1002) == [("n", "1002"), ("n", "1003"), ("n", "1004")]


def test_only_the_paths_that_are_named_are_found(clients: MemoryClients) -> None:
    store = OpenmemStore(clients, user_id=f"user-{uuid.uuid4()}", fields=["text", "sections[*].title"])

    def finds(query: str) -> bool:
        return (store.search(("docs",), query=query)[0].score or 0) > 0.1

    value = {"text": "about tea", "sections": [{"title": "hazelnuts"}, {"title": "cello"}], "hidden": "submarine"}
    store.put(("docs",), "d", value)
    assert all(map(finds, ("tea", "hazelnuts", "cello")))
    assert not finds("submarine")
    store.put(("docs",), "d", value, index=["hidden"])
    assert finds("submarine")
    assert not finds("hazelnuts")
    store.put(("docs",), "d", value, index=False)
    assert store.search(("docs",), query="submarine")[0].score is None
    assert store.get(("docs",), "d") is not None


def test_a_large_value_is_whole_and_filtered_by_what_is_small(clients: MemoryClients) -> None:
    user = f"user-{uuid.uuid4()}"
    store = OpenmemStore(clients, user_id=user)
    value = {"kind": "file", "n": 7, "content": [f"line {n} of the submarine manual" for n in range(9000)]}
    store.put(("files",), "/a/b.md", value)
    store.put(("files",), "/c", {"kind": "file", "n": 8, "content": []})
    [item] = store.search(("files",), filter={"kind": "file", "n": {"$lt": 8}})
    assert item.value == value
    stored = clients.blocking().get_by_key("%2Fa%2Fb.md", user, scope="langgraph/files")
    assert len(stored.content) == MAX_TEXT_CHARACTERS
    assert store.search(("files",), query="submarine", limit=1)[0].key == "/a/b.md"


def test_items_expire_live_on_when_they_are_read_and_are_swept(
    clients: MemoryClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = f"user-{uuid.uuid4()}"
    store = OpenmemStore(clients, user_id=user, ttl={"default_ttl": 60, "refresh_on_read": True})
    store.put(("t",), "kept", {"n": 1}, ttl=None)
    store.put(("t",), "read", {"n": 2})
    store.put(("t",), "searched", {"n": 3}, ttl=10)
    store.put(("t",), "unread", {"n": 4}, ttl=10)
    before = {item.key: item for item in store.search(("t",), refresh_ttl=False)}
    memory = clients.blocking()
    assert before.keys() == {"kept", "read", "searched", "unread"}
    later = datetime.now(UTC) + 5 * MINUTE
    monkeypatch.setattr("openmem.integrations.langgraph.store.utc_now", lambda: later)
    store.get(("t",), "read")
    store.search(("t",), filter={"n": 3})
    store.get(("t",), "unread", refresh_ttl=False)
    ends = {record.key: record.expires_at for record in memory.iterate(user)}
    assert ends["kept"] is None
    assert ends["read"] == later + 60 * MINUTE
    assert ends["searched"] == later + 10 * MINUTE
    assert ends["unread"] is not None
    assert ends["unread"] < later + 6 * MINUTE
    after = {item.key: item for item in store.search(("t",), refresh_ttl=False)}
    assert {key: item.updated_at for key, item in after.items()} == {
        key: item.updated_at for key, item in before.items()
    }
    store.put(("t",), "gone", {"n": 5}, ttl=-6)
    assert store.get(("t",), "gone") is None
    assert store.sweep_ttl() >= 1
    assert asyncio.run(store.asweep_ttl()) == 0


def test_a_sweeper_sweeps_until_it_is_stopped(clients: MemoryClients) -> None:
    store = OpenmemStore(clients, user_id=f"user-{uuid.uuid4()}")
    store.put(("t",), "gone", {"n": 5}, ttl=-1)
    store.start_ttl_sweeper(0.0005)
    store.start_ttl_sweeper(0.0005)
    assert store.stop_ttl_sweeper()
    store.close()
    with pytest.raises(InvalidRequestError, match="sweep_interval_minutes"):
        store.start_ttl_sweeper(-1)


def test_users_are_apart_and_can_be_forgotten(clients: MemoryClients) -> None:
    maya, ben = f"maya-{uuid.uuid4()}", f"ben-{uuid.uuid4()}"
    store = OpenmemStore(clients, user_label=1, scope=f"apart-{uuid.uuid4()}")
    store.put(("memories", maya), "k", {"text": "Maya likes tea"})
    store.put(("memories", ben, "work"), "k", {"text": "Ben likes tea"})
    store.put(("shared",), "k", {"text": "tea is in the kitchen"})
    assert [item.value["text"] for item in store.search(("memories", maya), query="tea")] == ["Maya likes tea"]
    assert {item.key for item in store.search(("memories",), query="tea")} == {"k"}
    assert len(store.search(("memories",), query="tea")) == 2
    assert len(store.search(())) == 3
    assert store.list_namespaces() == sorted([("memories", maya), ("memories", ben, "work"), ("shared",)])
    memory = clients.blocking()
    assert memory.count(maya) == 1
    memory.forget_user(maya)
    assert store.get(("memories", maya), "k") is None
    assert store.get(("memories", ben, "work"), "k") is not None


def test_two_scopes_see_nothing_of_each_other(clients: MemoryClients) -> None:
    user = f"user-{uuid.uuid4()}"
    one, other = (OpenmemStore(clients, user_id=user, scope=scope) for scope in ("app/one", "app/other"))
    one.put(("maya",), "k", {"n": 1})
    assert other.get(("maya",), "k") is None
    assert other.search(()) == []
    assert one.list_namespaces() == [("maya",)]


@pytest.mark.parametrize("namespace", [("a.b",), ("",), ("a", "nul\0"), (1,)])
def test_namespaces_that_langgraph_refuses_are_refused_in_a_batch(store: OpenmemStore, namespace: Any) -> None:
    store.put(("fine",), "k", {})
    with pytest.raises(InvalidNamespaceError):
        store.batch([PutOp(("fine",), "k", None), PutOp(namespace, "k", {"n": 1})])
    assert store.get(("fine",), "k") is not None


@pytest.mark.parametrize(
    ("value", "message"),
    [({"when": datetime.now(UTC)}, "JSON"), ({"n": float("nan")}, "value"), ({"text": "\0"}, "value")],
)
def test_what_is_no_json_is_refused(store: OpenmemStore, value: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        store.put(("maya",), "k", value)
    circular: dict[str, Any] = {}
    circular["self"] = circular
    with pytest.raises(InvalidRequestError, match="value"):
        store.put(("maya",), "k", circular)


@pytest.mark.parametrize(
    ("filter", "message"), [({"n": {"$near": 1}}, "'\\$near' is no operator"), ({"n": {}}, "an empty object")]
)
def test_filters_that_say_nothing_are_refused(store: OpenmemStore, filter: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        store.search(("maya",), filter=filter)


def test_wrong_arguments_are_refused() -> None:
    with Memory("memory") as memory:
        for wrong in ({"url": "x"}, {"fields": "text"}, {"user_label": -1}):
            with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
                OpenmemStore(memory, **wrong)
        with pytest.raises(InvalidRequestError, match="offset"):
            OpenmemStore(memory).batch([SearchOp(("a",), offset=-1)])


def test_a_batch_in_both_modes_reads_before_it_writes(store: OpenmemStore) -> None:
    puts = [PutOp(("maya",), str(n), {"n": n}) for n in range(40)]
    for number in range(2):
        ops: list[Op] = [*puts, PutOp(("maya",), "0", {"n": f"last {number}"}), SearchOp(("maya",), limit=99)]
        *nothing, found = asyncio.run(store.abatch(ops)) if number else store.batch(ops)
        assert nothing == [None] * 41
        assert isinstance(found, list)
        assert len(found) == 40 * number
        item = store.get(("maya",), "0")
        assert item is not None
        assert item.value == {"n": f"last {number}"}


class State(TypedDict):
    said: str


def test_a_graph_uses_it_in_both_modes_from_loops_and_threads(store: OpenmemStore) -> None:
    def remember(state: State, runtime: Runtime[None]) -> State:
        assert runtime.store is not None
        runtime.store.put(("maya",), state["said"], {"text": state["said"]})
        return {"said": str(len(runtime.store.search(("maya",), limit=50)))}

    async def aremember(state: State, runtime: Runtime[None]) -> State:
        assert runtime.store is not None
        await runtime.store.aput(("maya",), state["said"], {"text": state["said"]})
        return {"said": str(len(await runtime.store.asearch(("maya",), limit=50)))}

    blocking = StateGraph(State).add_node("n", remember).add_edge(START, "n").compile(store=store)
    suspending = StateGraph(State).add_node("n", aremember).add_edge(START, "n").compile(store=store)
    assert blocking.invoke({"said": "tea"}) == {"said": "1"}
    assert asyncio.run(suspending.ainvoke({"said": "milk"})) == {"said": "2"}
    assert asyncio.run(suspending.ainvoke({"said": "rye"})) == {"said": "3"}


def test_every_client_that_is_given_serves(own_settings: dict[str, Any], no_connections: Callable[[], None]) -> None:
    with Memory(**own_settings) as memory:
        store = OpenmemStore(memory)
        store.put(("a",), "1", {})
        asyncio.run(store.aput(("a",), "2", {}))
        store.close()

    async def main() -> None:
        async with AsyncMemory(**own_settings) as memory:
            store = OpenmemStore(memory)
            await store.aput(("a",), "3", {})
            await asyncio.to_thread(store.put, ("a",), "4", {})
            await store.aclose()
            assert len(await memory.list("langgraph")) == 4

    asyncio.run(main())
    with OpenmemStore(**own_settings) as own:
        assert len(own.search(("a",))) == 4
    no_connections()

    async def own_in_a_loop() -> None:
        async with OpenmemStore(**own_settings) as store:
            assert len(await store.asearch(("a",))) == 4

    asyncio.run(own_in_a_loop())
    no_connections()


def test_a_backend_that_is_down_is_an_error_of_reads_and_writes() -> None:
    with OpenmemStore(url=f"postgresql://127.0.0.1:{free_port()}/omp", embedder="hashing") as store:
        for call in (lambda: store.get(("a",), "k"), lambda: store.put(("a",), "k", {}), lambda: store.search(("a",))):
            with pytest.raises(ProviderError):
                call()
        with pytest.raises(ProviderError):
            asyncio.run(store.aput(("a",), "k", {}))


def test_a_cancelled_call_leaves_the_store_usable(own_settings: dict[str, Any]) -> None:
    async def main() -> None:
        async with OpenmemStore(**own_settings) as store:
            for delay in (0, 0.001, 0.005):
                task = asyncio.create_task(store.abatch([PutOp(("a",), str(n), {"n": n}) for n in range(50)]))
                await asyncio.sleep(delay)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await store.aput(("b",), "k", {"n": 1})
            assert len(await store.asearch(("b",))) == 1

    asyncio.run(main())


def test_what_is_stored_is_an_ordinary_memory(clients: MemoryClients) -> None:
    user = f"user-{uuid.uuid4()}"
    store = OpenmemStore(clients, user_id=user)
    store.put(("memories", "maya/1"), "a key", {"text": "Maya is vegan", "n": 1}, ttl=5)
    [record] = clients.blocking().list(user).items
    assert (record.scope, record.key) == ("langgraph/memories/maya%2F1", "a key")
    assert record.metadata == {"text": "Maya is vegan", "n": 1}
    assert record.content == "text: Maya is vegan\nn: 1"
    assert record.extensions[EXTENSION]["ttl"] == 5


def test_a_cancelled_call_ends_at_once_and_leaves_nothing_half_written(interrupted: Interruption) -> None:
    async def main() -> None:
        store = OpenmemStore(interrupted.clients, keep_history=True)
        await store.aput(("a",), "k", {"text": "old"})
        await interrupted(lambda: store.asearch(("a",), query="tea", filter={"n": 1}))
        await interrupted(lambda: store.aget(("a",), "k"))
        await interrupted(lambda: store.aput(("a",), "k", {"text": "new", "n": 1}))
        item = await store.aget(("a",), "k")
        assert item is not None
        assert item.value in ({"text": "old"}, {"text": "new", "n": 1})
        assert len(await store.asearch(("a",))) == 1

    asyncio.run(main())
