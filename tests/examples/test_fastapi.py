"""The two FastAPI applications of the examples, under real uvicorn and concurrent requests."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "fastapi"
USERS = [f"user-{number}" for number in range(8)]
FACTS = ["likes tea", "has a cat", "plays chess", "lives in Porto"]
POOL = 8
DEFAULT_POOL = 10


@contextmanager
def serving(module: str, database: str) -> Iterator[str]:
    """The URL of the application, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", f"{module}:app", "--app-dir", str(EXAMPLES), "--port", "0"],
        env=os.environ | {"DATABASE_URL": database, "OPENMEM_EMBEDDER": "hashing"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    log: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                yield found[1]
                break
        else:
            raise AssertionError("".join(log))
        process.terminate()
        rest = process.communicate(timeout=20)[1]
        assert "Traceback" not in rest, rest
        assert "Application shutdown complete" in rest, rest
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@contextmanager
def counting(database: str) -> Iterator[Callable[[], int]]:
    """A function that counts the connections of others, all its life over the same one of its own."""
    with psycopg.connect(database, autocommit=True) as connection:

        def count() -> int:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            assert row is not None
            return int(row[0])

        yield count


def wait_for_none(database: str) -> None:
    deadline = time.monotonic() + 10
    with counting(database) as count:
        while count():
            assert time.monotonic() < deadline, "connections are left"
            time.sleep(0.02)


async def use(url: str, database: str) -> int:
    """Remember and recall 32 times at once; the most connections seen meanwhile."""
    seen = 0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal seen
        with counting(database) as count:
            while not done.is_set():
                seen = max(seen, await asyncio.to_thread(count))

    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30, limits=limits, verify=False) as client:
        watching = asyncio.create_task(watch())
        stored = await asyncio.gather(
            *(
                client.post("/facts", json={"content": f"{user} {fact}"}, headers={"X-User": user})
                for user in USERS
                for fact in FACTS
            )
        )
        assert [reply.status_code for reply in stored] == [201] * 32
        assert len({reply.json()["id"] for reply in stored}) == 32
        recalled = await asyncio.gather(
            *(
                client.get("/facts", params={"query": f"{user} tea cat chess Porto"}, headers={"X-User": user})
                for user in USERS
                for _ in range(4)
            )
        )
        done.set()
        await watching
    for number, reply in enumerate(recalled):
        user = USERS[number // 4]
        assert set(reply.json()) == {f"{user} {fact}" for fact in FACTS}
    return seen


def test_an_instance_for_each_request(database: str) -> None:
    with serving("per_request", database) as url:
        assert 0 < asyncio.run(use(url, database)) <= DEFAULT_POOL
        wait_for_none(database)


def test_one_shared_instance(database: str) -> None:
    with serving("shared", database) as url:
        assert 0 < asyncio.run(use(url, database)) <= POOL
        with counting(database) as count:
            assert count() > 0
    wait_for_none(database)


@pytest.mark.parametrize("module", ["per_request", "shared"])
def test_arguments_that_are_refused_are_the_callers_fault(database: str, module: str) -> None:
    with serving(module, database) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        blank = client.post("/facts", json={"content": " "}, headers={"X-User": "maya"})
        assert (blank.status_code, "content" in blank.json()["detail"]) == (422, True)


def test_errors_become_responses(database: str) -> None:
    with serving("shared", database) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("ALTER TABLE openmem.memories RENAME TO hidden")
        failed = client.get("/facts", params={"query": "tea"}, headers={"X-User": "maya"})
        assert failed.status_code == 503
        assert failed.json()["request_id"]


@pytest.mark.parametrize("module", ["per_request", "shared"])
def test_without_a_user_nothing_is_answered(database: str, module: str) -> None:
    with serving(module, database) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        assert client.get("/facts", params={"query": "tea"}).status_code == 422
        assert client.post("/facts", json={"content": "tea"}).status_code == 422


@pytest.mark.parametrize("module", ["per_request", "shared"])
def test_facts_of_others_are_not_found(module: str, database: str) -> None:
    with serving(module, database) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        maya, ben = {"X-User": "maya"}, {"X-User": "ben"}
        id = client.post("/facts", json={"content": "likes tea"}, headers=maya).json()["id"]
        for user, status in ((ben, 404), (maya, 200)):
            assert client.put(f"/facts/{id}", json={"content": "likes milk"}, headers=user).status_code == status
        page = client.get("/facts/all", headers=maya).json()
        assert [item["content"] for item in page["items"]] == ["likes milk"]
        assert client.get("/facts/all", headers=ben).json()["items"] == []
        for user, status in ((ben, 404), (maya, 204), (maya, 404)):
            assert client.delete(f"/facts/{id}", headers=user).status_code == status
