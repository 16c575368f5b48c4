"""Search and add against hand-written SQL, by the number of memories a user has.

`benchmarks.compare` with two systems only, in a minute or so, for work on the statements. openmem
and the floor take turns, so that the ratios mean something on a busy machine too; the times do not.

The texts are made by gluing together two memories of the data (see `benchmarks.datasets`) and loaded in
bulk, a minute between one memory and the next. Searches are the data's questions. ``--store`` adds
users of 100 memories until the store has that many, and measures the same users once before and
once after. For users whose memories are not all ranked any more, a third table tells how many of the ten
best of the exact ranking are found.

    python -m benchmarks.search [--data DIR]
    python -m benchmarks.search --sizes 500 50000 --store 250000
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from openmem.providers.postgres import statements
from openmem.providers.postgres.retrieval import layout
from openmem.ranking.constants import EXACT_SCAN_LIMIT

from . import database, measures
from .datasets import Data
from .peers import FLOOR, SYSTEMS
from .tables import milliseconds, times

OURS = "openmem"
TASKS = 32
ROUNDS_OF_THROUGHPUT = 3
CALLS_OF_THROUGHPUT = 500
SMALL_USER = 100

console = Console()


class Comparison:
    """The two systems, open, and the data."""

    def __init__(self, data: Data, peers: measures.Peers, urls: dict[str, str]) -> None:
        self._data = data
        self._peers = peers
        self._urls = urls

    async def load(self, users: dict[str, int]) -> None:
        total = sum(users.values()) * len(self._peers)
        with Progress(console=console) as progress:
            task = progress.add_task("Loading", total=total)
            await database.fill(self._peers, self._urls, self._data, users, lambda count: progress.advance(task, count))

    async def latencies(self, title: str, users: dict[str, int], rounds: int) -> Table:
        table = Table(title=title)
        for heading in ("memories of the user", "floor ms", "openmem ms", "ratio"):
            table.add_column(heading, justify="right")
        for user, size in users.items():
            found = await measures.searches(self._peers, self._asked(user, rounds), lambda _: None)
            floor, ours = found[FLOOR].p50, found[OURS].p50
            table.add_row(f"{size:,}", milliseconds(floor), milliseconds(ours), times(ours, floor))
        return table

    async def throughput(self, user: str) -> Table:
        table = Table(title=f"{TASKS} tasks, calls a second")
        for heading in ("verb", "floor", "openmem", "ratio"):
            table.add_column(heading, justify="right")
        texts = list(self._data.texts("throughput", 2 * CALLS_OF_THROUGHPUT))
        verbs: dict[str, Callable[[int], list[measures.Arguments]]] = {
            "add": lambda number: [(text, f"writer {number}") for text in texts],
            "search": lambda _: self._asked(user, CALLS_OF_THROUGHPUT),
        }
        for verb, arguments in verbs.items():
            found = await measures.rates(self._peers, verb, arguments, TASKS, ROUNDS_OF_THROUGHPUT, lambda _: None)
            floor, ours = found[FLOOR].median, found[OURS].median
            table.add_row(verb, f"{floor:,.0f}", f"{ours:,.0f}", times(ours, floor))
        return table

    async def recall(self, users: dict[str, int], rounds: int) -> Table:
        """How many of the exact ranking's ten best are found."""
        table = Table("memories of the user", "found of the best ten", "exact ms", title="What indexes find")
        for user, size in users.items():
            found, exact, seconds = 0, 0, []
            for text, _ in self._asked(user, rounds):
                with all_ranked():
                    async with SYSTEMS[OURS].open(self._urls[OURS]) as every:
                        started = time.perf_counter()
                        best = await every.search(text, user)
                        seconds.append(time.perf_counter() - started)
                ids = await self._peers[OURS].search(text, user)
                found, exact = found + len({*ids} & {*best}), exact + len(best)
            table.add_row(f"{size:,}", f"{found / exact:.3f}", milliseconds(1000 * statistics.median(seconds)))
        return table

    def _asked(self, user: str, count: int) -> list[measures.Arguments]:
        return [(question.text, user) for question in islice(cycle(self._data.questions), count)]


@contextmanager
def all_ranked() -> Iterator[None]:
    """Let clients that are opened meanwhile rank all memories of any user."""
    bound = layout.INDEX_MIN_MEMORIES
    layout.INDEX_MIN_MEMORIES = 2**31 - 1  # type: ignore[misc]
    statements.cached_statements.cache_clear()
    try:
        yield
    finally:
        layout.INDEX_MIN_MEMORIES = bound  # type: ignore[misc]
        statements.cached_statements.cache_clear()


async def run(url: str, data: Data, sizes: Sequence[int], store: int, rounds: int) -> None:
    users = {f"user of {size:06}": size for size in sizes}
    async with AsyncExitStack() as stack:
        urls = {name: await database.create(url, f"search_{name}_{time.time_ns():x}") for name in (FLOOR, OURS)}
        peers = {name: await stack.enter_async_context(SYSTEMS[name].open(urls[name])) for name in urls}
        both = Comparison(data, peers, urls)
        await both.load(users)
        console.print(await both.latencies("Search, median", users, rounds))
        large = {user: size for user, size in users.items() if size > EXACT_SCAN_LIMIT}
        if large:
            console.print(await both.recall(large, min(rounds, 100)))
        console.print(await both.throughput(min(users, key=lambda user: abs(users[user] - 600))))
        if store:
            others = max(0, store - sum(users.values())) // SMALL_USER
            await both.load({f"other {number:06}": SMALL_USER for number in range(others)})
            console.print(await both.latencies(f"Search in a store of {store:,}, median", users, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder with memories.jsonl and questions.jsonl; made up if not given"
    )
    parser.add_argument(
        "--url", help="PostgreSQL URL of a role that may create databases; by default an embedded server"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 600, 2000, 5000, 50_000])
    parser.add_argument("--store", type=int, default=0, help="memories of the big store; by default there is none")
    parser.add_argument("--rounds", type=int, default=200, help="searches per user and system (default: %(default)s)")
    options = parser.parse_args()
    with database.server(options.url) as url:
        asyncio.run(run(url, Data.of(options.data), options.sizes, options.store, options.rounds))


if __name__ == "__main__":
    main()
