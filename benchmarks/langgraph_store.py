"""`OpenmemStore` beside the stores of LangGraph: `PostgresStore` and `InMemoryStore`, on one machine in one run.

``python -m benchmarks.langgraph_store [--items N] [--url URL]``

All have the same embedder. What is timed is one call after another of the blocking interface, as medians. The end shows
what a filter by a number finds, and how long the pages of a search are.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres import PostgresStore

from openmem.embedders.hashing import HashingEmbedder
from openmem.integrations.langgraph import OpenmemStore

from . import database

NAMESPACE: Final = ("memories", "maya")
WORDS: Final = [
    "tea",
    "rye",
    "cello",
    "Porto",
    "hazelnuts",
    "train",
    "garden",
    "letters",
    "winter",
    "piano",
    "lake",
    "bread",
]
CALLS: Final = 200
PAGE: Final = 5
OFFSETS: Final = (0, 5, 10, 20, 40)

embedder: Final = HashingEmbedder()


@contextmanager
def opened(url: str) -> Iterator[dict[str, BaseStore]]:
    """The stores, each on a database of its own."""
    index: Any = {"dims": embedder.dim, "embed": lambda texts: embedder.embed(list(texts)), "fields": ["text"]}
    with ExitStack() as stack:
        theirs = stack.enter_context(
            PostgresStore.from_conn_string(asyncio.run(database.create(url, "theirs")), index=index)
        )
        theirs.setup()
        ours = stack.enter_context(
            OpenmemStore(url=asyncio.run(database.create(url, "ours")), embedder=embedder, fields=["text"], audit="off")
        )
        yield {"OpenmemStore": ours, "PostgresStore": theirs, "InMemoryStore": InMemoryStore(index=index)}


def median(call: Callable[[int], object], count: int) -> float:
    """The median of one call, in milliseconds."""
    times = []
    for number in range(count):
        began = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def measure(store: BaseStore, items: int) -> list[float]:
    """The medians of put, get, search and filtered search."""
    chosen = random.Random(7)
    texts = [" ".join(chosen.sample(WORDS, 5)) + f" {number}" for number in range(items)]

    def search(number: int, **filters: Any) -> object:
        return store.search(NAMESPACE, query=texts[number * 7 % items], limit=10, **filters)

    return [
        median(lambda number: store.put(NAMESPACE, str(number), {"text": texts[number], "n": number}), items),
        median(lambda number: store.get(NAMESPACE, str(number * 7 % items)), CALLS),
        median(search, CALLS),
        median(lambda number: search(number, filter={"n": {"$gt": items // 2}}), CALLS),
    ]


def faults(store: BaseStore) -> tuple[int, list[int]]:
    """How many of 50 numbers over 9 are found among 0 to 59, and the sizes of pages of a search."""
    for number in range(60):
        store.put(("numbers",), str(number), {"text": f"number {number}", "n": number})
    found = store.search(("numbers",), filter={"n": {"$gt": 9}}, limit=100)
    pages = [len(store.search(("numbers",), query="number", limit=PAGE, offset=offset)) for offset in OFFSETS]
    return len(found), pages


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.langgraph_store", description="Compare stores.")
    parser.add_argument("--items", type=int, default=2000, help="in the namespace (default: %(default)s)")
    parser.add_argument("--url", help="of a server whose role may create databases; by default an embedded one")
    options = parser.parse_args()
    with database.server(options.url) as url, opened(url) as stores:
        print("| store | put, ms | get, ms | search, ms | filtered search, ms | `$gt` finds of 50 | pages of 5 |")
        print("|---|---|---|---|---|---|---|")
        for name, store in stores.items():
            times = " | ".join(f"{took:.2f}" for took in measure(store, options.items))
            found, pages = faults(store)
            print(f"| {name} | {times} | {found} | {', '.join(map(str, pages))} |", flush=True)


if __name__ == "__main__":
    main()
