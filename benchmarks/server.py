"""omp-server under load, on a PostgreSQL of its own and on loopback only.

Three tables. **Throughput**: `POST /memories` and `GET /memories/search` on 64 connections, against
the same verbs through `AsyncMemory` with 64 tasks; the two take turns, so that the ratios mean
something on a busy machine too. **Overload**: four times the requests a second that the server has
just shown to manage, from four times as many connections; a request that finds none of them free is
not sent. **Soak** (``--soak MINUTES`` instead of the other two): every verb at a steady rate, where
one request in a hundred is given up by its client half sent, or sent and unanswered.

    python -m benchmarks.server [--seconds 5] [--rounds 3] [--connections 64] [--clients 256]
    python -m benchmarks.server --soak 10 [--rate 100]

The load comes from bare sockets of this process, so that little of the time is the generator's; what
it costs is the column ``generator``, in milliseconds of processor time a request, beside the server's.
PostgreSQL's own work is in neither. Latencies are in milliseconds from sending to the last byte.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, urlsplit

import psutil
import psycopg
from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from openmem import AsyncMemory
from openmem.server import OmpServerConfig, create_app
from openmem.server.serve import listen, serve, url_of
from tests.servers import Server

USER = "load"
MEMORIES = 500
OVERLOAD = 4
REPLY_TIMEOUT = 30.0
GIVEN_UP = 0.01
REPORTS = 20
SUBJECTS = ("Maya", "her sister", "the whole team", "a neighbour", "the doctor")
FACTS = (
    "moved to Lisbon in the spring and opened a small bakery near the river",
    "prefers dark mode, short answers, and examples in Python",
    "planned a trip to Norway for August, but the ferry was fully booked",
    "is allergic to hazelnuts and eats no meat",
    "plays the cello on Thursdays and swims on Sundays",
)
QUESTIONS = ("where is the bakery", "what can I cook for her", "which theme does she like", "any plans for August")

console = Console(width=130)


def fact(number: int) -> str:
    return f"{SUBJECTS[number % 5]} {FACTS[number // 5 % 5]}, note {number}"


def question(number: int) -> str:
    return f"{QUESTIONS[number % 4]} {number % 50}"


# Requests as bytes.


def request(method: str, target: str, body: object = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


def add_request(number: int, user: str = USER) -> bytes:
    return request("POST", "/memories", {"content": fact(number), "user_id": user})


def search_request(number: int, user: str = USER) -> bytes:
    return request("GET", f"/memories/search?q={quote(question(number))}&user_id={user}")


class Wire:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the reply."""
        async with asyncio.timeout(REPLY_TIMEOUT):
            reader = await self.send(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length or 0))
            if b"connection: close" in head.lower():
                self.abort()
            return int(head[9:12]), body

    async def send(self, part: bytes) -> asyncio.StreamReader:
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(part)
        return self._reader

    def abort(self) -> None:
        """Break the connection off; the next request opens another one."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


# The server, in a process of its own.


def serve_here(url: str, embedder: str) -> None:
    """What the child process does: omp-server, with one more path that counts its tasks."""

    async def tasks(request: Request) -> JSONResponse:
        return JSONResponse(len(asyncio.all_tasks()))

    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("openmem.access").setLevel(logging.INFO)
    config = OmpServerConfig(port=0, settings={"url": url, "embedder": embedder}, metrics=True)
    app = create_app(config)
    app.router.routes.append(Route("/tasks", tasks))
    listener = listen(config.host, config.port)
    print(url_of(listener), flush=True)
    serve(app, config, listener, print)


@dataclass(frozen=True)
class Serving:
    """The server under load."""

    port: int
    process: psutil.Process
    database: str

    def cpu(self) -> float:
        """Seconds of processor time it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def serving(database: str, embedder: str) -> Iterator[Serving]:
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", "--serve", database, "--embedder", embedder],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert child.stdout is not None
            port = urlsplit(child.stdout.readline().strip()).port
            assert port is not None
            yield Serving(port, psutil.Process(child.pid), database)
        finally:
            child.terminate()
            child.wait()
            log.seek(0)
            problems = [line for line in log if line.startswith((b"ERROR", b"Traceback"))]
            if problems or child.returncode:
                console.print(f"the server ended with {child.returncode} and logged {problems[:5]}")


# Load and its figures.


