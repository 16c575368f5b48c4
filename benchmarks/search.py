"""Search and add against hand-written SQL, by the number of memories a user has.

The floor is what somebody would write by hand: a table with a ``vector(256)`` column, an exact scan
ordered by cosine distance and limited to one user, a prepared statement on asyncpg's default pool,
the query embedded in place. openmem and the floor take turns, query by query, in one process on one
server, so that the ratios mean something on a busy machine too; the times do not.

The texts are made by gluing together two memories of a data folder (see ``recall.py``), chosen at
random but the same in every run, and loaded in bulk, a minute between one memory and the next.
Searches are the folder's questions. ``--store`` adds users of 100 memories until the store has that
many, and measures the same users once before and once after.

    python benchmarks/search.py --data DIR
    python benchmarks/search.py --data DIR --sizes 500 50000 --store 250000
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import asyncpg
from recall import read
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from openmem import AsyncMemory
from openmem._ids import bucket_of, new_memory_id
from openmem.embedders.wordllama import WordLlamaEmbedder
from openmem.providers.postgres.embedded import Lease

TASKS = 32
BATCH = 2_000
WARM_UP = 10
ROUNDS_OF_THROUGHPUT = 3
SMALL_USER = 100
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = "search_benchmark"
LOAD = f"""
    INSERT INTO {SCHEMA}.memories (id, user_id, bucket, created_at, content, embedding_model, embedding)
    SELECT $1, $2, $3, $4, $5, $6, $7::text::halfvec
"""
FLOOR_SCHEMA = """
    DROP TABLE IF EXISTS floor;
    CREATE TABLE floor (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id text NOT NULL,
        content text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        embedding vector(256) NOT NULL
    );
    CREATE INDEX ON floor (user_id);
"""
FLOOR_SEARCH = """
    SELECT id, content, created_at, 1 - (embedding <=> $2) AS score
    FROM floor WHERE user_id = $1 ORDER BY embedding <=> $2 LIMIT 10
"""
FLOOR_ADD = "INSERT INTO floor (user_id, content, embedding) VALUES ($1, $2, $3) RETURNING id, created_at"

Batch: TypeAlias = list[tuple[str, str, datetime, list[float]]]

console = Console()
embedder = WordLlamaEmbedder()


@dataclass(frozen=True)
class Data:
    """Texts and questions to draw from."""

    texts: list[str]
    questions: list[str]

    @classmethod
    def of(cls, folder: Path) -> Data:
        texts = [row["content"] for row in read(folder / "memories.jsonl")]
        questions = [row["question"] for row in read(folder / "questions.jsonl")]
        random.Random(1).shuffle(questions)
        return cls(texts, questions)

    def memories(self, user: str, count: int) -> Iterator[str]:
        """`count` texts, for one user always the same."""
        chance = random.Random(user)
        for _ in range(count):
            yield f"{chance.choice(self.texts)} {chance.choice(self.texts)}"


class Floor:
    """Hand-written SQL on asyncpg's default pool."""

    name = "floor"

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def prepare(self) -> None:
        await self._pool.execute(FLOOR_SCHEMA)

    async def load(self, batch: Batch) -> None:
        rows = [(user, text, moment, vector) for user, text, moment, vector in batch]
        async with self._pool.acquire() as connection:
            await connection.copy_records_to_table(
                "floor", records=rows, columns=["user_id", "content", "created_at", "embedding"]
            )

    async def settle(self) -> None:
        await self._pool.execute("VACUUM ANALYZE floor")

    async def search(self, query: str, user: str) -> object:
        [vector] = embedder.embed([query])
        return await self._pool.fetch(FLOOR_SEARCH, user, vector)

    async def add(self, content: str, user: str) -> object:
        [vector] = embedder.embed([content])
        return await self._pool.fetchrow(FLOOR_ADD, user, content, vector)


class OpenMem:
    """`AsyncMemory` with its defaults: hybrid ranking, audit log, a pool of ten."""

    name = "openmem"

    def __init__(self, memory: AsyncMemory, pool: asyncpg.Pool) -> None:
        self._memory = memory
        self._pool = pool

    async def load(self, batch: Batch) -> None:
        rows = [
            (new_memory_id(user), user, bucket_of(user), moment, text, embedder.model, str(vector))
            for user, text, moment, vector in batch
        ]
        await self._pool.executemany(LOAD, rows)

    async def settle(self) -> None:
        await self._pool.execute(f"VACUUM ANALYZE {SCHEMA}.memories")

    async def search(self, query: str, user: str) -> object:
        return await self._memory.search(query, user)

    async def add(self, content: str, user: str) -> object:
        return await self._memory.add(content=content, user_id=user)


@asynccontextmanager
async def both(url: str) -> AsyncIterator[tuple[Floor, OpenMem]]:
    """The two systems, in one database."""
    async with (
        AsyncMemory(url=url, schema=SCHEMA, embedder=embedder) as memory,
        asyncpg.create_pool(url, init=_use_vectors) as pool,
    ):
        floor = Floor(pool)
        await floor.prepare()
        yield floor, OpenMem(memory, pool)


