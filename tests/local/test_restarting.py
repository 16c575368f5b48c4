"""Connections to a server that is gone: when another is started, and when not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.drivers.asyncio import AsyncPorts
from openmem.drivers.blocking import BlockingPorts
from openmem.ports import Ports, run_blocking
from openmem.ports.postgres import PostgresIO, PostgresSettings, Statement
from openmem.providers.postgres.local import RestartingIO
from openmem.providers.postgres.session import DIRECT

from ..servers import Server
from .conftest import Home

HOLD = """
import sys, fasteners
with fasteners.InterProcessLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("make_ports", [BlockingPorts, AsyncPorts])
def test_connections_follow_a_server_that_is_started_elsewhere(make_ports: Any) -> None:
    """On Windows it gets another port."""
    first, second = Server(), Server()
    first.start()
    starts = 0

    async def connections(ports: Ports, server: Server) -> PostgresIO:
        parameters = await ports.connection_parameters(server.url(), "url", ignores_environment=True)
        return await ports.postgres(
            PostgresSettings(
                parameters=parameters, session=DIRECT, pooled=False, pool_min_size=0, pool_max_size=4,
                pool_timeout=5, connect_timeout=5, timeout=5,
            )
        )  # fmt: skip

    async def main() -> None:
        ports: Ports = make_ports()

        async def restart() -> PostgresIO:
            nonlocal starts
            starts += 1
            second.start()
            return await connections(ports, second)

        port = Statement("SHOW port", (), lambda rows: str(rows[0][0]))
        io = RestartingIO(await connections(ports, first), restart, ports)
        assert await io.execute(port) == str(first.port)
        first.crash()
        said = [await tried(io, port), await tried(io, port)]
        assert said[-1] == str(second.port)
        assert starts == 1
        await io.close()
        await ports.close()

    async def tried(io: PostgresIO, statement: Statement[str]) -> str:
        try:
            return await io.execute(statement)
        except ProviderError as error:
            return error.code

    try:
        run_blocking(main()) if make_ports is BlockingPorts else asyncio.run(main())
    finally:
        first.remove()
        second.remove()


@pytest.mark.parametrize("facade", [Memory, AsyncMemory])
def test_a_full_pool_starts_nothing(home: Home, facade: Any) -> None:
    """Another process holds the lock that starting would have to wait for."""

    async def main() -> None:
        memory = facade("local", path=home.path, embedder="hashing", pool_max_size=1, pool_timeout=0.2)
        await asyncio.to_thread(finished, memory, "list", "u") if facade is Memory else await memory.list("u")
        holder = hold(home)
        with psycopg.connect(home.cluster.url()) as other:
            other.execute("LOCK TABLE openmem.memories")
            busy = call(memory)
            await asyncio.to_thread(wait_for_a_waiting_statement, home)
            began = time.monotonic()
            with pytest.raises(ProviderError, match="of the pool were busy"):
                await call(memory)
            assert time.monotonic() - began < 10
        await busy
        holder.communicate(timeout=10)
        await asyncio.to_thread(memory.close) if facade is Memory else await memory.close()

    def call(memory: Any) -> asyncio.Task[Any]:
        adding = asyncio.to_thread(finished, memory, "add") if facade is Memory else finished(memory, "add")
        return asyncio.create_task(adding)

    def finished(memory: Any, verb: str, *user: str) -> Any:
        return memory.add(content="one more", user_id="u") if verb == "add" else memory.list(*user)

    asyncio.run(main())


def hold(home: Home) -> subprocess.Popen[bytes]:
    """A process that has the lock which starting needs, until its input ends."""
    command = [sys.executable, "-c", HOLD, str(home.path / "mutex.lock")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


def wait_for_a_waiting_statement(home: Home) -> None:
    """Until a statement waits for a lock."""
    with psycopg.connect(home.cluster.url(), autocommit=True) as looking:
        while not looking.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            time.sleep(0.01)
