"""What a host does: it starts or reaches a server, lists tools and calls them, with the protocol's own client."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, TypeAlias

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Implementation, TextContent

from openmem import AsyncMemory
from openmem.access import Grants
from openmem.mcp.server import CALL_SECONDS, MemoryServer
from openmem.mcp.stdio import Backend, OneUser

Mode: TypeAlias = Literal["legacy", "auto"]

MODES: Final[tuple[Mode, ...]] = ("legacy", "auto")
"""Hosts that shake hands first, and those of the revision 2026-07-28."""

HOST: Final = Implementation(name="some host", version="1")


def text_of(result: CallToolResult) -> str:
    """What the model sees."""
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


async def refusal(client: Client, tool: str, arguments: Mapping[str, Any]) -> str:
    """The sentence with which a call is refused."""
    result = await client.call_tool(tool, dict(arguments))
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


async def answer(client: Client, tool: str, **arguments: Any) -> Any:
    """The data of a call that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return result.structured_content


@asynccontextmanager
async def in_process(
    memory: AsyncMemory,
    user_id: str = "maya",
    *,
    mode: Mode = "auto",
    grants: list[str] | None = None,
    app: str | None = None,
    for_chatgpt: bool = False,
    call_seconds: float = CALL_SECONDS,
    **options: Any,
) -> AsyncIterator[Client]:
    """A client of a server in this process, over a memory that the caller closes."""
    callers = OneUser(Backend(lambda: memory, user_id, Grants.parse(grants), app))
    server = MemoryServer(callers, for_chatgpt=for_chatgpt, call_seconds=call_seconds).build()
    async with Client(server, mode=mode, client_info=HOST, **options) as client:
        yield client


def command(*arguments: str, **variables: str) -> StdioServerParameters:
    """How a host starts ``openmem mcp``, with an environment that has little else."""
    names = ("HOME", "PATH", "PYTHONPATH", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    return StdioServerParameters(
        command=sys.executable,
        args=["-W", "error", "-m", "openmem.cli", "mcp", *arguments],
        env=environment | {"OMP_USER": "maya", "OPENMEM_EMBEDDER": "hashing"} | variables,
        cwd="/",
    )


@asynccontextmanager
async def over_http(url: str, headers: Mapping[str, str], *, mode: Mode = "auto") -> AsyncIterator[Client]:
    """A client of a server at a URL."""
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=60, trust_env=False) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, client_info=HOST) as client,
    ):
        yield client
