"""The tables, as numbered migrations that run under an advisory lock.

JSON that nothing selects by is kept as ``json``, not ``jsonb``: that would turn 1e23 into another number. Metadata is
``jsonb``, and written such that its numbers stay what they are; see `.rows`.

The unique index of keys has digests of keys and of scopes in their place, since the longest of them are longer than an
entry of an index may be. A scope that is NULL counts as one of its own.

Every table has the bucket of its user (see `openmem._ids`), so that the tables can be partitioned or
sharded by it; see `docs/scaling.md`. No index on memories can be searched by bucket alone: the planner would combine it
with those that find a few rows, at the cost of reading all of a bucket's entries. Extended statistics say that a user
has one bucket. Without them the planner would multiply the selectivities of the two conditions and expect no rows.

A memory's ordinal is its position among the memories of its user, in order of insertion. Deletions
leave gaps, and memories added at the same moment may share one. Only the words of memories beyond the ordinal 1,000 are
indexed; `docs/retrieval.md` says why.

A database at the current version needs no more than two reads. Otherwise an advisory lock is taken, so that any number
of processes may open a fresh database at the same moment, and the steps that are missing run; see `.migrations`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ..._text import quoted
from ...errors import InvalidRequestError, ProviderError
from ...ports import Ports
from ...ports.postgres import PostgresIO, Statement, Store, Transaction
from .inspection import (
    check_may_change,
    check_may_create,
    check_pgvector,
    check_server,
    grant_statements,
    inspect_database,
    needed_privileges,
    no_pgvector,
)
from .migrations import MIGRATIONS, Migration

LOCK_INTERVAL_SECONDS: Final = 0.2
"""Seconds between two attempts to get the lock of a step that is not transactional."""

_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def check_schema_name(name: str) -> str:
    """`name` if it can be a schema's name without quoting, else `InvalidRequestError`."""
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) or name.startswith("pg_"):
        raise InvalidRequestError(
            f"schema: {quoted(name)} is not a lower-case identifier of at most 63 letters, digits and underscores"
        )
    return name


async def ensure(
    io: PostgresIO, schema: str, ports: Ports, connect_for_upgrade: Callable[[], Awaitable[PostgresIO]]
) -> Store:
    """Bring the tables in `schema` to the current version, unless that was done over these connections.

    Args:
        connect_for_upgrade: makes two connections on which a statement may take hours. They are closed here.

    Raises:
        ProviderError: the server or pgvector is missing something or too old, the database is not in UTF8, the role may
            not read or create what it must, the database takes no changes and is not set up, or it was made by a
            newer openmem.
    """
    if schema in io.cache.stores:
        return io.cache.stores[schema]
    database = await io.execute(inspect_database(schema))
    check_server(database)
    if database.vector_schema is None:
        check_may_change(database, f"has no pgvector, which openmem needs in it, and no tables in schema {schema!r}")
        if database.vector_available is None:
            raise no_pgvector("the server does not have it installed")
        await _create_extension(io, schema)
        database = await io.execute(inspect_database(schema))
    assert database.vector_schema is not None
    check_pgvector(database)
    if missing := database.lacks & needed_privileges(schema, database.vector_schema):
        grants = grant_statements(missing, database.role)
        raise ProviderError(f"the role {database.role} may not read what is stored: {grants}")
    version = await io.execute(_applied(schema)) if database.has_migrations else 0
    if version > len(MIGRATIONS):
        raise ProviderError(
            f"schema {schema!r} is at version {version}, made by a newer openmem; this one knows "
            f"version {len(MIGRATIONS)}: pip install --upgrade openmem"
        )
    if version < len(MIGRATIONS):
        state = f"is at version {version} of openmem's tables in schema {schema!r}, and {len(MIGRATIONS)} is needed"
        check_may_change(database, state if version else f"has no tables of openmem in schema {schema!r}")
        check_may_create(database, schema, state)
        if version == 0:
            await io.run_script(_script(MIGRATIONS, schema, database.vector_schema))
        else:
            upgrading = await connect_for_upgrade()
            try:
                await _upgrade(upgrading, ports, schema, database.vector_schema, version)
            finally:
                await upgrading.close()
        database = await io.execute(inspect_database(schema))
    store = Store(database.vector_schema or "", database.lacks, database.role)
    io.cache.stores[schema] = store
    io.cache.is_read_only = database.read_only.reason is not None
    return store


