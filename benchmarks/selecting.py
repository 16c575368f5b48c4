"""What keys, filters, counting, deleting and restoring cost, each beside the verb that it resembles.

The calls of each pair take turns, so that a machine that is busy with something else slows both alike; the ratio
counts. Without ``--url`` the ``local`` provider serves.

    python -m benchmarks.selecting [--url URL] [--embedder NAME] [--rounds 200] [--large 50000]
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from openmem import Memory

from .datasets import invented

MEMORIES: Final = 600
"""Of the user whose searches are measured."""
ONE_IN: Final = 10
"""A filter keeps one memory of so many."""
BATCH: Final = 5_000

Call = Callable[[], object]


class Users:
    """The users of a measurement, in the store of one client."""

    def __init__(self, memory: Memory, progress: Progress) -> None:
        group = secrets.token_hex(4)
        self.memory = memory
        self.searched = f"selecting {group} searched"
        self.writer = f"selecting {group} writer"
        self.large = f"selecting {group} large"
        self._progress = progress
        data = invented()
        self._texts = [memory.content for memory in data.memories]
        self.questions = [question.text for question in data.questions]

    def records(self, user: str, count: int) -> Iterator[dict[str, Any]]:
        """So many memories, of which one in `ONE_IN` has the tag and the topic that filters ask for."""
        for number in range(count):
            is_kept = number % ONE_IN == 0
            yield {
                "content": f"{self._texts[number % len(self._texts)]} ({number})",
                "user_id": user,
                "scope": f"notes/{number % 7}",
                "tags": ["kept" if is_kept else "other"],
                "metadata": {"topic": "kept" if is_kept else f"topic {number % 50}", "number": number},
            }

    def fill(self, user: str, count: int) -> float:
        """Give a user so many memories; the seconds that it took."""
        began = time.perf_counter()
        task = self._progress.add_task(f"Storing {count:,}", total=count)
        records = list(self.records(user, count))
        for start in range(0, count, BATCH):
            self.memory.add_many(records[start : start + BATCH])
            self._progress.advance(task, min(BATCH, count - start))
        self._progress.remove_task(task)
        return time.perf_counter() - began


def pairs(users: Users) -> Iterator[tuple[str, Call, str, Call]]:
    """Two calls each that resemble each other, with their names; each makes another call every time."""
    memory, user = users.memory, users.searched
    questions = iter(users.questions * 1_000)
    numbers = iter(range(10**9))
    yield (
        f"search, {MEMORIES} memories",
        lambda: memory.search(next(questions), user),
        "filtered by metadata",
        lambda: memory.search(next(questions), user, where={"topic": "kept"}),
    )
    yield (
        f"search, {MEMORIES} memories",
        lambda: memory.search(next(questions), user),
        "filtered by a tag",
        lambda: memory.search(next(questions), user, tags=["kept"]),
    )

    def add() -> object:
        return memory.add(content=f"{next(questions)} ({next(numbers)})", user_id=users.writer)

    def put(key: str) -> object:
        return memory.put(key=key, content=f"{next(questions)} ({next(numbers)})", user_id=users.writer)

    yield "add", add, "put, a new key", lambda: put(f"key {next(numbers)}")
    yield "add", add, "put, in place of another", lambda: put("key")
    known = memory.put(key="known", content="Maya is vegan", user_id=users.writer)
    yield (
        "get",
        lambda: memory.get(known.id),
        "get_by_key",
        lambda: memory.get_by_key("known", users.writer),
    )


def compare(users: Users, rounds: int) -> Table:
    """The table of medians."""
    table = Table("beside", "ms", "verb", "ms", "ratio", title="One call at a time, medians")
    for beside, one, verb, other in pairs(users):
        for call in (one, other):
            for _ in range(5):
                call()
        taken: list[tuple[float, float]] = []
        for number in range(rounds):
            first, second = (one, other) if number % 2 else (other, one)
            times = {first: _seconds(first), second: _seconds(second)}
            taken.append((times[one], times[other]))
        usual, measured = (1_000 * statistics.median(times) for times in zip(*taken, strict=True))
        table.add_row(beside, f"{usual:.2f}", verb, f"{measured:.2f}", f"{measured / usual:.2f}")
    return table


def sums(users: Users, count: int) -> Table:
    """What reads or removes all memories of a user with many."""
    memory, user = users.memory, users.large
    stored = users.fill(user, count)
    table = Table("verb", "ms", "a second", title=f"A user of {count:,} memories")
    table.add_row("add_many", f"{1_000 * stored:,.0f}", f"{count / stored:,.0f}")
    for name, call in (
        ("count", lambda: memory.count(user)),
        ("count, filtered by metadata", lambda: memory.count(user, where={"topic": "kept"})),
        ("facets by scope", lambda: memory.facets(user, by="scope")),
        ("facets by tag", lambda: memory.facets(user, by="tag")),
        ("facets by metadata", lambda: memory.facets(user, by="metadata.topic")),
    ):
        times = [_seconds(call) for _ in range(11)]
        table.add_row(name, f"{1_000 * statistics.median(times):,.1f}", "")
    kept = list(memory.iterate(user))
    removed = _seconds(lambda: memory.delete_many(user, everything=True))
    table.add_row("delete_many", f"{1_000 * removed:,.0f}", f"{count / removed:,.0f}")
    restored = _seconds(lambda: memory.restore(kept))
    table.add_row("restore", f"{1_000 * restored:,.0f}", f"{count / restored:,.0f}")
    return table


def _seconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="PostgreSQL with pgvector; users named 'selecting …' get memories")
    parser.add_argument("--embedder", default="wordllama")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--large", type=int, default=50_000)
    options = parser.parse_args()
    console = Console(width=100)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
        settings: dict[str, Any] = {"url": options.url} if options.url else {"provider": "local", "path": path}
        with Memory(**settings, embedder=options.embedder) as memory, Progress(console=console) as progress:
            users = Users(memory, progress)
            users.fill(users.searched, MEMORIES)
            console.print(compare(users, options.rounds))
            console.print(sums(users, options.large))


if __name__ == "__main__":
    main()
