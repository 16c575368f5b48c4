"""What an `AsyncMemory` for every request costs, against one for the whole application.

A FastAPI application under real uvicorn, in a process of its own, has each route twice: with an instance
from a dependency, made for the request, and with the one of its lifespan. Kept-alive connections ask
both, a round of one after a round of the other, so that the ratios mean something on a busy machine.
The load and uvicorn compete for the processor. ``sessions`` are the connections to PostgreSQL that a
round opened.

    python -m benchmarks.instances [--clients 32] [--seconds 2] [--rounds 5] [--embedder NAME]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import uvicorn
from fastapi import Depends, FastAPI
from rich.console import Console
from rich.table import Table

from benchmarks.server import Wire, fact, question, request
from openmem import AsyncMemory
from tests.servers import Server

MEMORIES = 500
USER = "instances"
PATTERNS = ("shared", "per-request")
VERBS: dict[str, Callable[[str, int], bytes]] = {
    "search": lambda pattern, number: request("GET", f"/{pattern}/search?q={question(number).replace(' ', '+')}"),
    "context": lambda pattern, number: request("GET", f"/{pattern}/context?q={question(number).replace(' ', '+')}"),
    "add": lambda pattern, number: request("POST", f"/{pattern}/add?content={fact(number).replace(' ', '+')}"),
}


def application(url: str, embedder: str) -> FastAPI:
    """Both patterns, with the same routes below a path for each."""
    shared = AsyncMemory(url=url, embedder=embedder)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with shared:
            yield

    async def lend() -> AsyncMemory:
        return shared

    async def make() -> AsyncIterator[AsyncMemory]:
        async with AsyncMemory(url=url, embedder=embedder) as memory:
            yield memory

    app = FastAPI(lifespan=lifespan)
    for pattern, dependency in zip(PATTERNS, (lend, make), strict=True):
        _add_routes(app, pattern, Depends(dependency))
    return app


def _add_routes(app: FastAPI, pattern: str, dependency: Any) -> None:
    @app.get(f"/{pattern}/search")
    async def search(q: str, memory: AsyncMemory = dependency) -> list[str]:
        return [hit.memory.id for hit in await memory.search(q, USER)]

    @app.get(f"/{pattern}/context")
    async def context(q: str, memory: AsyncMemory = dependency) -> int:
        return (await memory.context(q, USER)).token_count

    @app.post(f"/{pattern}/add")
    async def add(content: str, memory: AsyncMemory = dependency) -> str:
        return (await memory.add(content=content, user_id=f"{USER}-new")).id


def serve_here(url: str, embedder: str) -> None:
    """What the child process does."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(application(url, embedder), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def serving(url: str, embedder: str) -> Iterator[int]:
    """The port of the application, which ends with the block."""
    command = [sys.executable, "-m", "benchmarks.instances", "--serve", url, "--embedder", embedder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@dataclass
class Figures:
    """What one pattern did with one verb.

    Attributes:
        latencies: seconds from sending a request to the end of its reply.
        medians: the median latency of each round.
        sessions: connections that were opened.
    """

    latencies: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    sessions: int = 0


async def ask(port: int, make: Callable[[int], bytes], clients: int, seconds: float) -> list[float]:
    """The latencies of as many requests as `clients` connections get answered in the time."""
    numbers = itertools.count()
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        wire = Wire(port)
        while (began := time.perf_counter()) < end:
            status, body = await wire.ask(make(next(numbers)))
            assert status == 200, body
            latencies.append(time.perf_counter() - began)
        wire.abort()

    await asyncio.gather(*(client() for _ in range(clients)))
    return latencies


def opened(database: str) -> int:
    """The connections that the database has had, this one included."""
    with psycopg.connect(database) as connection:
        [count] = connection.execute(
            "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone() or (0,)
    return int(count)


async def measure(port: int, database: str, options: argparse.Namespace) -> dict[tuple[str, str], Figures]:
    figures = {(verb, pattern): Figures() for verb in VERBS for pattern in PATTERNS}
    for pattern in PATTERNS:
        await ask(port, lambda number, pattern=pattern: VERBS["search"](pattern, number), options.clients, 0.5)  # type: ignore[misc]
    for _ in range(options.rounds):
        for (verb, pattern), of in figures.items():
            before = await asyncio.to_thread(opened, database)
            make = VERBS[verb]
            latencies = await ask(
                port,
                lambda number, make=make, pattern=pattern: make(pattern, number),  # type: ignore[misc]
                options.clients,
                options.seconds,
            )
            of.latencies += latencies
            of.medians.append(statistics.median(latencies))
            of.sessions += await asyncio.to_thread(opened, database) - before - 1
    return figures


def report(figures: dict[tuple[str, str], Figures], options: argparse.Namespace) -> Table:
    table = Table(
        "verb", "instance", "requests", "p50 ms", "p99 ms", "sessions", "p50 ratio", "of rounds",
        title=f"{options.clients} connections, {options.rounds} rounds of {options.seconds:g} s",
    )  # fmt: skip
    for verb in VERBS:
        base = figures[verb, "shared"].medians
        for pattern in PATTERNS:
            of = figures[verb, pattern]
            ratios = [median / other for median, other in zip(of.medians, base, strict=True)]
            table.add_row(
                verb,
                pattern,
                str(len(of.latencies)),
                f"{statistics.median(of.latencies) * 1000:.1f}",
                f"{statistics.quantiles(of.latencies, n=100)[98] * 1000:.1f}",
                str(of.sessions),
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
            )
    return table


async def fill(database: str, embedder: str) -> None:
    async with AsyncMemory(url=database, embedder=embedder) as memory:
        for number in range(MEMORIES):
            await memory.add(content=fact(number), user_id=USER)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--embedder", default="wordllama")
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve_here(options.serve, options.embedder)
        return
    server = Server()
    server.start()
    try:
        database = server.create_database()
        asyncio.run(fill(database, options.embedder))
        with serving(database, options.embedder) as port:
            figures = asyncio.run(measure(port, database, options))
        Console(width=130).print(report(figures, options))
    finally:
        server.remove()


if __name__ == "__main__":
    main()
