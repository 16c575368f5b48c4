"""Agents that remember in one conversation and recall in the next, through the MCP client of their framework."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("agents")

from agents import Agent, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from agents.testing import ScriptedModel, assistant_message, function_call

from openmem.delimited import NOTICE

from ..server.harness import Running
from .hosts import command


@pytest.fixture(autouse=True)
def no_tracing() -> None:
    set_tracing_disabled(True)


Server: TypeAlias = MCPServerStdio | MCPServerStreamableHttp


def calls(tool: str, **arguments: Any) -> list[Any]:
    return [function_call(tool, arguments, call_id=uuid.uuid4().hex)]


async def conversation(server: Server, text: str, *steps: list[Any]) -> list[str]:
    """What the tools returned in a conversation in which the model follows a script."""
    model = ScriptedModel([*steps, [assistant_message("done")]])
    agent: Agent[Any] = Agent(name="cook", model=model, mcp_servers=[server])
    await Runner.run(agent, text)
    given = model.calls[-1].input
    assert isinstance(given, list)
    return [str(dict(item)["output"]) for item in given if dict(item).get("type") == "function_call_output"]


async def remember_and_recall(first: Server, second: Server) -> None:
    async with first:
        [told] = await conversation(first, "I am vegan.", calls("add_memory", content="Maya is vegan", tags=["diet"]))
        assert "Remembered as [" in told
    async with second:
        found, context = await conversation(
            second,
            "What can I cook?",
            calls("search_memories", query="what does Maya eat?"),
            calls("get_context", query="what does Maya eat?", token_budget=300),
        )
        assert "Maya is vegan" in found
        assert NOTICE in context
        assert "Maya is vegan" in context


def test_over_standard_input_and_output(store: Path) -> None:
    host = command("--path", str(store), "--user", "agent")

    def server() -> Server:
        return MCPServerStdio(
            {"command": host.command, "args": host.args, "env": host.env or {}, "cwd": "/"},
            client_session_timeout_seconds=60,
        )

    asyncio.run(remember_and_recall(server(), server()))


def test_over_http(open_server: Running) -> None:
    def server() -> Server:
        return MCPServerStreamableHttp(
            {"url": f"{open_server.url}/mcp", "headers": {"X-User-Id": "agent"}, "timeout": 60},
            client_session_timeout_seconds=60,
        )

    asyncio.run(remember_and_recall(server(), server()))
