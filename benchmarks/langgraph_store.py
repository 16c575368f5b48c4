"""`OpenmemStore` beside the stores of LangGraph: `PostgresStore` and `InMemoryStore`, on one machine in one run.

``python -m benchmarks.langgraph_store [--items N] [--url URL]``

All have the same embedder. What is timed is one call after another of the blocking interface. Each call is made on all
stores in turn, beginning with another one each time, so that all meet the same moments of a busy machine. The table has
medians; below it stands in how many of the pairs of calls `OpenmemStore` was quicker than `PostgresStore`. The end of a
row shows what a filter by a number finds, and how long the pages of a search are.
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


def timed(stores: dict[str, BaseStore], call: Callable[[BaseStore, int], object], count: int) -> dict[str, list[float]]:
    """The times of a call on each store, in milliseconds, `count` times on all in turn."""
    times: dict[str, list[float]] = {name: [] for name in stores}
    names = list(stores)
    for number in range(count):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            began = time.perf_counter()
            call(stores[name], number)
            times[name].append((time.perf_counter() - began) * 1000)
    return times


def measure(stores: dict[str, BaseStore], items: int) -> dict[str, dict[str, list[float]]]:
    """The times of put, get, search and filtered search on each store."""
    chosen = random.Random(7)
    texts = [" ".join(chosen.sample(WORDS, 5)) + f" {number}" for number in range(items)]

    def search(store: BaseStore, number: int, **filters: Any) -> object:
        return store.search(NAMESPACE, query=texts[number * 7 % items], limit=10, **filters)

    def put(store: BaseStore, number: int) -> None:
        store.put(NAMESPACE, str(number), {"text": texts[number], "n": number})

    def filtered(store: BaseStore, number: int) -> object:
        return search(store, number, filter={"n": {"$gt": items // 2}})

    return {
        "put": timed(stores, put, items),
        "get": timed(stores, lambda store, number: store.get(NAMESPACE, str(number * 7 % items)), CALLS),
        "search": timed(stores, search, CALLS),
        "filtered search": timed(stores, filtered, CALLS),
    }


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
        times = measure(stores, options.items)
        print("| store | put, ms | get, ms | search, ms | filtered search, ms | `$gt` finds of 50 | pages of 5 |")
        print("|---|---|---|---|---|---|---|")
        for name, store in stores.items():
            medians = " | ".join(f"{statistics.median(of[name]):.2f}" for of in times.values())
            found, pages = faults(store)
            print(f"| {name} | {medians} | {found} | {', '.join(map(str, pages))} |", flush=True)
        for verb, of in times.items():
            pairs = list(zip(of["OpenmemStore"], of["PostgresStore"], strict=True))
            won = sum(ours < theirs for ours, theirs in pairs)
            print(f"{verb}: OpenmemStore is quicker in {won} of {len(pairs)} pairs")


if __name__ == "__main__":
    main()
