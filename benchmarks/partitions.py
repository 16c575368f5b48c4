"""What dividing the tables by bucket costs on one machine, and what a memory takes of it.

A database for each number of partitions, none among them, all with the same memories: users of 100. The tables are
converted by the statement in `docs/scaling.md`, which is read from there. The databases take turns. The CPU time is
that of the server's processes, and the memory what one connection has for itself at the end; both are read from
``/proc``, so this needs Linux and a server on the same machine.

    python -m benchmarks.partitions [--data DIR] [--memories 300000] [--partitions 0 16 64]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from . import database, measures
from .datasets import Data
from .peers import SYSTEMS, Peer
from .peers.openmem import SCHEMA

OURS: Final = "openmem"
SIZE: Final = 100
ROUNDS: Final = 5
CALLS: Final = 400
PAGE: Final = Path(__file__).parents[1] / "docs" / "scaling.md"
SIZES: Final = """
    SELECT sum(pg_table_size(oid)) / sum(reltuples), sum(pg_indexes_size(oid)) / sum(reltuples)
    FROM pg_class
    WHERE relkind = 'r' AND $1::text::regclass IN (oid, (SELECT inhparent FROM pg_inherits WHERE inhrelid = oid))
"""

console = Console()


def conversion(partitions: int) -> str:
    """The statement of the documentation, for this benchmark's schema and so many partitions."""
    sql: str
    [sql] = [block for block in re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL) if "PARTITION BY" in block]
    for old, new in (("openmem.", f"{SCHEMA}."), ("0..15", f"0..{partitions - 1}"), ("S 16,", f"S {partitions},")):
        assert old in sql, old
        sql = sql.replace(old, new)
    return sql


class Backends:
    """The server's processes for one database."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    @classmethod
    async def of(cls, url: str) -> Backends:
        async with database.connected(url) as connection:
            rows = await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
        return cls([row["pid"] for row in rows])

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self._pids) / 1e9

    def memory(self) -> float:
        """Megabytes that each has for itself."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self._pids]
        return statistics.mean(int(re.findall(r"RssAnon:\s+(\d+) kB", text)[0]) for text in status) / 1000


async def measured(peers: dict[str, Peer], urls: dict[str, str], data: Data, users: Sequence[str]) -> Table:
    chance = random.Random(0)
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    backends = {}
    for name, peer in peers.items():
        for question in data.questions[:20]:
            await peer.search(question.text, users[0])
            await peer.add(question.text, "warm-up")
        backends[name] = await Backends.of(urls[name])
    for _ in range(ROUNDS):
        calls = [(chance.choice(data.questions).text, chance.choice(users)) for _ in range(CALLS)]
        for name, peer in peers.items():
            before = backends[name].cpu()
            for text, user in calls:
                began = time.perf_counter()
                await peer.search(text, user)
                waits[name].append(time.perf_counter() - began)
            between = backends[name].cpu()
            for text, user in calls:
                await peer.add(text, user)
            cpu[name, "search"].append((between - before) / CALLS * 1000)
            cpu[name, "add"].append((backends[name].cpu() - between) / CALLS * 1000)
    table = Table(title=f"{len(users):,} users of {SIZE} memories, milliseconds and megabytes")
    for heading in ("partitions", "search, CPU", "search, p50", "add, CPU", "memory of a connection"):
        table.add_column(heading, justify="right")
    for name in peers:
        searching, adding = (statistics.median(cpu[name, verb]) for verb in ("search", "add"))
        p50 = measures.latency(waits[name]).p50
        table.add_row(name, f"{searching:.2f}", f"{p50:.2f}", f"{adding:.2f}", f"{backends[name].memory():.0f}")
    return table


async def sizes(url: str) -> Table:
    table = Table("table", "row, bytes", "its indexes, bytes", title="What a row takes")
    async with database.connected(url) as connection:
        await connection.execute("ANALYZE")
        for name in ("memories", "audit_log"):
            row, indexes = await connection.fetchrow(SIZES, f"{SCHEMA}.{name}")
            table.add_row(name, f"{row:.0f}", f"{indexes:.0f}")
    return table


async def run(url: str, data: Data, memories: int, partitions: Sequence[int]) -> None:
    users = [f"user {number:06}" for number in range(memories // SIZE)]
    async with AsyncExitStack() as stack:
        urls: dict[str, str] = {}
        for number in partitions:
            name = str(number or "none")
            urls[name] = await database.create(url, f"partitions_{name}_{time.time_ns():x}")
            async with SYSTEMS[OURS].open(urls[name]) as peer:
                await peer.search("makes the tables", "nobody")
            if number:
                async with database.connected(urls[name]) as connection:
                    await connection.execute(conversion(number))
        peers = {name: await stack.enter_async_context(SYSTEMS[OURS].open(urls[name])) for name in urls}
        with Progress(console=console) as progress:
            task = progress.add_task("Loading", total=memories * len(peers))
            await database.fill(
                peers, urls, data, dict.fromkeys(users, SIZE), lambda count: progress.advance(task, count)
            )
        console.print(await measured(peers, urls, data, users))
        console.print(await sizes(next(iter(urls.values()))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with memories.jsonl and questions.jsonl")
    parser.add_argument(
        "--url", help="PostgreSQL URL of a role that may create databases; by default an embedded server"
    )
    parser.add_argument("--memories", type=int, default=300_000, help="in each database (default: %(default)s)")
    parser.add_argument("--partitions", type=int, nargs="+", default=[0, 16, 64], help="0 for none")
    options = parser.parse_args()
    with database.server(options.url) as url:
        asyncio.run(run(url, Data.of(options.data), options.memories, options.partitions))


if __name__ == "__main__":
    main()