async def load(systems: Sequence[Floor | OpenMem], data: Data, users: dict[str, int]) -> None:
    """Give every user so many memories, in both systems."""
    total = sum(users.values())
    with Progress(console=console) as progress:
        task = progress.add_task(f"Loading {total:,} memories", total=total)
        for batch in _batches(data, users):
            for system in systems:
                await system.load(batch)
            progress.update(task, advance=len(batch))
    for system in systems:
        await system.settle()


async def latencies(
    systems: Sequence[Floor | OpenMem], data: Data, users: Sequence[str], rounds: int
) -> dict[tuple[str, str], float]:
    """The median milliseconds of a search, per system and user; systems and users take turns."""
    taken: dict[tuple[str, str], list[float]] = {(system.name, user): [] for system in systems for user in users}
    for number in range(-WARM_UP, rounds):
        question = data.questions[number % len(data.questions)]
        for user in users:
            for system in systems:
                started = time.perf_counter()
                await system.search(question, user)
                if number >= 0:
                    taken[system.name, user].append((time.perf_counter() - started) * 1000)
    return {key: statistics.median(times) for key, times in taken.items()}


async def throughput(call: Callable[[str, str], Awaitable[object]], texts: Sequence[str], user: str) -> float:
    """Calls a second for one user, `TASKS` at a time."""
    waiting = iter(texts)

    async def work() -> None:
        for text in waiting:
            await call(text, user)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(TASKS)))
    return len(texts) / (time.perf_counter() - started)


def report(title: str, sizes: dict[str, int], taken: dict[tuple[str, str], float]) -> Table:
    table = Table(title=title)
    for heading in ("memories of the user", "floor ms", "openmem ms", "ratio"):
        table.add_column(heading, justify="right")
    for user, size in sizes.items():
        ours, floor = taken["openmem", user], taken["floor", user]
        table.add_row(f"{size:,}", f"{floor:.2f}", f"{ours:.2f}", f"{ours / floor:.2f}")
    return table


async def compare_throughput(floor: Floor, ours: OpenMem, data: Data, user: str) -> Table:
    table = Table(title=f"{TASKS} tasks, calls a second")
    for heading in ("verb", "floor", "openmem", "ratio"):
        table.add_column(heading, justify="right")
    texts = list(data.memories("throughput", 1000))
    for verb in ("add", "search"):
        speeds: dict[str, list[float]] = {"floor": [], "openmem": []}
        for number in range(ROUNDS_OF_THROUGHPUT):
            for system in (floor, ours):
                if verb == "add":
                    speed = await throughput(system.add, texts, f"writer {number}")
                else:
                    speed = await throughput(system.search, data.questions[:500], user)
                speeds[system.name].append(speed)
        ours_speed, floor_speed = (statistics.median(speeds[name]) for name in ("openmem", "floor"))
        table.add_row(verb, f"{floor_speed:,.0f}", f"{ours_speed:,.0f}", f"{ours_speed / floor_speed:.2f}")
    return table


async def run(url: str, data: Data, sizes: Sequence[int], store: int, rounds: int) -> None:
    users = {f"user of {size}": size for size in sizes}
    async with both(url) as (floor, ours):
        systems = (floor, ours)
        await load(systems, data, users)
        small = await latencies(systems, data, list(users), rounds)
        console.print(report("Search, median", users, small))
        middle = min(users, key=lambda user: abs(users[user] - 600))
        console.print(await compare_throughput(floor, ours, data, middle))
        if store:
            others = max(0, store - sum(users.values())) // SMALL_USER
            await load(systems, data, {f"other {number}": SMALL_USER for number in range(others)})
            big = await latencies(systems, data, list(users), rounds)
            console.print(report(f"Search in a store of {store:,}, median", users, big))


def _batches(data: Data, users: dict[str, int]) -> Iterator[Batch]:
    batch: list[tuple[str, str, datetime]] = []

    def embedded() -> Batch:
        vectors = embedder.embed([text for _, text, _ in batch])
        return [(*row, vector) for row, vector in zip(batch, vectors, strict=True)]

    for user, count in users.items():
        for number, text in enumerate(data.memories(user, count)):
            batch.append((user, text, FIRST + number * timedelta(minutes=1)))
            if len(batch) == BATCH:
                yield embedded()
                batch = []
    if batch:
        yield embedded()


async def _use_vectors(connection: asyncpg.Connection) -> None:
    """Let vectors travel in pgvector's binary format: dimensions, a zero, then big-endian floats."""
    await connection.set_type_codec(
        "vector",
        encoder=lambda vector: struct.pack(f">HH{len(vector)}f", len(vector), 0, *vector),
        decoder=lambda data: list(struct.unpack_from(f">{len(data) // 4 - 1}f", data, 4)),
        format="binary",
    )


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The URL of a server: the given one, or an embedded one in a temporary folder."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as directory:
        lease = Lease(f"{directory}/data")
        try:
            yield lease.acquire()
        finally:
            lease.release()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with memories.jsonl and questions.jsonl")
    parser.add_argument("--url", help="PostgreSQL URL of an empty database; by default an embedded server")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 600, 2000, 5000, 50_000])
    parser.add_argument("--store", type=int, default=0, help="memories of the big store; by default there is none")
    parser.add_argument("--rounds", type=int, default=200, help="searches per user and system (default: 200)")
    options = parser.parse_args()
    with server(options.url) as url:
        asyncio.run(run(url, Data.of(options.data), options.sizes, options.store, options.rounds))


if __name__ == "__main__":
    main()
