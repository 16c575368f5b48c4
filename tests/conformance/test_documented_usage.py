"""The examples by which users know `AsyncMemory`, run as they are printed but for the server's address."""

from __future__ import annotations

import ast
import asyncio
import inspect
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from openmem import AsyncMemory

from ..servers import Server

BASIC_USAGE = """
import asyncio
from openmem import AsyncMemory

async def main():
    async with AsyncMemory(provider="postgres",
                           url="postgresql://postgres:postgres@localhost:5432/postgres") as mem:
        rec = await mem.add(content="user prefers dark mode", user_id="u1")
        hits = await mem.search("dark mode", user_id="u1")
        print(hits[0].memory.content)

asyncio.run(main())
"""

CONTEXT_MANAGER = """
async with AsyncMemory(provider="postgres", url="postgresql://localhost/omp") as mem:
    await mem.add(content="hello", user_id="u1")
# Resources are released automatically here
"""

CANCELLATION = """
task = asyncio.create_task(mem.search("slow query", "u1"))
await asyncio.sleep(0.05)
task.cancel()
try:
    await task
except asyncio.CancelledError:
    pass  # Cancellation propagates within 50 ms; pool connection is reclaimed
"""

FASTAPI = """
from fastapi import FastAPI, Depends
from openmem import AsyncMemory

app = FastAPI()

async def get_mem():
    async with AsyncMemory(provider="postgres", url="postgresql://localhost/omp") as mem:
        yield mem

@app.post("/remember")
async def remember(content: str, user_id: str, mem: AsyncMemory = Depends(get_mem)):
    record = await mem.add(content=content, user_id=user_id)
    return {"id": record.id}
"""


class Page:
    """Runs printed code against a server."""

    def __init__(self, server: Server) -> None:
        self._address = f"127.0.0.1:{server.port}"

    def run(self, code: str, **names: Any) -> dict[str, Any]:
        """The names that a program defines."""
        exec(compile(self._addressed(code), "<page>", "exec"), names)
        return names

    async def run_inside(self, code: str, **names: Any) -> dict[str, Any]:
        """The names that code with ``await`` at its top defines."""
        compiled = compile(self._addressed(code), "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(compiled, names)
        assert inspect.iscoroutine(running)
        await running
        return names

    def url(self) -> str:
        return self._addressed("postgresql://localhost/omp")

    def _addressed(self, code: str) -> str:
        return code.replace("localhost:5432", self._address).replace("localhost/", f"{self._address}/")


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Page]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE omp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGUSER", "postgres")
        patch.setenv("OPENMEM_EMBEDDER", "hashing")
        yield Page(server)


def test_basic_usage(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page.run(BASIC_USAGE)
    assert capsys.readouterr().out == "user prefers dark mode\n"


def test_the_context_manager(page: Page) -> None:
    async def main() -> None:
        names = await page.run_inside(CONTEXT_MANAGER, AsyncMemory=AsyncMemory)
        with pytest.raises(RuntimeError, match=r"^AsyncMemory is closed$"):
            await names["mem"].list("u1")
        async with AsyncMemory(url=page.url()) as memory:
            assert (await memory.list("u1")).items[0].content == "hello"

    asyncio.run(main())


def test_cancellation(page: Page) -> None:
    async def main() -> None:
        async with AsyncMemory(url=page.url(), pool_max_size=1) as memory:
            await memory.add(content="slow", user_id="u1")
            with psycopg.connect(page.url()) as lock:
                lock.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
                start = time.monotonic()
                names = await page.run_inside(CANCELLATION, asyncio=asyncio, mem=memory)
                assert time.monotonic() - start < 0.05 + 0.05
            assert names["task"].cancelled()
            assert (await memory.search("slow", "u1"))[0].memory.content == "slow"

    asyncio.run(main())


def test_fastapi(page: Page) -> None:
    async def main() -> None:
        app = page.run(FASTAPI)["app"]
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            calls = [client.post("/remember", params={"content": f"fact {n}", "user_id": "u2"}) for n in range(10)]
            ids = {reply.raise_for_status().json()["id"] for reply in await asyncio.gather(*calls)}
        async with AsyncMemory(url=page.url()) as memory:
            assert {record.id for record in (await memory.list("u2")).items} == ids

    asyncio.run(main())


def test_another_loop_is_refused_before_any_call(page: Page) -> None:
    memory = AsyncMemory(provider="postgres", url=page.url())

    async def use() -> None:
        await memory.list("u1")

    with asyncio.Runner() as first:
        first.run(use())
        with asyncio.Runner() as second, pytest.raises(RuntimeError) as refusal:
            second.run(use())
        assert str(refusal.value) == "AsyncMemory is bound to a different event loop"
        first.run(use())
        first.run(memory.close())
