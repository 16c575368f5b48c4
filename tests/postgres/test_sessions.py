"""What roles, databases and the environment set for sessions does not change what a verb does."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory, MemoryRecord
from openmem.testing.modes import Async, Mode, Sync

from ..servers import Server

SETTINGS = {
    "serializable": ("default_transaction_isolation", "serializable"),
    "repeatable read": ("default_transaction_isolation", "repeatable read"),
    "deferrable": ("default_transaction_deferrable", "on"),
    "backslashes in strings": ("standard_conforming_strings", "off"),
    "no quotes by backslash": ("backslash_quote", "off"),
    "Latin 1": ("client_encoding", "LATIN1"),
    "no encoding": ("client_encoding", "SQL_ASCII"),
    "German dates": ("DateStyle", "German, DMY"),
    "intervals of the standard": ("IntervalStyle", "sql_standard"),
    "a time zone": ("TimeZone", "Asia/Kathmandu"),
    "few digits": ("extra_float_digits", "-15"),
    "bytes with escapes": ("bytea_output", "escape"),
    "no nulls in arrays": ("array_nulls", "off"),
    "null equals null": ("transform_null_equals", "on"),
    "some matches only": ("gin_fuzzy_search_limit", "1"),
    "a path with traps": ("search_path", "evil, pg_catalog"),
    "no path": ("search_path", ""),
    "all names quoted": ("quote_all_identifiers", "on"),
    "another language": ("default_text_search_config", "pg_catalog.german"),
    "no row security": ("row_security", "off"),
    "no indexes": ("enable_indexscan", "off"),
    "no loops": ("enable_nestloop", "off"),
    "little memory": ("work_mem", "64kB"),
    "compiled": ("jit_above_cost", "0"),
    "planned anew": ("plan_cache_mode", "force_custom_plan"),
    "unchecked functions": ("check_function_bodies", "off"),
    "told everything": ("client_min_messages", "debug1"),
}

# What a path that begins with this schema would put in the place of PostgreSQL's own.
TRAPS = """
    CREATE SCHEMA IF NOT EXISTS evil;
    CREATE FUNCTION evil.yes(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
    CREATE OPERATOR evil.^@ (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '1970-01-01' $$;
    CREATE FUNCTION evil.coalesced(text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
    CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
    CREATE FUNCTION evil.set_config(text, text, bool) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
    CREATE FUNCTION evil.to_tsvector(regconfig, text) RETURNS tsvector LANGUAGE sql IMMUTABLE
        AS $$ SELECT ''::tsvector $$;
    GRANT USAGE ON SCHEMA evil TO public;
"""


@pytest.fixture(scope="module")
def modes() -> Iterator[list[Mode]]:
    """Both modes."""
    modes: list[Mode] = [Sync(), Async()]
    yield modes
    for mode in modes:
        mode.close()


class Place:
    """A database with traps in it, and a role that owns it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.role = f"r_{secrets.token_hex(4)}"
        url = server.create_database()
        self.name = url.rpartition("/")[2]
        self.url = server.url(self.name, user=self.role)
        self.ask(f"CREATE ROLE {self.role} LOGIN SUPERUSER")

    def ask(self, *statements: str) -> None:
        with psycopg.connect(self._server.url(self.name), autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement.encode())


@pytest.fixture
def place(server: Server) -> Place:
    place = Place(server)
    place.ask(TRAPS)
    return place


def set_for(place: Place, where: str, setting: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = setting
    if where == "environment":
        escaped = value.replace("\\", "\\\\").replace(" ", "\\ ")
        monkeypatch.setenv("PGOPTIONS", f"-c {name}={escaped}")
        return
    whom = f"ROLE {place.role}" if where == "role" else f"DATABASE {place.name}"
    quoted = value if name == "search_path" and value else f"'{value}'"
    place.ask(f"ALTER {whom} SET {name} = {quoted}")


@pytest.fixture(scope="module")
def tables(server: Server) -> Place:
    """A place with openmem's tables, which tests share."""
    place = Place(server)
    place.ask(TRAPS)
    with Memory(url=place.url, embedder="hashing"):
        pass
    return place


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_verb_of_a_role_that_makes_the_tables(
    setting: str, place: Place, modes: list[Mode], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_for(place, "role", SETTINGS[setting], monkeypatch)
    use_in(modes, place.url)
    use_in(modes, f"{place.url}?pgbouncer=true")


def test_the_tables_are_made_through_a_pooler(place: Place, modes: list[Mode], monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in ("serializable", "backslashes in strings", "a path with traps", "Latin 1"):
        set_for(place, "role", SETTINGS[setting], monkeypatch)
    for mode in modes:
        place.ask("DROP SCHEMA IF EXISTS openmem CASCADE", "DROP EXTENSION IF EXISTS vector")
        use_in([mode], f"{place.url}?pgbouncer=true")


@pytest.mark.parametrize("where", ["database", "environment"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_verb(
    setting: str, where: str, tables: Place, modes: list[Mode], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_for(tables, where, SETTINGS[setting], monkeypatch)
    try:
        use_in(modes, tables.url)
        use_in(modes, f"{tables.url}?pgbouncer=true")
    finally:
        tables.ask(f"ALTER DATABASE {tables.name} RESET ALL")


def use_in(modes: list[Mode], url: str) -> None:
    """Every verb in both modes, as users of their own."""

    async def body(mode: Mode) -> None:
        async with mode.client(url=url, embedder="hashing") as memory:
            await use(memory, f"zoë {secrets.token_hex(4)}")

    for mode in modes:
        mode.run(body(mode))


async def use(memory: AsyncMemory, user: str) -> None:
    """Every verb, with values that a wrong setting changes."""
    moment = datetime(2024, 2, 3, 4, 5, 6, 789012, UTC)
    content = "Zoë's path is C:\\new\\x41 and 'quoted' 茶🍵"
    extensions: dict[str, Any] = {"x-a": {"n": None, "s": "\\'"}}
    first = await memory.add(
        content=content,
        user_id=user,
        scope="a\\b",
        tags=["x'y\\", "NULL", ""][:2],
        confidence=0.1234567890123456,
        valid_from=moment,
        source={"app": "o'app", "ref": "\\"},
        **extensions,
    )
    await memory.add(content="somebody else's tea", user_id="other")
    assert first.content == content
    assert (datetime.now(UTC) - first.created_at).total_seconds() < 60
    assert await memory.get(first.id) == first
    assert first.valid_from == moment
    assert [item.content for item in (await memory.list(user, scope="a\\b")).items] == [content]
    assert (await memory.list(user, scope="a")).items == []
    assert (await memory.list(user, since=first.created_at)).items == [first]
    [hit] = await memory.search("what is the path?", user)
    assert hit.memory == first
    assert hit.score > 0.1
    assert first.id in (await memory.context("path", user)).text
    changed = await memory.update(first.id, confidence=None, tags=[])
    assert changed.confidence is None
    many: list[MemoryRecord] = await memory.add_many(
        [{"content": f"tea number {number}", "user_id": user, "confidence": 1 / 3} for number in range(4)]
    )
    assert await memory.get(many[0].id) == many[0]
    assert {hit.memory.user_id for hit in await memory.search("tea", user)} == {user}
    second = await memory.add(content="The path is /new", user_id=user, supersedes=[first.id])
    assert (await memory.get(first.id)).valid_to == second.created_at
    await memory.wait_for_ingest([second.id], user)
    await memory.delete(second.id)
    assert await memory.reembed() == 0
    actions = [entry.action for entry in await memory.audit(user)]
    assert actions.count("add") == 6
    assert {"get", "list", "search", "context", "update", "delete"} <= set(actions)


@pytest.mark.parametrize("pooler", ["", "?pgbouncer=true"], ids=["direct", "pooled"])
@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
def test_writes_at_the_same_moment(isolation: str, pooler: str, place: Place) -> None:
    place.ask(f"ALTER ROLE {place.role} SET default_transaction_isolation = '{isolation}'")

    async def main() -> None:
        async with AsyncMemory(url=place.url + pooler, embedder="hashing", pool_max_size=8) as memory:
            shared = await memory.add(content="shared", user_id="maya")

            async def write(writer: int) -> None:
                for step in range(10):
                    await memory.add(content=f"{writer} wrote {step}", user_id="maya")
                    await memory.update(shared.id, tags=[f"{writer}-{step}"])
                    await memory.search("wrote", "maya")

            await asyncio.gather(*map(write, range(8)))
            assert len((await memory.list("maya", limit=500)).items) == 81

    asyncio.run(main())


def test_an_administrators_bounds_stay(place: Place, modes: list[Mode]) -> None:
    with Memory(url=place.url, embedder="hashing"):
        pass
    place.ask(
        f"ALTER ROLE {place.role} SET statement_timeout = '54321'",
        f"ALTER ROLE {place.role} SET lock_timeout = '200'",
        f"ALTER ROLE {place.role} SET synchronous_commit = 'local'",
    )

    async def body(mode: Mode) -> None:
        async with mode.client(url=place.url, embedder="hashing") as memory:
            with psycopg.connect(place.url) as blocker:
                blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
                with pytest.raises(Exception, match="lock timeout"):
                    await memory.list("maya")
            await memory.list("maya")

    for mode in modes:
        mode.run(body(mode))


def test_pgvector_is_made_where_everybody_finds_it(place: Place, modes: list[Mode]) -> None:
    def schema_of_vector() -> Any:
        with psycopg.connect(place.url) as admin:
            return admin.execute(
                "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
                "WHERE extname = 'vector'"
            ).fetchone()

    async def body(mode: Mode) -> None:
        async with mode.client(url=place.url, embedder="hashing") as memory:
            await memory.add(content="tea", user_id="maya")

    for mode in modes:
        place.ask("CREATE SCHEMA IF NOT EXISTS public")
        mode.run(body(mode))
        assert schema_of_vector() == ("public",)
        place.ask("DROP SCHEMA openmem CASCADE", "DROP SCHEMA public CASCADE")
        mode.run(body(mode))
        assert schema_of_vector() == ("openmem",)
        place.ask("DROP SCHEMA openmem CASCADE")
