"""What the Model Context Protocol costs, on a PostgreSQL of its own.

**Searches**: ``search_memories`` over ``/mcp`` beside ``GET /memories/search``, from as many bare connections, in turn,
for hosts of the revision 2026-07-28 and for older ones. **Start**: seconds from the start of ``openmem mcp`` to its
answer to ``tools/list``, and seconds of processor time. **Together**: hosts that each start ``openmem mcp`` on one
embedded store and add memories at the same time, all of which must be found.

    python -m benchmarks.mcp [--seconds 5] [--rounds 3] [--connections 32] [--hosts 4] [--adds 250]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil
from mcp import Client
from mcp.types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp.types.version import LATEST_MODERN_VERSION
from rich.console import Console
from rich.table import Table

from openmem import Memory
from tests.mcp.hosts import answer, command
from tests.server.harness import Process
from tests.servers import Server

from .server import MEMORIES, USER, Wire, fact, question, request

LIMIT: Final = 8
INITIALIZE: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}
LIST: Final = (
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
)

console = Console(width=110)


def plain_search(number: int) -> bytes:
    return request("GET", f"/memories/search?q={question(number).replace(' ', '+')}&user_id={USER}&limit={LIMIT}")


def tool_call(number: int, *, modern: bool) -> bytes:
    params: dict[str, Any] = {
        "name": "search_memories",
        "arguments": {"query": question(number), "limit": LIMIT},
    }
    headers = {"X-User-Id": USER, "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    if modern:
        params["_meta"] = {PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION, CLIENT_CAPABILITIES_META_KEY: {}}
        headers |= {
            "MCP-Protocol-Version": LATEST_MODERN_VERSION,
            "Mcp-Method": "tools/call",
            "Mcp-Name": "search_memories",
        }
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


KINDS: Final[dict[str, Callable[[int], bytes]]] = {
    "GET /memories/search": plain_search,
    "/mcp, 2026-07-28": lambda number: tool_call(number, modern=True),
    "/mcp, older": lambda number: tool_call(number, modern=False),
}


async def load(port: int, make: Callable[[int], bytes], connections: int, seconds: float) -> list[float]:
    """Milliseconds of each request of this many connections that ask one after the other."""
    numbers = itertools.count()
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        wire = Wire(port)
        while time.perf_counter() < end:
            began = time.perf_counter()
            status, body = await wire.ask(make(next(numbers)))
            assert status == 200, body
            assert b'"isError":true' not in body, body
            times.append((time.perf_counter() - began) * 1000)
        wire.abort()

    await asyncio.gather(*(one() for _ in range(connections)))
    return times


def searches(rounds: int, connections: int, seconds: float) -> None:
    server = Server()
    server.start()
    try:
        url = server.create_database()
        with Memory(url=url, embedder="hashing") as memory:
            memory.add_many([{"content": fact(number), "user_id": USER} for number in range(MEMORIES)])
        with Process("--port", "0", "--mcp", "--log-level", "warning", OMP_POSTGRES_URL=url) as process:
            port = int(process.url.rpartition(":")[2])
            times: dict[str, list[float]] = {kind: [] for kind in KINDS}
            rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for number in range(-1, rounds):
                for kind, make in KINDS.items():
                    found = asyncio.run(load(port, make, connections, seconds if number >= 0 else 1))
                    if number >= 0:
                        times[kind] += found
                        rates[kind].append(len(found) / seconds)
    finally:
        server.remove()
    table = Table("search of 8", "p50 ms", "p95 ms", "searches/s", "p50 ratio", title=f"{connections} connections")
    base = statistics.median(times["GET /memories/search"])
    for kind, found in times.items():
        middle = statistics.median(found)
        late = statistics.quantiles(found, n=20)[-1]
        rate = statistics.median(rates[kind])
        table.add_row(kind, f"{middle:.1f}", f"{late:.1f}", f"{rate:.0f}", f"{middle / base:.2f}\u00d7")
    console.print(table)


def start(rounds: int) -> None:
    host = command("--path", "/nonexistent")
    pipe = subprocess.PIPE
    for _ in range(rounds):
        began = time.perf_counter()
        process = subprocess.Popen([host.command, *host.args[2:]], env=host.env, stdin=pipe, stdout=pipe, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"{json.dumps(message)}\n" for message in (INITIALIZE, *LIST)))
        process.stdin.flush()
        process.stdout.readline()
        names = [tool["name"] for tool in json.loads(process.stdout.readline())["result"]["tools"]]
        seconds = time.perf_counter() - began
        used = psutil.Process(process.pid).cpu_times()
        process.communicate()
        console.print(
            f"start to tools/list ({len(names)} tools): {seconds:.2f} s, of the processor {used[0] + used[1]:.2f} s"
        )


def together(hosts: int, adds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="om-") as name:
        Path(name).chmod(0o711)
        path = Path(name, "store")
        parameters = command("--path", str(path), "--user", "crowd")

        async def one(number: int) -> None:
            async with Client(parameters) as client:
                for index in range(adds):
                    await answer(client, "add_memory", content=f"note {number}-{index}")

        async def main() -> None:
            await asyncio.gather(*(one(number) for number in range(hosts)))

        began = time.perf_counter()
        asyncio.run(main())
        seconds = time.perf_counter() - began
        with Memory("local", path=path, embedder="hashing") as memory:
            contents = {record.content for record in memory.iterate("crowd")}
        wanted = {f"note {number}-{index}" for number in range(hosts) for index in range(adds)}
        console.print(
            f"{hosts} hosts \u00d7 {adds} adds: {len(wanted & contents)} of {len(wanted)} found, {seconds:.0f} s"
        )
        assert contents == wanted


def main() -> None:
    parser = argparse.ArgumentParser(description="What the Model Context Protocol costs.")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--adds", type=int, default=250)
    given = parser.parse_args()
    start(given.rounds)
    searches(given.rounds, given.connections, given.seconds)
    together(given.hosts, given.adds)


if __name__ == "__main__":
    main()
