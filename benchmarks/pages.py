"""The memory browser: how fast pages are, and whether large stores are as fast as small ones.

Two stores on one PostgreSQL: one with a user of `FEW` memories and `FEW` other users, one with a user of
``--memories`` and ``--users`` others. Each page is asked for over HTTP on loopback, the two stores taking turns; the
column ``ratio`` is the median of the ratios of such pairs. With ``--browser`` a Chromium tells, too, when it first
painted the page of memories.

    python -m benchmarks.pages [--memories 50000] [--users 1000] [--rounds 30] [--browser]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from openmem import Memory
from openmem.server import OmpServerConfig
from tests.browser.chromium import launched, missing
from tests.browser.tabs import Look, tab
from tests.server.harness import running
from tests.servers import Server

FEW: Final = 100
BATCH: Final = 1_000
FIRST_PAINT: Final = (
    "new Promise(resolve => new PerformanceObserver(found => resolve(found.getEntries()[0].startTime))"
    ".observe({type: 'paint', buffered: true}))"
)
SMALL, LARGE = "small", "large"
PAGES: Final = (
    ("memories", "/ui/memories?user_id={user}"),
    ("memories, oldest first", "/ui/memories?user_id={user}&order=oldest"),
    ("memories, of a scope", "/ui/memories?user_id={user}&scope=s7/**"),
    ("memories, of a tag", "/ui/memories?user_id={user}&tags=t3"),
    ("memory", "/ui/memory?user_id={user}&id={id}"),
    ("edit", "/ui/edit?user_id={user}&id={id}"),
    ("search", "/ui/search?user_id={user}&q=where+did+Maya+go"),
    ("users", "/ui/users"),
    ("users, by prefix", "/ui/users?prefix=user+9"),
)


@dataclass
class Store:
    """A database, the user whose pages are asked for, and one of the user's memories."""

    url: str
    user: str
    id: str


def fill(server: Server, memories: int, users: int, user: str) -> Store:
    """A store with a user of so many memories, and so many users of one each."""
    url = server.create_database()
    with Memory(url=url, embedder="hashing") as memory:
        for begin in range(0, memories, BATCH):
            memory.add_many(
                [
                    {
                        "content": f"On day {n} Maya went to place {n % 977} with person {n % 311}",
                        "user_id": user,
                        "scope": f"s{n % 20}/p{n % 200}",
                        "tags": [f"t{n % 10}"],
                    }
                    for n in range(begin, min(begin + BATCH, memories))
                ]
            )
        memory.add_many([{"content": f"note {n}", "user_id": f"user {n}"} for n in range(users)])
        [first, *_] = memory.list(user, limit=1)
    # As autovacuum does, which these servers do not have.
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    return Store(url, user, first.id)


def milliseconds(client: httpx.Client, address: str) -> float:
    """How long the answer takes to its last byte."""
    began = time.perf_counter()
    client.get(address).raise_for_status()
    return (time.perf_counter() - began) * 1000


def compare(clients: Sequence[httpx.Client], stores: Sequence[Store], rounds: int) -> Table:
    """A row for each page: medians of both stores, and the median ratio."""
    table = Table("page", "small, ms", "large, ms", "ratio", title=f"{rounds} rounds, medians")
    for name, pattern in PAGES:
        addresses = [pattern.format(user=store.user, id=store.id) for store in stores]
        for client, address in zip(clients, addresses, strict=True):
            milliseconds(client, address)
        pairs = [
            [milliseconds(client, address) for client, address in zip(clients, addresses, strict=True)]
            for _ in range(rounds)
        ]
        medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
        ratio = statistics.median(large / small for small, large in pairs)
        table.add_row(name, *(f"{median:.1f}" for median in medians), f"{ratio:.2f}")
    return table


def first_paint(addresses: Sequence[tuple[str, Store]], rounds: int) -> Table:
    """When Chromium first painted the page of memories, from the click on."""
    table = Table("store", "first paint, ms", title="page of memories in Chromium, medians")
    with launched() as browser:
        for url, store in addresses:
            paints: list[float] = []
            for _ in range(rounds):
                with tab(browser, Look(), url) as seen:
                    seen.open("/ui/users")
                    seen.open(f"/ui/memories?user_id={store.user}")
                    paints.append(seen.page.evaluate(FIRST_PAINT))
            table.add_row(store.user, f"{statistics.median(paints):.0f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memories", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--browser", action="store_true", help="also measure the first paint in Chromium")
    options = parser.parse_args()
    console = Console()
    server = Server()
    server.start()
    try:
        stores = [fill(server, FEW, FEW, SMALL), fill(server, options.memories, options.users, LARGE)]
        configs = [
            OmpServerConfig(settings={"url": store.url, "embedder": "hashing"}, ui=True, loopback_only=True)
            for store in stores
        ]
        with running(configs[0]) as small, running(configs[1]) as large:
            with small.client() as first, large.client() as second:
                console.print(compare([first, second], stores, options.rounds))
            reason = missing()
            if options.browser and reason is None:
                console.print(first_paint([(small.url, stores[0]), (large.url, stores[1])], options.rounds))
            elif options.browser:
                console.print(f"no browser: {reason}")
    finally:
        server.remove()


if __name__ == "__main__":
    main()
