"""The embedded server of a benchmark: a database for each system, loading in bulk, locking, looking on."""

from __future__ import annotations

import struct
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from openmem.drivers.local.lease import ServerLease

from .datasets import Data
from .peers import Peer, Row, embedder

BATCH: Final = 2_000
FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SYSTEM_SCHEMAS: Final = ["pg_catalog", "information_schema"]


@contextmanager
def server(url: str | None = None) -> Iterator[str]:
    """The URL of a server: the given one, or an embedded one in a temporary folder."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as directory:
        lease = ServerLease(f"{directory}/data")
        try:
            yield lease.acquire()
        finally:
            lease.release()


async def create(url: str, name: str) -> str:
    """The URL of a new, empty database on the server."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def use_vectors(connection: asyncpg.Connection) -> None:
    """Let vectors be sent in pgvector's binary formats: dimensions, a zero, then big-endian numbers.

    Sparse vectors are sent as they are, as bytes.
    """
    await connection.set_type_codec("sparsevec", encoder=_unread, decoder=_unread, format="binary")
    for name, letter in (("vector", "f"), ("halfvec", "e")):
        await connection.set_type_codec(name, encoder=partial(_packed, letter), decoder=_unread, format="binary")


def _packed(letter: str, vector: Sequence[float]) -> bytes:
    return struct.pack(f">HH{len(vector)}{letter}", len(vector), 0, *vector)


def _unread(data: bytes) -> bytes:
    return data


def rows(data: Data, users: Mapping[str, int]) -> Iterator[list[Row]]:
    """So many memories for every user, a minute between one and the next, in batches. Always the same texts."""
    batch: list[tuple[str, int, str]] = []

    def embedded() -> list[Row]:
        vectors = embedder.embed([text for _, _, text in batch])
        return [
            Row(uuid.uuid4().hex, user, number, text, FIRST + number * timedelta(minutes=1), vector)
            for (user, number, text), vector in zip(batch, vectors, strict=True)
        ]

    for user, count in users.items():
        for number, text in enumerate(data.texts(user, count), start=1):
            batch.append((user, number, text))
            if len(batch) == BATCH:
                yield embedded()
                batch = []
    if batch:
        yield embedded()


async def fill(
    peers: Mapping[str, Peer],
    urls: Mapping[str, str],
    data: Data,
    users: Mapping[str, int],
    advance: Callable[[int], object],
) -> None:
    """Give the users so many memories in the tables of every system, past its own calls.

    Indexes that are slow to fill row by row (vectors, words) are dropped first and made anew at the
    end, with the definitions that the system gave them.
    """
    async with AsyncExitStack() as stack:
        connections = {name: await stack.enter_async_context(connected(urls[name])) for name in peers}
        indexes = {name: await _without_indexes(connections[name], peer) for name, peer in peers.items()}
        for batch in rows(data, users):
            for name, peer in peers.items():
                for target in peer.targets:
                    await connections[name].copy_records_to_table(
                        target.table,
                        schema_name=target.schema,
                        columns=list(target.columns),
                        records=[target.record(row) for row in batch],
                    )
                advance(len(batch))
        for name, peer in peers.items():
            for definition in indexes[name]:
                await connections[name].execute(definition)
            await vacuum(connections[name], peer)


async def vacuum(connection: asyncpg.Connection, peer: Peer) -> None:
    """Bring the statistics of a system's tables up to date, as the server does by itself after a while."""
    for target in peer.targets:
        await connection.execute(f'VACUUM ANALYZE "{target.schema}"."{target.table}"')


async def _without_indexes(connection: asyncpg.Connection, peer: Peer) -> list[str]:
    """Drop the slow indexes, and return their definitions."""
    await connection.execute("SET maintenance_work_mem = '512MB'")
    found = [
        (schema, name, definition)
        for target in peer.targets
        for schema, name, definition in await connection.fetch(
            "SELECT schemaname, indexname, indexdef FROM pg_indexes "
            "WHERE schemaname = $1 AND tablename = $2 AND indexdef ~ 'USING (hnsw|gin)'",
            target.schema,
            target.table,
        )
    ]
    for schema, name, _ in found:
        await connection.execute(f'DROP INDEX "{schema}"."{name}"')
    return [definition for _, _, definition in found]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that understands vectors."""
    connection = await asyncpg.connect(url)
    try:
        await use_vectors(connection)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Keep everybody from reading or writing any table of the database within the block."""
    async with connected(url) as connection:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname <> ALL($1)", _SYSTEM_SCHEMAS
        )
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {', '.join(name for (name,) in tables)} IN ACCESS EXCLUSIVE MODE")
            yield


async def waiting(connection: asyncpg.Connection) -> int:
    """How many statements in the connection's database wait for a lock at this moment."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND state = 'active' AND wait_event_type = 'Lock'"
    )
    return count


async def settings(connection: asyncpg.Connection) -> dict[str, str]:
    """Versions and settings of the server that matter for speed."""
    names = ("server_version", "shared_buffers", "fsync", "synchronous_commit", "max_connections")
    found = {name: await connection.fetchval(f"SHOW {name}") for name in names}
    return found | {
        "pgvector": await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    }
