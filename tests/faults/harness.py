"""What the fault tests have in common: a strict runner, a view of the server, and all verbs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, LiteralString, TypeVar
from urllib.parse import urlsplit

import psycopg

from openmem import AsyncMemory, Memory
from openmem._ids import new_memory_id
from openmem.embedders.hashing import HashingEmbedder

R = TypeVar("R")

CANCEL_BOUND = 0.05
RECLAIM_BOUND = 0.5
STOP_BOUND = 1.0

Verb = Callable[[AsyncMemory, str], Awaitable[object]]

USER = "subject"
KEY = "the first one"
VERBS: dict[str, Verb] = {
    "add": lambda mem, id: mem.add(content="tea in the morning", user_id=USER),
    "get": lambda mem, id: mem.get(id),
    "get_by_key": lambda mem, id: mem.get_by_key(KEY, USER),
    "update": lambda mem, id: mem.update(id, content="coffee in the morning"),
    "delete": lambda mem, id: mem.delete(id),
    "list": lambda mem, id: mem.list(USER),
    "search": lambda mem, id: mem.search("morning", USER),
    "context": lambda mem, id: mem.context("morning", USER),
    "audit": lambda mem, id: mem.audit(USER),
    "put": lambda mem, id: mem.put(key="drink", content="milk in the morning", user_id=USER),
    "put and keep": lambda mem, id: mem.put(key="food", content="bread", user_id=USER, keep_history=True),
    "restore": lambda mem, id: mem.restore([restored()]),
}


def restored() -> dict[str, Any]:
    """A memory that is to be restored."""
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    return {"id": new_memory_id(USER), "content": "walks", "user_id": USER, "created_at": moment, "version": 3}


def run(main: Coroutine[Any, Any, R]) -> R:
    """The result of `main` on a new event loop, which must not leave a task or an error behind."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> R:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return result

    result = asyncio.run(watched())
    assert not complaints, complaints
    return result


async def cancelled_after(task: asyncio.Future[Any]) -> float:
    """Seconds from cancelling a task until its awaiter has the `CancelledError`."""
    asked = time.perf_counter()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return time.perf_counter() - asked
    raise AssertionError("the cancellation was swallowed")


async def until(condition: Callable[[], bool], within: float) -> None:
    """Wait for `condition`, which must come true within a bound in seconds."""
    deadline = time.perf_counter() + within
    while not condition():
        assert time.perf_counter() < deadline, f"not within {within} s"
        await asyncio.sleep(0.005)


def until_blocking(condition: Callable[[], bool], within: float) -> None:
    """`until` for a test without an event loop."""
    deadline = time.perf_counter() + within
    while not condition():
        assert time.perf_counter() < deadline, f"not within {within} s"
        time.sleep(0.005)


class Database:
    """A database with openmem's tables, and what its server sees of one client in it.

    Attributes:
        url: where the client under test connects.
        id: a memory of `USER`.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._plain_url = url
        self.url = f"{url}?application_name=subject"
        self.id = ""
        with self.open():
            pass
        self.reset()

    def reset(self) -> None:
        """Leave one memory and its audit entry, once no client is connected any more."""
        until_blocking(lambda: not self.connections(), within=1)
        self._connection.execute("TRUNCATE openmem.memories, openmem.audit_log")
        with self.open() as mem:
            self.id = mem.add(content="tea in the morning", user_id=USER, key=KEY).id
        until_blocking(lambda: not self.connections(), within=1)

    def through(self, port: int) -> str:
        """The client's URL by way of a proxy."""
        return self.url.replace(f":{urlsplit(self.url).port}/", f":{port}/")

    def open(self, **settings: Any) -> Memory:
        """A blocking client that loads no model."""
        return Memory(**self._settings(settings))

    def async_open(self, **settings: Any) -> AsyncMemory:
        """A client for an event loop that loads no model."""
        return AsyncMemory(**self._settings(settings))

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.url, "embedder": HashingEmbedder()} | settings

    def locked(self, mode: LiteralString = "ACCESS EXCLUSIVE") -> AbstractContextManager[object]:
        """Hold locks that every verb waits for; those of mode ``EXCLUSIVE`` let reads through."""
        connection = psycopg.connect(self._plain_url)
        connection.execute(f"LOCK TABLE openmem.memories, openmem.audit_log IN {mode} MODE")
        return connection

    def ask(self, sql: str) -> int:
        """The number that a query gives."""
        row = self._connection.execute(sql.encode()).fetchone()
        assert row is not None
        return int(row[0])

    def connections(self) -> int:
        """Connections of the client under test."""
        return self._count("true")

    def running(self) -> int:
        """Statements that the client under test has running."""
        return self._count("state = 'active'")

    def in_transactions(self) -> int:
        """Connections of the client under test that run a statement or are between those of a transaction."""
        return self._count("state <> 'idle'")

    def waiting(self) -> int:
        """Statements of the client under test that wait for a lock."""
        return self._count("wait_event_type = 'Lock'")

    def _count(self, condition: str) -> int:
        return self.ask(
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'subject' "  # noqa: S608
            f"AND datname = current_database() AND {condition}"
        )

    def check_audited(self) -> None:
        """Every write is there with its audit entry, or neither is."""
        kept = self.ids("SELECT id FROM openmem.memories")
        logged = {
            verb: self.ids(f"SELECT memory_id FROM openmem.audit_log WHERE action = '{verb}'")  # noqa: S608
            for verb in ("add", "put", "restore", "update", "delete")
        }
        assert (logged["add"] | logged["put"] | logged["restore"]) - logged["delete"] == kept
        changed = self.ids("SELECT id FROM openmem.memories WHERE updated_at IS NOT NULL")
        assert logged["update"] & kept <= changed
        writes = "SELECT count(*) FROM openmem.audit_log WHERE action <> 'get' AND memory_id = m.id"
        uncounted = self.ids(
            f"SELECT id FROM openmem.memories m WHERE supersedes IS NULL "  # noqa: S608
            f"AND version - (valid_to IS NOT NULL)::int <> ({writes} AND action <> 'get_by_key')"
        )
        assert uncounted <= logged["restore"]

    def ids(self, sql: str) -> set[str]:
        """The values that a query gives."""
        return {str(row[0]) for row in self._connection.execute(sql.encode())}

    def close(self) -> None:
        """Close the view, not the database."""
        self._connection.close()
