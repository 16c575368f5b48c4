"""What a database and a role must be like, told when a client is opened; and databases that take no changes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import psycopg.sql
import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.providers.postgres import database
from openmem.providers.postgres.migrations import MIGRATIONS
from openmem.testing.modes import Async, Mode, Sync

from ..servers import Server, Standby
from .test_replica import catch_up

USER = "maya"
POOLED = ["", "?pgbouncer=true"]


def run(
    url: str, blocking: Callable[[Memory], Any], suspending: Callable[[AsyncMemory], Awaitable[Any]], **settings: Any
) -> None:
    """Test with both clients."""
    with Memory(url=url, embedder="hashing", **settings) as memory:
        blocking(memory)

    async def main() -> None:
        async with AsyncMemory(url=url, embedder="hashing", **settings) as memory:
            await suspending(memory)

    asyncio.run(main())


def refused(url: str, message: str, **settings: Any) -> None:
    """Neither client can be opened, and both say why."""

    def no_one(_: object) -> Any:
        raise AssertionError

    with pytest.raises(ProviderError, match=message), Memory(url=url, embedder="hashing", **settings) as memory:
        no_one(memory)

    async def main() -> None:
        async with AsyncMemory(url=url, embedder="hashing", **settings) as memory:
            no_one(memory)

    with pytest.raises(ProviderError, match=message):
        asyncio.run(main())


def execute(url: str, *statements: str) -> None:
    """As the administrator."""
    with psycopg.connect(url, autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement.encode())


def read_only(url: str, *, on: bool) -> None:
    """Let new sessions change nothing, or let them again."""
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(url.partition("?")[0], autocommit=True) as admin:
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {'on' if on else 'off'}".encode())


@pytest.fixture
def filled(database: str) -> str:
    """A database with one memory, and two entries in its audit log."""
    with Memory(url=database, embedder="hashing") as memory:
        memory.add(content="Maya drinks green tea", user_id=USER)
        memory.list(USER)
    return database


def read_all(memory: Memory) -> None:
    """Every verb that reads."""
    [hit] = memory.search("tea", USER)
    assert memory.get(hit.memory.id) == hit.memory
    assert memory.list(USER).items == [hit.memory]
    assert "green tea" in memory.context("tea", USER).text
    assert [entry.action for entry in memory.audit(USER)] == ["list", "add"]
    memory.wait_for_ingest([hit.memory.id], USER)


async def aread_all(memory: AsyncMemory) -> None:
    """`read_all` for the other client."""
    [hit] = await memory.search("tea", USER)
    assert await memory.get(hit.memory.id) == hit.memory
    assert (await memory.list(USER)).items == [hit.memory]
    assert "green tea" in (await memory.context("tea", USER)).text
    assert [entry.action for entry in await memory.audit(USER)] == ["list", "add"]
    await memory.wait_for_ingest([hit.memory.id], USER)


def write_none(memory: Memory, message: str) -> None:
    """Every verb that writes."""
    [record] = memory.list(USER).items
    for write in (
        lambda: memory.add(content="x", user_id=USER),
        lambda: memory.add_many([{"content": "x", "user_id": USER}]),
        lambda: memory.update(record.id, tags=["x"]),
        lambda: memory.update(record.id, content="x"),
        lambda: memory.delete(record.id),
    ):
        with pytest.raises(ProviderError, match=message) as caught:
            write()
        assert "read-only" in str(caught.value)
        assert caught.value.request_id


async def awrite_none(memory: AsyncMemory, message: str) -> None:
    """`write_none` for the other client."""
    [record] = (await memory.list(USER)).items
    for write in (
        lambda: memory.add(content="x", user_id=USER),
        lambda: memory.add_many([{"content": "x", "user_id": USER}]),
        lambda: memory.update(record.id, tags=["x"]),
        lambda: memory.delete(record.id),
    ):
        with pytest.raises(ProviderError, match=message):
            await write()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused(server: Server, encoding: str) -> None:
    name = f"t_{secrets.token_hex(6)}"
    execute(server.url(), f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    refused(server.url(name), f"{encoding}.*UTF8.*CREATE DATABASE")


@pytest.mark.parametrize("pooled", POOLED)
def test_a_read_only_database_can_be_read(filled: str, pooled: str) -> None:
    read_only(filled, on=True)

    def blocking(memory: Memory) -> None:
        read_all(memory)
        assert memory.capabilities().features.audits_reads is False
        assert memory.capabilities().features.supports_audit
        write_none(memory, "ALTER DATABASE")
        read_all(memory)

    async def suspending(memory: AsyncMemory) -> None:
        await aread_all(memory)
        assert (await memory.capabilities()).features.audits_reads is False
        await awrite_none(memory, "ALTER DATABASE")
        await aread_all(memory)

    run(filled + pooled, blocking, suspending)


@pytest.mark.parametrize("pooled", POOLED)
@pytest.mark.parametrize("audit", ["all", "writes", "off"])
def test_a_database_that_becomes_read_only_and_writable_again(
    filled: str, pooled: str, audit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "READ_ONLY_SECONDS", 0.1)

    def end_sessions() -> None:
        execute(
            filled,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    def blocking(memory: Memory) -> None:
        assert memory.capabilities().features.audits_reads is (audit == "all")
        for _ in range(2):
            read_only(filled, on=True)
            end_sessions()
            assert len(memory.search("tea", USER)) == 1
            with pytest.raises(ProviderError, match=r"read-only.*ALTER DATABASE"):
                memory.add(content="x", user_id=USER)
            assert len(memory.search("tea", USER)) == 1
            assert memory.capabilities().features.audits_reads is False
            read_only(filled, on=False)
            memory.delete(memory.add(content="x", user_id=USER).id)
            assert len(memory.search("tea", USER)) == 1
            assert memory.capabilities().features.audits_reads is (audit == "all")
            if audit == "all":
                assert memory.audit(USER, limit=1)[0].action == "search"

    async def suspending(memory: AsyncMemory) -> None:
        read_only(filled, on=True)
        end_sessions()
        assert len(await memory.search("tea", USER)) == 1
        with pytest.raises(ProviderError, match=r"read-only.*ALTER DATABASE"):
            await memory.add_many([{"content": "x", "user_id": USER}])
        assert (await memory.capabilities()).features.audits_reads is False
        read_only(filled, on=False)
        await memory.add_many([{"content": "x", "user_id": USER}])
        assert (await memory.capabilities()).features.audits_reads is (audit == "all")
        await memory.search("tea", USER)
        if audit == "all":
            assert (await memory.audit(USER, limit=1))[0].action == "search"

    run(filled + pooled, blocking, suspending, audit=audit)


def test_reads_alone_find_out_that_a_database_takes_changes_again(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "READ_ONLY_SECONDS", 0.0)
    read_only(filled, on=True)

    def blocking(memory: Memory) -> None:
        memory.search("tea", USER)
        read_only(filled, on=False)
        memory.search("tea", USER)
        assert memory.capabilities().features.audits_reads
        assert memory.audit(USER, limit=1)[0].action == "search"
        read_only(filled, on=True)

    async def suspending(memory: AsyncMemory) -> None:
        await memory.search("tea", USER)
        read_only(filled, on=False)
        await memory.search("tea", USER)
        assert (await memory.capabilities()).features.audits_reads

    run(filled, blocking, suspending)


def test_reads_of_a_read_only_database_take_one_connection(filled: str) -> None:
    read_only(filled, on=True)

    def sessions() -> set[int]:
        with psycopg.connect(filled, autocommit=True) as admin:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            return {row[0] for row in admin.execute(query)}

    def blocking(memory: Memory) -> None:
        before = sessions()
        for _ in range(3):
            memory.search("tea", USER)
        assert sessions() == before

    async def suspending(memory: AsyncMemory) -> None:
        before = sessions()
        async with AsyncMemory(url=filled, embedder="hashing") as other:
            for _ in range(3):
                await memory.search("tea", USER)
                await other.search("tea", USER)
            assert (await other.capabilities()).features.audits_reads is False
        assert sessions() == before

    run(filled, blocking, suspending)


def test_a_read_only_database_that_is_not_set_up(server: Server, filled: str, database: str) -> None:
    empty = server.create_database()
    read_only(empty, on=True)
    refused(empty, "has no pgvector.*read-only.*open a client once where it takes changes")
    read_only(filled, on=True)
    refused(filled, "has no tables of openmem in schema 'other'.*read-only", schema="other")
    read_only(filled, on=False)
    execute(filled, "DROP TABLE openmem.idempotency_keys", "DELETE FROM openmem.migrations WHERE version > 1")
    read_only(filled, on=True)
    needed = f"is at version 1 of openmem's tables in schema 'openmem', and {len(MIGRATIONS)} is needed"
    refused(filled, f"{needed}, and it is read-only")


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


def test_a_standby_can_be_read(primary: Server, standby: Standby) -> None:
    url = primary.create_database()
    with Memory(url=url, embedder="hashing") as memory:
        memory.add(content="Maya drinks green tea", user_id=USER)
        memory.list(USER)
    # The log of reads reaches the disk with the next commit that waits for it.
    execute(url, "CREATE TABLE last ()")
    catch_up(url, standby)

    def blocking(memory: Memory) -> None:
        read_all(memory)
        assert memory.capabilities().features.audits_reads is False
        write_none(memory, "standby.*target_session_attrs=read-write")

    async def suspending(memory: AsyncMemory) -> None:
        await aread_all(memory)
        assert (await memory.capabilities()).features.audits_reads is False
        await awrite_none(memory, "standby.*target_session_attrs=read-write")

    run(standby.url(url), blocking, suspending)
    empty = primary.create_database()
    catch_up(empty, standby)
    refused(standby.url(empty), "no pgvector.*read-only: the server is a standby")


@pytest.fixture
def role(server: Server) -> str:
    """A role that may log in."""
    name = f"r_{secrets.token_hex(6)}"
    execute(server.url(), f"CREATE ROLE {name} LOGIN")
    return name


def as_role(url: str, role: str) -> str:
    """The URL of the same database for another role."""
    return url.replace("postgres@", f"{role}@")


def test_a_role_that_may_only_read(filled: str, role: str) -> None:
    execute(
        filled,
        f"GRANT USAGE ON SCHEMA openmem TO {role}",
        f"GRANT SELECT ON openmem.migrations, openmem.memories, openmem.audit_log TO {role}",
    )
    url = as_role(filled, role)

    def blocking(memory: Memory) -> None:
        read_all(memory)
        assert memory.capabilities().features.audits_reads is False
        with pytest.raises(ProviderError, match="permission denied for table"):
            memory.add(content="x", user_id=USER)

    async def suspending(memory: AsyncMemory) -> None:
        await aread_all(memory)
        assert (await memory.capabilities()).features.audits_reads is False

    run(url, blocking, suspending)
    with ThreadPoolExecutor(4) as threads:

        def search(_: int) -> int:
            with Memory(url=url, embedder="hashing") as memory:
                return len(memory.search("tea", USER))

        assert list(threads.map(search, range(8))) == [1] * 8


def test_a_grant_that_is_missing_is_named(filled: str, role: str) -> None:
    url = as_role(filled, role)
    refused(url, f"GRANT USAGE ON SCHEMA openmem TO {role}")
    execute(filled, f"GRANT USAGE ON SCHEMA openmem TO {role}", f"GRANT SELECT ON openmem.migrations TO {role}")
    refused(url, f"GRANT SELECT ON openmem.memories TO {role}")
    execute(filled, f"GRANT SELECT, INSERT ON openmem.memories TO {role}")
    refused(url, f"GRANT INSERT ON openmem.audit_log TO {role}.*audit='off'")
    with Memory(url=url, embedder="hashing", audit="off") as memory:
        memory.add(content="Maya plays the cello", user_id=USER)
    execute(filled, f"GRANT INSERT ON openmem.audit_log TO {role}")
    with Memory(url=url, embedder="hashing") as memory:
        memory.add(content="Maya plays the cello", user_id=USER)
        assert memory.capabilities().features.audits_reads


def test_a_role_that_may_not_make_the_tables(filled: str, database: str, role: str) -> None:
    url = as_role(filled, role)
    refused(url, f"GRANT CREATE ON DATABASE t_.* TO {role}", schema="other")
    execute(filled, "CREATE SCHEMA other", f"GRANT USAGE ON SCHEMA other TO {role}")
    refused(url, f"GRANT CREATE ON SCHEMA other TO {role}", schema="other")


@pytest.mark.parametrize("made", [0, 2], ids=["new", "older"])
def test_a_role_that_owns_its_schema_and_may_create_no_other(
    database: str, role: str, monkeypatch: pytest.MonkeyPatch, made: int
) -> None:
    execute(database, "CREATE EXTENSION vector", f"CREATE SCHEMA openmem AUTHORIZATION {role}")
    url, name = as_role(database, role), database.rpartition("/")[2]
    if made:
        execute(database, f"GRANT CREATE ON DATABASE {name} TO {role}")
        with monkeypatch.context() as patched:
            patched.setattr("openmem.providers.postgres.schema.MIGRATIONS", MIGRATIONS[:made])
            Memory(url=url, embedder="hashing").__enter__().close()
        execute(database, f"REVOKE CREATE ON DATABASE {name} FROM {role}")
    with Memory(url=url, embedder="hashing") as memory:
        memory.add(content="Maya plays the cello", user_id=USER)
        assert memory.search("cello", USER)


def test_only_the_owner_upgrades_the_tables(database: str, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("openmem.providers.postgres.schema.MIGRATIONS", MIGRATIONS[:2])
        Memory(url=database, embedder="hashing").__enter__().close()
    execute(
        database,
        f"GRANT ALL ON SCHEMA openmem TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA openmem TO {role}",
    )
    refused(as_role(database, role), f"only the role that owns the tables .* which {role} is not")


def test_the_extension_that_is_missing(server: Server, role: str) -> None:
    refused(as_role(server.create_database(), role), "the database has no pgvector, and it cannot be created here")


def test_the_extension_in_a_schema_of_any_name(server: Server) -> None:
    empty = server.create_database()
    name = psycopg.sql.Identifier("{schema} :user_id, it's --\"x").as_string()
    execute(empty, f"CREATE SCHEMA {name}", f"CREATE EXTENSION vector SCHEMA {name}")
    with Memory(url=empty, embedder="hashing") as memory:
        added = memory.add(content="Maya lives in Leeds", user_id=USER)
        memory.add_many([{"content": "Maya has a dog", "user_id": USER}])
        memory.update(added.id, content="Maya lives in Porto")
        assert [result.memory.id for result in memory.search("Who lives in Porto?", USER, limit=1)] == [added.id]


@pytest.mark.parametrize("make_mode", [Sync, Async])
def test_what_the_server_refuses_is_not_quoted(database: str, make_mode: type[Mode]) -> None:
    """A row that breaks a constraint is in the details of the server's answer."""
    mode = make_mode()
    secret = "the s3cret of Maya"

    async def body() -> None:
        async with mode.client(url=database, embedder="hashing") as memory:
            stored = await memory.add(content="tea", user_id="maya")
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(
                    "ALTER TABLE openmem.memories ADD CONSTRAINT plain CHECK (content NOT LIKE '%s3cret%')"
                )
            for refused in (
                memory.add(content=secret, user_id="maya"),
                memory.add_many([{"content": secret, "user_id": "maya"}]),
                memory.update(stored.id, content=secret),
            ):
                with pytest.raises(ProviderError, match='constraint "plain"') as refusal:
                    await refused
                assert "s3cret" not in str(refusal.value)

    try:
        mode.run(body())
    finally:
        mode.close()
