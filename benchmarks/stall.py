"""How long the verbs of `AsyncMemory` keep the event loop from other work.

A ticker sleeps for a millisecond again and again and notes how late it wakes up, first alone, then
beside many verbs at once. Beside each gap stands the processor time that the loop's thread used
in it, which other programs on the machine do not distort. The client is open and its embedder
loaded. Without ``--url`` the ``local`` provider serves. With ``--freeze`` Python's garbage collector passes over
what was loaded before, which it otherwise goes through now and then, on the loop's thread.

    python -m benchmarks.stall [--url URL] [--embedder NAME] [--tasks 100] [--rounds 10] [--freeze]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from openmem import AsyncMemory

USER = "stall"
TICK = 0.001
SENTENCES = (
    "Anna told me that her sister moved to Lisbon in the spring and opened a small bakery near the river.",
    "The user prefers dark mode, short answers, and examples in Python rather than in JavaScript.",
    "They planned a trip to Norway for August, but the ferry was fully booked until September.",
)


async def gaps(work: Callable[[], Awaitable[object]]) -> list[tuple[float, float]]:
    """Seconds beyond its millisecond that each tick took while `work` ran, and those the thread worked in it."""
    late: list[tuple[float, float]] = []

    async def tick() -> None:
        while True:
            began, worked = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK)
            late.append((time.perf_counter() - began - TICK, time.thread_time() - worked))

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    await work()
    await asyncio.sleep(0.01)
    ticker.cancel()
    return late


async def measure(settings: dict[str, Any], tasks: int, rounds: int, *, freeze: bool) -> Table:
    table = Table(
        "work", *(f"{what} {how}" for what in ("stall", "worked") for how in ("p50", "p99", "max ms")), "seconds"
    )
    async with AsyncMemory(**settings) as mem:
        for n in range(500):
            await mem.add(content=f"{n}: {SENTENCES[n % 3]}", user_id=USER)
        works: dict[str, Callable[[int], Awaitable[object]]] = {
            "nothing": lambda n: asyncio.sleep(0.01),
            "add": lambda n: mem.add(content=f"{n} again: {SENTENCES[n % 3]}", user_id=USER),
            "search": lambda n: mem.search("where did her sister move to", USER),
            "context": lambda n: mem.context("where did her sister move to", USER),
            "list of 500": lambda n: mem.list(USER, limit=500),
        }
        if freeze:
            gc.freeze()
        for name, work in works.items():
            began = time.perf_counter()
            late: list[tuple[float, float]] = []
            for _ in range(rounds):
                late += await gaps(lambda work=work: asyncio.gather(*(work(n) for n in range(tasks))))  # type: ignore[misc]
            took = time.perf_counter() - began
            figures = [
                f"{figure * 1000:.1f}"
                for times in zip(*late, strict=True)
                for figure in (statistics.median(times), statistics.quantiles(times, n=100)[98], max(times))
            ]
            table.add_row(f"{tasks} of {name}", *figures, f"{took:.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="PostgreSQL with pgvector; its user 'stall' gets memories")
    parser.add_argument("--embedder", default="wordllama")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--freeze", action="store_true", help="call gc.freeze() first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
        settings = {"url": options.url} if options.url else {"provider": "local", "path": path}
        settings["embedder"] = options.embedder
        Console(width=130).print(asyncio.run(measure(settings, options.tasks, options.rounds, freeze=options.freeze)))


if __name__ == "__main__":
    main()
