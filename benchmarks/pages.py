"""The memory browser: how fast pages are, and whether large stores are as fast as small ones.

Two stores on one PostgreSQL: one with a user of `FEW_MEMORIES` and `FEW_USERS` other users, one with a user of
``--memories`` and ``--users`` others. So many are in the small one that each list fills a page in both: a page shows as
much of one as of the other. Each page is asked for over HTTP on loopback, the two stores taking turns; the column
``ratio`` is the median of the ratios of such pairs. With ``--browser`` a Chromium tells, too, when it first painted the
page of memories, and an empty page of the same server: no page can be faster than that one.

    python -m benchmarks.pages [--memories 50000] [--users 1000] [--rounds 30] [--browser]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus

import httpx
import psycopg
from fastapi import FastAPI
from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from openmem import Memory
from openmem.server import OmpServerConfig, create_app
from tests.browser.chromium import launched, missing
from tests.browser.tabs import Look, tab
from tests.server.harness import running
from tests.servers import Server

from .datasets import invented

FEW_MEMORIES: Final = 1_000
FEW_USERS: Final = 100
CHANGED: Final = 60
"""Memories that are changed after they were stored."""
BATCH: Final = 1_000
EMPTY: Final = "<!doctype html><html lang=en><title>Empty</title><p>Nothing."
FIRST_PAINT: Final = (
    "new Promise(resolve => new PerformanceObserver(found => resolve(found.getEntries()[0].startTime))"
    ".observe({type: 'paint', buffered: true}))"
)
SMALL, LARGE = "small", "large"
PAGES: Final = (
    ("memories", "/ui/memories?user_id={user}"),
    ("memories, oldest first", "/ui/memories?user_id={user}&order=oldest"),
    ("memories, last changed first", "/ui/memories?user_id={user}&order=updated"),
    ("memories, one scope of 20", "/ui/memories?user_id={user}&scope=s7/**"),
    ("memories, one tag of 10", "/ui/memories?user_id={user}&tags=t3"),
    ("memory", "/ui/memory?user_id={user}&id={id}"),
    ("audit of a memory", "/ui/memory_audit?user_id={user}&id={id}"),
    ("edit", "/ui/edit?user_id={user}&id={id}"),
    ("search", "/ui/search?user_id={user}&q={question}"),
    ("overview, by scope", "/ui/facets?user_id={user}"),
    ("overview, by tag", "/ui/facets?user_id={user}&by=tag"),
    ("pictures", "/ui/pictures?user_id={user}"),
    ("audit", "/ui/audit?user_id={user}"),
    ("users", "/ui/users"),
    ("users, by prefix", "/ui/users?prefix=user+00"),
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
    texts = [memory.content for memory in invented().memories]
    with Memory(url=url, embedder="hashing") as memory:
        for begin in range(0, memories, BATCH):
            memory.add_many(
                [
                    {
                        "content": f"{texts[n % len(texts)]} ({n})",
                        "user_id": user,
                        "scope": f"s{n % 20}/p{n % 200}",
                        "tags": [f"t{n % 10}"],
                    }
                    for n in range(begin, min(begin + BATCH, memories))
                ]
            )
        memory.add_many([{"content": f"note {n}", "user_id": f"user {n:04}"} for n in range(users)])
        first, *others = memory.list(user, limit=CHANGED)
        for other in others:
            memory.update(other.id, confidence=0.5)
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
    question = quote_plus(invented().questions[0].text)
    for name, pattern in PAGES:
        addresses = [pattern.format(user=store.user, id=store.id, question=question) for store in stores]
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
    """When Chromium first painted a page, from the click on."""
    table = Table("page", "first paint, ms", "at best, ms", title=f"in Chromium, {rounds} rounds, medians")
    pages = [("an empty one", addresses[0][0], "/empty")] + [
        (f"memories, {store.user} store", url, f"/ui/memories?user_id={store.user}") for url, store in addresses
    ]
    paints: dict[str, list[float]] = {name: [] for name, _, _ in pages}
    with launched() as browser:
        for _ in range(rounds):
            for name, url, path in pages:
                with tab(browser, Look(), url) as seen:
                    seen.open("/ui/users")
                    seen.open(path)
                    paints[name].append(seen.page.evaluate(FIRST_PAINT))
    for name, times in paints.items():
        table.add_row(name, f"{statistics.median(times):.0f}", f"{min(times):.0f}")
    return table


async def empty(request: Request) -> HTMLResponse:
    """A page of nothing."""
    return HTMLResponse(EMPTY)


def served(config: OmpServerConfig) -> FastAPI:
    """A server with an empty page."""
    app = create_app(config)
    app.router.routes.insert(0, Route("/empty", empty))
    return app


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
        stores = [fill(server, FEW_MEMORIES, FEW_USERS, SMALL), fill(server, options.memories, options.users, LARGE)]
        configs = [
            OmpServerConfig(settings={"url": store.url, "embedder": "hashing"}, ui=True, loopback_only=True)
            for store in stores
        ]
        small_app, large_app = map(served, configs)
        with running(configs[0], small_app) as small, running(configs[1], large_app) as large:
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
