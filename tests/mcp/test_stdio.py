"""``openmem mcp`` as a process of its own, as hosts start it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from mcp import Client

from openmem import Memory
from openmem.mcp.tools import TOOLS
from openmem.server import OmpServerConfig

from ..server.harness import running
from .hosts import HOST, MODES, Mode, answer, command, over_http, refusal, text_of

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def lines(*messages: object) -> str:
    return "".join(f"{json.dumps(message)}\n" for message in messages)


def started(*arguments: str, before: Sequence[str] = (), **variables: str) -> subprocess.Popen[str]:
    """The command, with pipes; behind another one that starts it."""
    host = command(*arguments, **variables)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*before, host.command, *host.args], env=host.env, cwd="/", stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.parametrize("mode", MODES)
def test_every_tool_and_a_second_process(store: Path, mode: Mode) -> None:
    user = f"stdio-{mode}"
    parameters = command("--path", str(store), "--user", user, "--chatgpt")

    async def first() -> str:
        async with Client(parameters, mode=mode, client_info=HOST) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == list(TOOLS)
            id: str = (await answer(client, "add_memory", content="Maya is vegan", tags='["diet"]'))["id"]
            erased = (await answer(client, "add_memory", content="Maya eats eggs"))["id"]
            await answer(client, "delete_memory", id=erased)
            await answer(client, "update_memory", id=id, content="Maya is vegetarian")
            assert "no such argument" in await refusal(client, "search_memories", {"query": "q", "user_id": "root"})
            return id

    async def second(id: str) -> None:
        async with Client(parameters, mode=mode, client_info=HOST) as client:
            for tool in ("search_memories", "get_context", "search"):
                assert "Maya is vegetarian" in text_of(await client.call_tool(tool, {"query": "what does Maya eat?"}))
            for tool in ("get_memory", "fetch"):
                assert "Maya is vegetarian" in text_of(await client.call_tool(tool, {"id": id}))
            assert [item["app"] for item in (await answer(client, "list_memories"))["memories"]] == ["some host"]
            assert (await client.read_resource("memory://recent")).contents

    asyncio.run(second(asyncio.run(first())))


def test_a_host_a_terminal_and_a_server_see_the_same(store: Path) -> None:
    terminal = command("--path", str(store))
    settings = {"path": store, "embedder": "hashing"}

    async def main() -> None:
        with running(OmpServerConfig(provider="local", settings=settings, mcp=True)) as server:
            async with (
                Client(command("--path", str(store), "--user", "shared")) as host,
                over_http(server.url, {"X-User-Id": "shared"}) as other,
            ):
                await answer(host, "add_memory", content="tea in the morning")
                await answer(other, "add_memory", content="coffee at noon")
                shell = ["-m", "openmem.cli", "add", "wine at night", "--path", str(store), "--user", "shared"]
                await asyncio.to_thread(
                    subprocess.run, [terminal.command, *shell], env=terminal.env, check=True, timeout=60
                )
                for client in (host, other):
                    listed = (await answer(client, "list_memories"))["memories"]
                    assert [item["content"] for item in listed] == [
                        "wine at night",
                        "coffee at noon",
                        "tea in the morning",
                    ]
                with Memory("local", path=store, embedder="hashing") as memory:
                    assert memory.count("shared") == 3

    asyncio.run(main())


def test_hosts_that_write_at_the_same_moment_lose_nothing(store: Path) -> None:
    hosts, each = 3, 15
    parameters = command("--path", str(store), "--user", "crowd")

    async def one(number: int) -> set[str]:
        async with Client(parameters) as client:
            contents = [f"note {number}-{index}" for index in range(each)]
            added = await asyncio.gather(*(answer(client, "add_memory", content=content) for content in contents))
            return {item["id"] for item in added}

    async def main() -> set[str]:
        return set[str]().union(*await asyncio.gather(*(one(number) for number in range(hosts))))

    ids = asyncio.run(main())
    assert len(ids) == hosts * each
    with Memory("local", path=store, embedder="hashing") as memory:
        records = memory.list("crowd", limit=500)
        assert {record.id for record in records} == ids
        assert len({record.content for record in records}) == hosts * each


def test_nothing_is_opened_for_a_list(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = started("--path", str(data), "--read-only")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines(INITIALIZE, INITIALIZED, LIST))
    process.stdin.flush()
    first, second = (json.loads(process.stdout.readline()) for _ in range(2))
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")
    assert first["result"]["serverInfo"]["name"] == "openmem"
    names = [tool["name"] for tool in second["result"]["tools"]]
    assert names == ["search_memories", "get_context", "list_memories", "get_memory"]
    assert not data.exists()


def test_a_list_imports_nothing_of_the_core() -> None:
    program = (
        "import sys, openmem.mcp.stdio, openmem.cli.commands.mcp; "
        "print(*[m for m in sys.modules if m.startswith(('openmem.models', 'openmem.operations', 'openmem.drivers', "
        "'openmem.providers', 'openmem.async_memory', 'psycopg', 'asyncpg'))])"
    )
    host = command()
    done = subprocess.run([host.command, "-c", program], env=host.env, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_it_ends_when_it_is_told() -> None:
    process = started("--provider", "memory")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines(INITIALIZE))
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (-signal.SIGTERM, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", ""], "--user: whose memories?"),
        (["--grant", "all"], "grants: 'all' is not of the form"),
        (["--timezone", "nowhere"], "bad config: --timezone"),
    ],
)
def test_wrong_settings_are_told_at_once(arguments: list[str], message: str) -> None:
    process = started(*arguments, OMP_USER="" if "--user" in arguments else "maya")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert message in errors


def test_settings_that_only_the_backend_refuses_are_a_sentence() -> None:
    async def main() -> None:
        async with Client(command("--provider", "nonesuch")) as client:
            assert len((await client.list_tools()).tools) == 7
            assert "nonesuch" in await refusal(client, "list_memories", {})

    asyncio.run(main())