@dataclass
class Load:
    """What came of a load: latencies by status, how long it lasted, and what it cost."""

    times: dict[int, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    server_cpu: float = 0.0
    own_cpu: float = 0.0
    unsent: int = 0

    def note(self, status: int, seconds: float) -> None:
        self.times.setdefault(status, []).append(seconds)

    def join(self, other: Self) -> None:
        for status, times in other.times.items():
            self.times.setdefault(status, []).extend(times)
        self.seconds += other.seconds
        self.server_cpu += other.server_cpu
        self.own_cpu += other.own_cpu

    @property
    def count(self) -> int:
        return sum(map(len, self.times.values()))

    @property
    def accepted(self) -> list[float]:
        return [seconds for status, times in self.times.items() if status < 300 for seconds in times]

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return len(self.accepted) / self.seconds

    def check(self, *statuses: int) -> None:
        assert set(self.times) <= set(statuses), {status: len(times) for status, times in self.times.items()}


@contextmanager
def measured(load: Load, server: Serving | None) -> Iterator[None]:
    began, own, theirs = time.perf_counter(), time.process_time(), server.cpu() if server else 0.0
    yield
    load.seconds = time.perf_counter() - began
    load.own_cpu = time.process_time() - own
    load.server_cpu = (server.cpu() if server else 0.0) - theirs


async def closed(workers: list[Callable[[int], Awaitable[int]]], seconds: float, server: Serving | None) -> Load:
    """Each worker calls again as soon as it is answered."""
    load = Load()
    numbers = iter(range(sys.maxsize))
    until = time.perf_counter() + seconds

    async def work(call: Callable[[int], Awaitable[int]]) -> None:
        while (began := time.perf_counter()) < until:
            status = await call(next(numbers))
            load.note(status, time.perf_counter() - began)

    with measured(load, server):
        await asyncio.gather(*map(work, workers))
    return load


async def opened(server: Serving, make: Callable[[int], bytes], rate: float, seconds: float, clients: int) -> Load:
    """`rate` requests a second, whether or not those before are answered, on `clients` connections at most."""
    load = Load()
    idle: list[Wire] = []
    made = 0
    running: set[asyncio.Task[None]] = set()

    async def one(wire: Wire, number: int) -> None:
        began = time.perf_counter()
        status, _ = await wire.ask(make(number))
        load.note(status, time.perf_counter() - began)
        idle.append(wire)

    with measured(load, server):
        began, sent = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            for number in range(sent, int(rate * elapsed)):
                sent += 1
                if not idle and made == clients:
                    load.unsent += 1
                    continue
                if not idle:
                    made += 1
                    idle.append(Wire(server.port))
                task = asyncio.create_task(one(idle.pop(), number))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(0.005)
        await asyncio.gather(*running)
    for wire in idle:
        wire.abort()
    return load


def percentile(times: list[float], percent: int) -> str:
    if not times:
        return ""
    times = times * 2 if len(times) == 1 else times
    return f"{statistics.quantiles(times, n=100, method='inclusive')[percent - 1] * 1000:.1f}"


# Throughput and overload.


async def throughput_and_overload(server: Serving, options: argparse.Namespace) -> None:
    wires = [Wire(server.port) for _ in range(options.connections)]
    capacity: dict[str, float] = {}
    table = Table(
        "verb", "through", "requests/s", "p50 ms", "p99 ms", "ratio p50", "ratio p99", "server", "generator",
        title=f"{options.connections} connections",
    )  # fmt: skip
    async with AsyncMemory(url=server.database, embedder=options.embedder) as memory:
        for number in range(MEMORIES):
            await memory.add(content=fact(number), user_id=USER)

        async def add(number: int) -> int:
            await memory.add(content=fact(number), user_id=f"{USER}-direct")
            return 201

        async def search(number: int) -> int:
            await memory.search(question(number), USER)
            return 200

        verbs: dict[str, tuple[Callable[[int], Awaitable[int]], Callable[[int], bytes]]] = {
            "add": (add, lambda number: add_request(number, f"{USER}-http")),
            "search": (search, search_request),
        }
        for verb, (direct, make) in verbs.items():

            def over(wire: Wire, make: Callable[[int], bytes] = make) -> Callable[[int], Awaitable[int]]:
                async def call(number: int) -> int:
                    return (await wire.ask(make(number)))[0]

                return call

            calls = {
                "AsyncMemory": ([direct] * options.connections, None),
                "HTTP": ([over(wire) for wire in wires], server),
            }
            loads = {name: Load() for name in calls}
            for workers, of in calls.values():
                await closed(workers, 1.0, of)
            for _ in range(options.rounds):
                for name, (workers, of) in calls.items():
                    loads[name].join(await closed(workers, options.seconds, of))
            for name, load in loads.items():
                load.check(200, 201)
                base = loads["AsyncMemory"].accepted
                ratios = [
                    f"{float(percentile(load.accepted, percent)) / float(percentile(base, percent)):.2f}"
                    for percent in (50, 99)
                ]
                table.add_row(
                    verb,
                    name,
                    f"{load.rate:.0f} ({load.rate / loads['AsyncMemory'].rate:.2f})",
                    percentile(load.accepted, 50),
                    percentile(load.accepted, 99),
                    *ratios,
                    f"{load.server_cpu / load.count * 1000:.2f}" if name == "HTTP" else "",
                    f"{load.own_cpu / load.count * 1000:.2f}",
                )
            capacity[verb] = loads["HTTP"].rate
    for wire in wires:
        wire.abort()
    console.print(table)

    clients = options.clients or OVERLOAD * options.connections
    table = Table(
        "verb", "sent/s", "not sent", "accepted/s", "refused 503", "accepted p50 ms", "accepted p99 ms",
        "refused p99 ms", "server", "generator",
        title=f"overload: {OVERLOAD} times as much, on {clients} connections",
    )  # fmt: skip
    for verb, (_, make) in verbs.items():
        load = await opened(server, make, capacity[verb] * OVERLOAD, options.seconds * options.rounds, clients)
        load.check(200, 201, 503)
        refused = load.times.get(503, [])
        table.add_row(
            verb,
            f"{load.count / load.seconds:.0f}",
            str(load.unsent),
            f"{load.rate:.0f} ({load.rate / capacity[verb]:.2f})",
            f"{len(refused) / load.count:.0%}",
            percentile(load.accepted, 50),
            percentile(load.accepted, 99),
            percentile(refused, 99),
            f"{load.server_cpu / load.count * 1000:.2f}",
            f"{load.own_cpu / load.count * 1000:.2f}",
        )
    console.print(table)


# Soak.


class Soak:
    """Clients of every verb, some of which go away in the middle."""

    def __init__(self, server: Serving, rate: float, connections: int) -> None:
        self._server = server
        self._pause = connections / rate
        self._connections = connections
        self.statuses: Counter[int] = Counter()
        self.given_up = 0

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._client(until))

    async def _client(self, until: float) -> None:
        wire = Wire(self._server.port)
        ids: list[str] = []
        while time.monotonic() < until:
            began = time.monotonic()
            call = self._next(ids)
            if random.random() < GIVEN_UP:
                await self._give_up(wire, call)
            else:
                status, body = await wire.ask(call)
                self.statuses[status] += 1
                if status == 201:
                    ids.append(json.loads(body)["id"])
            await asyncio.sleep(max(0.0, random.uniform(0, 2 * self._pause) - (time.monotonic() - began)))
        wire.abort()

    async def _give_up(self, wire: Wire, call: bytes) -> None:
        self.given_up += 1
        if random.random() < 0.5:
            await wire.send(call[: random.randrange(1, len(call))])
        else:
            await wire.send(call)
        await asyncio.sleep(random.uniform(0, 0.02))
        wire.abort()

    def _next(self, ids: list[str]) -> bytes:
        number = random.randrange(1_000_000)
        user = f"{USER}-{number % 100}"
        draw = random.random()
        if draw < 0.30:
            return add_request(number, user)
        if draw < 0.60:
            return search_request(number, user)
        if draw < 0.70:
            return request("POST", "/context", {"query": question(number), "user_id": user})
        if draw < 0.80:
            return request("GET", f"/memories?user_id={user}&limit=20")
        if draw < 0.85:
            return request("GET", f"/audit?user_id={user}&limit=20")
        path = f"/memories/{random.choice(ids) if ids else uuid.uuid4().hex}"
        if draw < 0.90:
            return request("GET", path)
        if draw < 0.95:
            return request("PATCH", path, {"tags": [str(number)]})
        if ids:
            path = f"/memories/{ids.pop(random.randrange(len(ids)))}"
        return request("DELETE", path)