async def _create_extension(io: PostgresIO, schema: str) -> None:
    """Make the extension in ``public``, or, where that was dropped, beside the tables."""
    script = f"""
        {_lock("openmem")}
        DO $extension$ BEGIN
            IF to_regnamespace('public') IS NOT NULL THEN
                CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
            ELSE
                CREATE SCHEMA IF NOT EXISTS {schema};
                CREATE EXTENSION IF NOT EXISTS vector SCHEMA {schema};
            END IF;
        END $extension$;
    """
    try:
        await io.run_script(script)
    except ProviderError as error:
        if error.code == "provider_unavailable":
            raise
        raise no_pgvector(error.message) from error


def _applied(schema: str) -> Statement[int]:
    sql = f"SELECT coalesce(max(version), 0) FROM {schema}.migrations"
    return Statement(sql, (), lambda rows: int(rows[0][0]))


def _is_partitioned(schema: str) -> Statement[bool]:
    sql = f"SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = '{schema}.memories'::regclass"
    return Statement(sql, (), lambda rows: bool(rows[0][0]))


async def _upgrade(io: PostgresIO, ports: Ports, schema: str, vector_schema: str, version: int) -> None:
    """Run the steps behind `version`."""
    for is_transactional, steps in itertools.groupby(MIGRATIONS[version:], lambda step: step.is_transactional):
        if is_transactional:
            await io.run_script(_script(tuple(steps), schema, vector_schema))
        else:
            for step in steps:
                await _run_alone(io, ports, step, schema, vector_schema)


def _script(steps: Sequence[Migration], schema: str, vector_schema: str) -> str:
    """Statements that run those of the steps that no other process has run in the meantime."""
    statements = [
        _lock(schema),
        # Reading the catalog makes the session forget that there was no such schema before it waited for the lock.
        "SELECT FROM pg_catalog.pg_namespace LIMIT 0;",
        # Without the condition the role would have to be one that may create schemas, also where there is this one.
        f"DO $schema$ BEGIN IF to_regnamespace('{schema}') IS NULL THEN CREATE SCHEMA IF NOT EXISTS {schema}; "
        "END IF; END $schema$;",
        f"CREATE TABLE IF NOT EXISTS {schema}.migrations "
        "(version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());",
    ]
    for step in steps:
        statements.append(
            f"DO $migration$ BEGIN "
            f"IF NOT EXISTS (SELECT FROM {schema}.migrations WHERE version = {step.version}) THEN "
            f"{step.script(schema, vector_schema)} "
            f"INSERT INTO {schema}.migrations (version) VALUES ({step.version}); "
            f"END IF; END $migration$;"
        )
    return "\n".join(statements)


async def _run_alone(io: PostgresIO, ports: Ports, step: Migration, schema: str, vector_schema: str) -> None:
    """Run a step that is not transactional, while a second connection holds a lock in a transaction.

    PostgreSQL builds an index concurrently only when all transactions are over that see the table as it was. So nobody
    may wait for the lock inside of a statement. The transaction that holds it sees nothing between its statements.
    """
    lock = f"SELECT pg_try_advisory_xact_lock({_lock_key(f'{schema}:{step.version}')})"

    async def run(transaction: Transaction) -> bool:
        if not await transaction.execute(Statement(lock, (), lambda rows: bool(rows[0][0]))):
            return False
        if await transaction.execute(_applied(schema)) < step.version:
            # A statement keeps its snapshot until the next one takes its place, and SHOW needs none.
            is_partitioned = await transaction.execute(_is_partitioned(schema))
            await transaction.execute(Statement("SHOW server_version", (), lambda rows: None))
            for statement in step.statements(schema, vector_schema, concurrently=not is_partitioned):
                await io.run_outside_transaction(statement)
            record = f"INSERT INTO {schema}.migrations (version) VALUES ({step.version}) RETURNING version"
            await transaction.execute(Statement(record, (), lambda rows: None))
        return True

    while not await io.transact(run):
        await ports.sleep(LOCK_INTERVAL_SECONDS)


def _lock(name: str) -> str:
    return f"SELECT pg_advisory_xact_lock({_lock_key(name)});"


def _lock_key(name: str) -> str:
    return f"hashtextextended('openmem:{name}', 0)"
