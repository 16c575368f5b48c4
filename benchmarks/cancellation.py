"""How soon a cancelled verb gives its caller, its connection and its server back.

Each verb of `AsyncMemory` is cancelled many times in each of three situations: while its statement
waits for a lock, while it waits for the only connection of the pool, and while the network is
frozen. The server is a PostgreSQL of its own, and a proxy is the network.

    python -m benchmarks.cancellation [--rounds 200]

Columns, in milliseconds: ``caller``, from the cancellation to `CancelledError` in the awaiter;
``server``, until the server has stopped the statement; ``connection``, until the next call's
statement has reached the server over the pool's only connection.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from openmem import AsyncMemory
from tests.faults.harness import USER, VERBS, Database, Verb, cancelled_after, until
from tests.proxy import Proxy
from tests.servers import Server

Measure = Callable[[Database, Proxy, Verb, int], Coroutine[Any, Any, dict[str, list[float]]]]


async def soon(condition: Callable[[], bool]) -> None:
    """Wait for a condition that the server is asked for."""
    await until(condition, within=10)


def client(db: Database, proxy: Proxy) -> AsyncMemory:
    return db.async_open(url=db.through(proxy.port), pool_max_size=1)


async def waiting_for_a_lock(db: Database, proxy: Proxy, verb: Verb, rounds: int) -> dict[str, list[float]]:
    caller, server, connection = [], [], []
    async with client(db, proxy) as mem:
        with db.locked():
            call = asyncio.ensure_future(verb(mem, db.id))
            await soon(lambda: db.waiting() == 1)
            for _ in range(rounds):
                began = time.perf_counter()
                caller.append(await cancelled_after(call))
                await soon(lambda: db.running() == 0)
                server.append(time.perf_counter() - began)
                call = asyncio.ensure_future(verb(mem, db.id))
                await soon(lambda: db.waiting() == 1)
                connection.append(time.perf_counter() - began)
            await cancelled_after(call)
    return {"caller": caller, "server": server, "connection": connection}


async def waiting_for_a_connection(db: Database, proxy: Proxy, verb: Verb, rounds: int) -> dict[str, list[float]]:
    caller = []
    async with client(db, proxy) as mem:
        with db.locked():
            busy = asyncio.create_task(mem.list(USER))
            await soon(lambda: db.waiting() == 1)
            for _ in range(rounds):
                call = asyncio.ensure_future(verb(mem, db.id))
                await asyncio.sleep(0.003)
                caller.append(await cancelled_after(call))
        await busy
    return {"caller": caller}


async def on_a_frozen_network(db: Database, proxy: Proxy, verb: Verb, rounds: int) -> dict[str, list[float]]:
    caller, connection = [], []
    async with client(db, proxy) as mem:
        for _ in range(rounds):
            proxy.freeze()
            call = asyncio.ensure_future(verb(mem, db.id))
            await asyncio.sleep(0.003)
            caller.append(await cancelled_after(call))
            proxy.thaw()
            began = time.perf_counter()
            await mem.list(USER)
            connection.append(time.perf_counter() - began)
    return {"caller": caller, "connection": connection}


SITUATIONS: dict[str, Measure] = {
    "waits for a lock": waiting_for_a_lock,
    "pool exhausted": waiting_for_a_connection,
    "network frozen": on_a_frozen_network,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="cancellations per verb and situation")
    rounds = parser.parse_args().rounds
    table = Table("situation", "verb", *(f"{what} {how}" for what in COLUMNS for how in ("p50", "max")))
    server = Server()
    server.start()
    try:
        for situation, measure in SITUATIONS.items():
            for name, verb in VERBS.items():
                url = server.create_database()
                db = Database(url)
                with Proxy(urlsplit(url).port or 0) as proxy:
                    measured = asyncio.run(measure(db, proxy, verb if name != "delete" else delete_nothing, rounds))
                db.check_audited()
                db.close()
                table.add_row(situation, name, *(cell for what in COLUMNS for cell in shown(measured.get(what))))
    finally:
        server.remove()
    Console(width=130).print(table)


COLUMNS = ("caller", "server", "connection")


def shown(times: list[float] | None) -> tuple[str, str]:
    if not times:
        return "", ""
    return f"{statistics.median(times) * 1000:.1f}", f"{max(times) * 1000:.1f}"


async def delete_nothing(mem: AsyncMemory, id: str) -> None:
    """A deletion that can be repeated: it waits for the same locks and finds no memory."""
    await mem.delete(f"{id}-gone")


if __name__ == "__main__":
    main()
