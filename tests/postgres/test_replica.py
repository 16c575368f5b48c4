"""Reads on a streaming replica."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, NotFoundError, ProviderError
from openmem.ports.postgres import PostgresIO, PostgresSettings
from openmem.providers.postgres import database, servers
from openmem.testing.modes import Async, Mode, Sync

from ..servers import Server, Standby

USER = "maya"


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def standby(primary: Server) -> Iterator[Standby]:
    standby = Standby(primary)
    try:
        yield standby
    finally:
        standby.remove()


@pytest.fixture
def urls(primary: Server, standby: Standby) -> tuple[str, str]:
    """A new database with one memory, on the server and on its replica."""
    url = primary.create_database()
    with Memory(url=url, embedder="hashing") as memory:
        memory.add(content="Maya drinks green tea", user_id=USER)
    catch_up(url, standby)
    return url, standby.url(url)


def catch_up(url: str, standby: Standby) -> None:
    """Wait until the replica has all that the server has."""
    anywhere = standby.url(url).rpartition("/")[0] + "/postgres"
    with psycopg.connect(url, autocommit=True) as ours, psycopg.connect(anywhere, autocommit=True) as theirs:
        position = ours.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        assert position is not None
        deadline = time.monotonic() + 10
        while theirs.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position).fetchone() != (True,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def calls(url: str) -> int:
    """How many sessions on this server ran a verb's statement on this database last."""
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ '^\\s*WITH'
    """
    with psycopg.connect(url, autocommit=True) as admin:
        row = admin.execute(query).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def test_reads_go_to_the_replica_and_writes_to_the_server(urls: tuple[str, str], standby: Standby) -> None:
    url, replica_url = urls
    with Memory(url=url, replica_url=replica_url, embedder="hashing") as memory:
        [hit] = memory.search("tea", USER)
        assert memory.get(hit.memory.id) == hit.memory
        assert memory.list(USER).items == [hit.memory]
        memory.wait_for_ingest([hit.memory.id], USER)
        assert hit.memory.id in memory.context("tea", USER).text
        assert calls(replica_url) == 1
        assert calls(url) == 0
        added = memory.add(content="Maya plays the cello", user_id=USER)
        memory.update(added.id, tags=["music"])
        catch_up(url, standby)
        assert memory.get(added.id).content == "Maya plays the cello"
        memory.delete(added.id)
        catch_up(url, standby)
        assert [entry.action for entry in memory.audit(USER)] == ["delete", "update", "add", "add"]
        assert memory.capabilities().features.audits_reads is False
        assert memory.capabilities().features.supports_audit


def test_the_asynchronous_client(urls: tuple[str, str]) -> None:
    url, replica_url = urls

    async def main() -> None:
        async with AsyncMemory(url=url, replica_url=replica_url, embedder="hashing") as memory:
            assert len(await memory.search("tea", USER)) == 1
            assert calls(replica_url) == 1
            assert [entry.action for entry in await memory.audit(USER)] == ["add"]

    asyncio.run(main())


@pytest.fixture(params=[Sync, Async])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    yield mode
    mode.close()


@pytest.fixture
def replay(urls: tuple[str, str]) -> Iterator[psycopg.Connection]:
    """A connection to the replica, which takes in nothing until it is told to."""
    with psycopg.connect(urls[1], autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
        while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
            time.sleep(0.01)
        yield connection
        connection.execute("SELECT pg_wal_replay_resume()")


def test_a_replica_that_lags_is_waited_for(urls: tuple[str, str], replay: psycopg.Connection, mode: Mode) -> None:
    url, replica_url = urls

    async def wait(memory: AsyncMemory) -> None:
        [old] = (await memory.list(USER)).items
        await memory.wait_for_ingest([old.id], USER, timeout=30)
        new = await memory.add(content="Maya plays the cello", user_id=USER)
        with pytest.raises(NotFoundError):
            await memory.get(new.id)
        with pytest.raises(ProviderError) as late:
            await memory.wait_for_ingest([old.id, new.id], USER, timeout=0.3)
        assert late.value.code == "ingestion_timeout"
        with pytest.raises(NotFoundError, match="mem_unknown"):
            await memory.wait_for_ingest([new.id, "mem_unknown"], USER, timeout=30)
        with pytest.raises(NotFoundError, match=new.id):
            await memory.wait_for_ingest([new.id], "somebody else", timeout=30)
        resuming = threading.Timer(0.5, lambda: replay.execute("SELECT pg_wal_replay_resume()"))
        resuming.start()
        await memory.wait_for_ingest([old.id, new.id], USER, timeout=60)
        assert await memory.get(new.id) == new
        resuming.join()

    async def body() -> None:
        async with mode.client(url=url, replica_url=replica_url, embedder="hashing") as memory:
            await wait(memory)

    mode.run(body())


def test_what_is_deleted_while_a_replica_is_waited_for_is_not_found(
    urls: tuple[str, str], replay: psycopg.Connection
) -> None:
    url, replica_url = urls
    with (
        Memory(url=url, replica_url=replica_url, embedder="hashing") as memory,
        Memory(url=url, embedder="hashing") as other,
    ):
        new = memory.add(content="Maya plays the cello", user_id=USER)
        deleting = threading.Timer(0.5, other.delete, [new.id])
        deleting.start()
        with pytest.raises(NotFoundError, match=new.id):
            memory.wait_for_ingest([new.id], USER, timeout=60)
        deleting.join()


def test_reads_go_on_at_the_server_while_the_replica_is_away(
    urls: tuple[str, str], standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "REPLICA_PAUSE_SECONDS", 2.0)
    url, replica_url = urls
    with Memory(url=url, replica_url=replica_url, embedder="hashing") as memory:
        assert len(memory.search("tea", USER)) == 1
        standby.stop()
        try:
            for _ in range(3):
                assert len(memory.search("tea", USER)) == 1
        finally:
            standby.start()
        assert calls(replica_url) == 0
        memory.search("tea", USER)
        assert calls(replica_url) == 0
        time.sleep(database.REPLICA_PAUSE_SECONDS)
        for _ in range(3):
            memory.search("tea", USER)
        assert calls(replica_url) == 1


def test_without_a_replica_reads_are_logged(urls: tuple[str, str]) -> None:
    with Memory(url=urls[0], embedder="hashing") as memory:
        memory.search("tea", USER)
        assert memory.capabilities().features.audits_reads
        assert [entry.action for entry in memory.audit(USER)] == ["search", "add"]


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("postgres", "mysql://secret@host/db"),
        ("postgres", "postgresql://secret@host/db?pgbouncer=perhaps"),
        ("local", "postgresql://h/d"),
    ],
)
def test_a_wrong_replica_is_refused(name: str, url: str) -> None:
    with pytest.raises(InvalidRequestError, match="replica_url") as caught:
        Memory(provider=name, url="postgresql://h/d" if name == "postgres" else None, replica_url=url)
    assert "secret" not in str(caught.value)


def test_a_replica_that_cannot_be_used_leaves_no_connections(
    urls: tuple[str, str], mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is opened again connects to both servers."""
    url, replica_url = urls
    connect = servers.RemoteServer.connect
    closed: list[object] = []

    async def failing(self: servers.RemoteServer, settings: PostgresSettings) -> PostgresIO:
        if settings.pool_min_size == 0:
            raise ProviderError("no replica")
        io = await connect(self, settings)
        close = io.close

        async def noted() -> None:
            closed.append(io)
            await close()

        monkeypatch.setattr(io, "close", noted)
        return io

    async def body() -> None:
        memory = mode.client(url=url, replica_url=replica_url, embedder="hashing")
        with monkeypatch.context() as patched:
            patched.setattr(servers.RemoteServer, "connect", failing)
            with pytest.raises(ProviderError, match="no replica"):
                await memory.search("tea", USER)
        assert len(closed) == 1
        assert len(await memory.search("tea", USER)) == 1
        assert calls(replica_url) == 1
        await memory.close()

    mode.run(body())