@dataclass(frozen=True)
class Reading:
    """What the server holds at one moment."""

    rss: float
    sockets: int
    tasks: int
    backends: int


async def read(server: Serving) -> Reading:
    wire = Wire(server.port)
    _, tasks = await wire.ask(request("GET", "/tasks"))
    reading = Reading(
        server.process.memory_info().rss / 2**20,
        len(server.process.net_connections("tcp")),
        int(tasks),
        await asyncio.to_thread(backends, server.database),
    )
    wire.abort()
    return reading


def backends(database: str) -> int:
    with psycopg.connect(database) as connection:
        [count] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone() or (0,)
    return int(count)


async def soak(server: Serving, options: argparse.Namespace) -> None:
    seconds = options.soak * 60
    clients = Soak(server, options.rate, 32)
    load = asyncio.create_task(clients.run(seconds))
    began = time.monotonic()
    readings: list[Reading] = []

    async def report() -> None:
        reading = await read(server)
        readings.append(reading)
        answered = " ".join(f"{status}:{count}" for status, count in sorted(clients.statuses.items()))
        console.print(
            f"{time.monotonic() - began:5.0f} s  RSS {reading.rss:6.1f} MiB  sockets {reading.sockets:3}  "
            f"tasks {reading.tasks:3}  PostgreSQL {reading.backends:2}  given up {clients.given_up:5}  {answered}"
        )

    while not load.done():
        await report()
        await asyncio.wait({load}, timeout=max(1.0, seconds / REPORTS))
    await load
    await asyncio.sleep(1)
    await report()
    warm = readings[max(1, len(readings) // 5)]
    console.print(f"RSS at the end: {readings[-1].rss / warm.rss - 1:+.1%} of what it was after a fifth of the time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--clients", type=int, help="connections of the overload; by default four times as many")
    parser.add_argument("--embedder", default="wordllama")
    parser.add_argument("--soak", type=float, nargs="?", const=10.0, metavar="MINUTES", help="10 if not given")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second of the soak")
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve_here(options.serve, options.embedder)
        return
    postgres = Server()
    postgres.start()
    try:
        with serving(postgres.create_database(), options.embedder) as server:
            run = throughput_and_overload if options.soak is None else soak
            asyncio.run(run(server, options))
    finally:
        postgres.remove()


if __name__ == "__main__":
    main()
