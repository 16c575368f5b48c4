"""mem0's open-source engine, for real: its own code, a vector store in this process, no network."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, NotFoundError, ProviderError
from openmem.embedders.hashing import HashingEmbedder
from openmem.testing import ConformanceSuite

from ..conformance.one_mode import BlockingOnly
from .stores import new_store

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


def settings(store: QdrantClient, **more: Any) -> dict[str, Any]:
    place = {"provider": "qdrant", "config": {"client": store, "collection_name": "memories"}}
    return {"provider": "mem0", "config": {"vector_store": place, **more}, "embedder": "wordllama"}


@pytest.fixture
def store() -> Iterator[QdrantClient]:
    client = new_store()
    yield client
    client.close()


class TestEngine(BlockingOnly, ConformanceSuite):
    store: ClassVar[QdrantClient]

    @pytest.fixture(scope="class", params=["engine"])
    @classmethod
    def backend(cls) -> Iterator[None]:
        cls.store = new_store()
        yield
        cls.store.close()

    def make(self, **more: Any) -> dict[str, Any]:
        return settings(self.store) | more


def test_no_key_and_no_connection_is_needed(store: QdrantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> NoReturn:
        raise AssertionError(f"a connection to {args[-1]}")

    for name in ("OPENAI_API_KEY", "MEM0_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    async def main() -> None:
        async with AsyncMemory(**settings(store)) as memory:
            added = await memory.add(content="drinks green tea", user_id="u")
            assert [hit.memory.id for hit in await memory.search("tea", "u")] == [added.id]

    asyncio.run(main())
    with Memory(**settings(store)) as memory:
        [record] = memory.list("u").items
        memory.update(record.id, content="drinks coffee")
        assert memory.search("coffee", "u")[0].memory.content == "drinks coffee"
        memory.delete(record.id)


def test_a_star_is_a_user_like_others(store: QdrantClient) -> None:
    with Memory(**settings(store)) as memory:
        memory.add(content="tea", user_id="u")
        assert memory.list("*").items == []
        assert memory.search("tea", "*") == []


def test_memories_on_disk_are_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "memories"
    config = {
        "vector_store": {"provider": "qdrant", "config": {"path": str(path), "on_disk": True}},
        "history_db_path": str(tmp_path / "history.db"),
    }
    with Memory("mem0", config=config, embedder="hashing") as memory:
        record = memory.add(content="tea", user_id="u", tags=["t"])
    assert "embedding_model_dims" not in config["vector_store"]["config"]  # type: ignore[index]
    with Memory("mem0", config=config, embedder="hashing") as memory:
        assert memory.list("u").items == [record]
    assert (tmp_path / "history.db").exists()


def test_what_the_engine_stores(store: QdrantClient) -> None:
    with Memory(**settings(store)) as memory:
        extensions: dict[str, Any] = {"x-mem0": {"data": 1, "hash": 2, "user_id": 3, "id": 4}}
        record = memory.add(content="tea", user_id="a b", scope="s", tags=["t", "t"], source={"app": "x"}, **extensions)
        assert memory.get(record.id).extensions == extensions
    [point], _ = store.scroll("memories")
    assert point.id == record.id
    assert point.payload is not None
    assert {key: value for key, value in point.payload.items() if key.startswith("omp_")} == {
        "omp_scope": "s",
        "omp_tags": ["t"],
        "omp_app": "x",
    }
    assert (point.payload["data"], point.payload["user_id"]) == ("tea", "a%20b")


def test_memories_of_the_engine_itself_are_read(store: QdrantClient) -> None:
    with Memory(**settings(store)) as memory:
        memory.list("u")
        engine = memory.client.provider.sdk._engine  # type: ignore[attr-defined]
        for user, agent in [("u", "a"), ("v", None), (None, "a")]:
            engine.add("likes tea", user_id=user, agent_id=agent, metadata={"mood": "good"}, infer=False)
        [record] = memory.list("u").items
        assert record.extensions == {"x-mem0": {"agent_id": "a", "metadata": {"mood": "good"}}}
        assert memory.get(record.id) == record
        changed = memory.update(record.id, scope="food")
        assert [item.id for item in memory.list("u", scope="food").items] == [record.id]
        assert changed.extensions == record.extensions
        [orphan] = [row["id"] for row in engine.get_all(filters={"agent_id": "a"})["results"] if "user_id" not in row]
        with pytest.raises(NotFoundError):
            memory.get(orphan)


def test_a_memory_that_goes_away_in_between(store: QdrantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with Memory(**settings(store)) as memory:
        provider: Any = memory.client.provider
        get = provider.sdk.get

        def get_and_delete(id: str) -> Any:
            row = get(id)
            provider.sdk._engine.delete(id)
            return row

        calls: list[Callable[[str], object]] = [lambda id: memory.update(id, content="x"), memory.delete]
        for call in calls:
            record = memory.add(content="tea", user_id="u")
            with monkeypatch.context() as patch:
                patch.setattr(provider.sdk, "get", get_and_delete)
                with pytest.raises(NotFoundError, match=record.id):
                    call(record.id)


def test_many_tasks_on_one_store_in_this_process(store: QdrantClient) -> None:
    async def main() -> None:
        async with AsyncMemory(**settings(store), executor_max_workers=8) as memory:
            added = [memory.add(content=f"tea {n}", user_id=f"u{n % 4}") for n in range(40)]
            searched = [memory.search("tea", f"u{n % 4}") for n in range(40)]
            await asyncio.gather(*added, *searched)
            for n in range(4):
                assert len((await memory.list(f"u{n}")).items) == 10

    asyncio.run(main())


def test_what_points_away_from_the_query_is_not_found(store: QdrantClient) -> None:
    class Opposed:
        model, dim = "opposed", 2

        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return [[-1.0, 0.1] if text.startswith("no") else [1.0, 0.1] for text in texts]

    with Memory(**settings(store) | {"embedder": Opposed()}) as memory:
        for text in ("tea", "no tea", "more tea"):
            memory.add(content=text, user_id="u", scope="a/b")
        assert {hit.memory.content for hit in memory.search("tea", "u", scope="a/*")} == {"tea", "more tea"}
        assert len(memory.list("u").items) == 3


def test_the_embedder_sees_the_callers_context(store: QdrantClient) -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    seen: list[str] = []

    class Spying(HashingEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            seen.append(tenant.get())
            return super().embed(texts)

    async def main() -> None:
        async with AsyncMemory(**settings(store) | {"embedder": Spying()}) as memory:
            tenant.set("t1")
            await memory.add(content="tea", user_id="u")
            tenant.set("t2")
            await memory.search("tea", "u")

    asyncio.run(main())
    assert seen == ["t1", "t2"]


def test_an_embedder_may_not_know_its_length_yet(store: QdrantClient) -> None:
    class Late(HashingEmbedder):
        def __init__(self) -> None:
            super().__init__(48)
            self.dim: Any = None

        def embed(self, texts: Sequence[str]) -> Any:
            self.dim = 48
            return super().embed(texts)

    with Memory(**settings(store) | {"embedder": Late()}) as memory:
        memory.add(content="green tea", user_id="u")
        assert len(memory.search("tea", "u")) == 1


def test_a_query_is_embedded_as_one(store: QdrantClient) -> None:
    queries: list[str] = []

    class Asymmetric(HashingEmbedder):
        def embed_query(self, text: str) -> Any:
            queries.append(text)
            return super().embed([text])[0]

    with Memory(**settings(store) | {"embedder": Asymmetric()}) as memory:
        memory.add(content="green tea", user_id="u")
        assert queries == []
        assert len(memory.search("tea", "u")) == 1
    assert "tea" in queries
    assert "green tea" not in queries


def test_the_failure_of_an_embedder_is_told(store: QdrantClient) -> None:
    class Broken(HashingEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            raise RuntimeError("out of order")

    with Memory(**settings(store) | {"embedder": Broken()}) as memory:
        with pytest.raises(ProviderError, match="embedder 'hashing"):
            memory.add(content="tea", user_id="u")
        assert memory.list("u").items == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": {}}, "vector_store"),
        ({"config": {"vector_store": "qdrant"}}, "vector_store"),
        ({"config": {"vector_store": {}}, "api_key": "k"}, "api_key"),
        ({"config": {"vector_store": {}}, "host": "http://x"}, "host"),
        ({"config": {"vector_store": {}}, "infer": True}, "infer"),
        ({"config": {"vector_store": {}}, "embedder": "nonsense"}, "embedder"),
    ],
)
def test_settings_that_contradict_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Memory("mem0", **arguments)


@pytest.mark.parametrize(
    "config",
    [
        {"vector_store": {"provider": "nonsense"}},
        {
            "vector_store": {
                "provider": "qdrant",
                "config": {"nonsense": 1, "api_key": "s3cret-key", "path": ":memory:"},
            }
        },
    ],
)
def test_settings_that_the_engine_refuses(config: dict[str, Any]) -> None:
    memory = Memory("mem0", config=config, embedder="hashing")
    with pytest.raises(InvalidRequestError, match=r"^config\.vector_store: ") as refusal:
        memory.list("u")
    assert "s3cret-key" not in str(refusal.value)
    memory.close()


def test_the_import_of_mem0_leaves_no_trace(tmp_path: Path) -> None:
    code = """
        import logging, os, sys, threading, warnings
        from openmem import Memory

        def state():
            levels = [logging.getLogger(name).level for name in ("", "urllib3", "posthog")]
            return list(warnings.filters), levels, dict(os.environ)

        config = {"vector_store": {"provider": "qdrant", "config": {"path": ":memory:"}}}
        before = state()
        memory = Memory("mem0", config=config, embedder="hashing")
        assert "mem0" not in sys.modules, "imported before it is used"
        memory.add(content="tea", user_id="u")
        assert "mem0" in sys.modules
        memory.close()
        assert state() == before, (state(), before)
        assert sys.modules["mem0.memory.telemetry"].MEM0_TELEMETRY is False
        assert "onnxruntime" not in sys.modules, "loaded for nothing, and a forked child hangs with it"
        threads = [thread.name for thread in threading.enumerate()]
        assert threads == ["MainThread"], threads
    """
    home = tmp_path / "home"
    temporary = tmp_path / "tmp"
    for directory in (home, temporary):
        directory.mkdir()
    environment = {"HOME": str(home), "TMPDIR": str(temporary), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_without_the_extra() -> None:
    code = """
        import sys
        sys.modules["mem0"] = None
        import importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name == "mem0" else find(name, *rest)
        from openmem import Memory
        try:
            Memory("mem0", api_key="k")
        except ImportError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "pip install 'openmem[mem0]'" in done.stdout, done.stderr
