"""Memories that `add_many` stores a second, beside a loop of `add`, in both clients.

The rounds of the four alternate, so that a machine that is busy with something else slows all of them
alike; the ratio counts. Beside each rate stands the processor time of this process for a memory, without
that of the database server. Without ``--url`` the ``local`` provider serves.

    python -m benchmarks.writes [--url URL] [--embedder NAME] [--memories 10000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from rich.console import Console
from rich.table import Table

from openmem import AsyncMemory, Memory

from .stall import SENTENCES

LOOP_SHARE = 20

Work = Callable[[list[dict[str, Any]]], Awaitable[object]]


def records(count: int) -> list[dict[str, Any]]:
    """Notes of a hundred new users: those of users with thousands of notes cost the server more."""
    group = secrets.token_hex(4)
    return [{"content": f"{n}: {SENTENCES[n % 3]}", "user_id": f"writes {group} {n % 100}"} for n in range(count)]


async def measure(settings: dict[str, Any], memories: int, rounds: int) -> Table:
    """The table of rates."""
    async with AsyncExitStack() as stack:
        asynchronous = await stack.enter_async_context(AsyncMemory(**settings))
        blocking = stack.enter_context(Memory(**settings))

        async def add(given: list[dict[str, Any]]) -> None:
            for record in given:
                await asynchronous.add(**record)

        async def add_blocking(given: list[dict[str, Any]]) -> None:
            for record in given:
                blocking.add(**record)

        async def add_many_blocking(given: list[dict[str, Any]]) -> None:
            blocking.add_many(given)

        works: dict[str, tuple[Work, int]] = {
            "Memory, add": (add_blocking, memories // LOOP_SHARE),
            "Memory, add_many": (add_many_blocking, memories),
            "AsyncMemory, add": (add, memories // LOOP_SHARE),
            "AsyncMemory, add_many": (asynchronous.add_many, memories),
        }
        rates: defaultdict[str, list[float]] = defaultdict(list)
        worked: defaultdict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for name, (work, count) in works.items():
                given = records(count)
                began, cpu = time.perf_counter(), time.process_time()
                await work(given)
                rates[name].append(count / (time.perf_counter() - began))
                worked[name].append((time.process_time() - cpu) / count)
    table = Table("verb", "memories/s", "best", "times add", "client \u00b5s/memory")
    for name, rate in rates.items():
        alone = rates[name.removesuffix("_many")]
        ratio = statistics.median(many / one for many, one in zip(rate, alone, strict=True))
        figures = [statistics.median(rate), max(rate), ratio, statistics.median(worked[name]) * 1e6]
        table.add_row(name, *(f"{figure:,.{place}f}" for figure, place in zip(figures, (0, 0, 1, 0), strict=True)))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="PostgreSQL with pgvector; users named 'writes …' get memories")
    parser.add_argument("--embedder", default="wordllama")
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
        settings = {"url": options.url} if options.url else {"provider": "local", "path": path}
        settings["embedder"] = options.embedder
        Console(width=100).print(asyncio.run(measure(settings, options.memories, options.rounds)))


if __name__ == "__main__":
    main()
