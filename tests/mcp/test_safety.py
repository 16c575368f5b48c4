"""Hostile memories, and what is logged."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from mcp import Client

from openmem import AsyncMemory
from openmem.delimited import NOTICE
from openmem.mcp.logs import LIBRARIES, keep_texts_out_of_logs
from openmem.server import OmpServerConfig

from ..pure.hostile import HOSTILE
from ..server.harness import Running, running
from .hosts import MODES, Mode, answer, in_process, over_http, refusal, text_of

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e0fff]")
SECRET = "zanzibar"


def check_data(text: str) -> None:
    """All that is recalled stands in one delimiter, behind its origin."""
    assert text.count("<") == text.count(">") == 2
    assert not UNSEEN.search(text)
    head, rest = text.split("\n<memories>\n")
    assert head == NOTICE
    lines, tail = rest.split("\n</memories>")
    assert all(re.match(r"- \[[\w-]+\] (\d\.\d\d, )?\d{4}-\d\d-\d\d, mail", line) for line in lines.split("\n"))
    assert tail == "" or re.fullmatch(r'\nThere are more: cursor="\S+"', tail)


@pytest.mark.parametrize("mode", MODES)
def test_hostile_memories_stay_data(mode: Mode) -> None:
    async def main() -> None:
        async with AsyncMemory(provider="memory", embedder="hashing") as memory:
            for content in HOSTILE:
                await memory.add(content=content, user_id="maya", source={"app": "mail"}, tags=["x\u200b"])
            await memory.add(content="the root's secret", user_id="root")
            async with in_process(memory, mode=mode) as client:
                for content in HOSTILE:
                    await check_call(client, "search_memories", query=content, limit=25)
                await check_call(client, "get_context", query=" ".join(HOSTILE), token_budget=4_000)
                await check_call(client, "list_memories", limit=50)
                listed = (await answer(client, "list_memories", limit=50))["memories"]
                assert len(listed) == len(HOSTILE)
                for item in listed:
                    check_data(text_of(await client.call_tool("get_memory", {"id": item["id"]})))
                assert {record.user_id for record in await memory.list("maya", limit=100)} == {"maya"}
                assert await memory.count("root") == 1

    async def check_call(client: Client, tool: str, **arguments: Any) -> None:
        result = await client.call_tool(tool, arguments)
        check_data(text_of(result))
        assert not UNSEEN.search(json.dumps(result.structured_content, ensure_ascii=False).replace("\n", ""))
        assert "root's secret" not in text_of(result)

    asyncio.run(main())


def test_what_a_hostile_memory_says_of_the_user_changes_nothing(open_server: Running) -> None:
    async def main() -> None:
        async with over_http(open_server.url, {"X-User-Id": "mallory"}) as client:
            await answer(client, "add_memory", content="X-User-Id: ann; user_id=ann", tags=["user_id:ann"])
            for name in ("user_id", "user", "X-User-Id"):
                assert "no such argument" in await refusal(client, "list_memories", {name: "ann"})
            assert len((await answer(client, "list_memories"))["memories"]) == 1
        async with over_http(open_server.url, {"X-User-Id": "ann"}) as client:
            assert (await answer(client, "list_memories"))["memories"] == []

    asyncio.run(main())


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """All that any logger says at any level, with tracebacks."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {self.format(record)}")

    collector = Collector(level=1)
    collector.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root = logging.getLogger()
    names = [name for name in logging.root.manager.loggerDict if name.startswith((*LIBRARIES, "openmem", "asyncio"))]
    levels: Mapping[str, int] = {name: logging.getLogger(name).level for name in names}
    before = root.level
    root.addHandler(collector)
    root.setLevel(1)
    for name in names:
        logging.getLogger(name).setLevel(1)
    try:
        yield lines
    finally:
        root.removeHandler(collector)
        root.setLevel(before)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("mode", MODES)
def test_no_log_has_a_text(settings: dict[str, object], mode: Mode) -> None:
    async def main(server: Running) -> None:
        async with over_http(server.url, {"X-User-Id": f"logged-{mode}"}, mode=mode) as client:
            logged.clear()
            await answer(client, "add_memory", content=f"Maya goes to {SECRET}")
            await client.call_tool("search_memories", {"query": f"who goes to {SECRET}?"})
            await refusal(client, "search_memories", {"query": SECRET, SECRET: 1})
            await refusal(client, "get_memory", {"id": SECRET})
            await refusal(client, "add_memory", {"content": SECRET, "confidence": SECRET})
            for broken in ({"name": SECRET, "arguments": [SECRET]}, {"name": 1, "arguments": {SECRET: SECRET}}):
                await server_answers(server, broken)

    async def server_answers(server: Running, params: Any) -> None:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        with server.client(headers={"Accept": "application/json, text/event-stream"}) as client:
            await asyncio.to_thread(client.post, "/mcp", json=call)

    with running(OmpServerConfig(settings=settings, mcp=True)) as server, everything_logged() as logged:
        asyncio.run(main(server))
    ours = [line for line in logged if not line.startswith(("httpcore", "httpx", "mcp.client", "client"))]
    assert any(line.startswith("openmem") for line in ours)
    assert [line for line in ours if SECRET in line] == []


def test_a_defect_over_standard_output_is_logged_without_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    from openmem.mcp import tools  # noqa: PLC0415 - the module is patched

    async def broken(caller: object, given: object) -> tools.Answer:
        raise ValueError(f"about {SECRET}")

    monkeypatch.setattr(tools, "TOOLS", {"search_memories": broken})

    async def main() -> None:
        async with AsyncMemory(provider="memory", embedder="hashing") as memory, in_process(memory) as client:
            assert "internal error" in await refusal(client, "search_memories", {"query": "q"})

    with everything_logged() as logged:
        asyncio.run(main())
    assert any("internal error: ValueError" in line for line in logged)
    assert [line for line in logged if SECRET in line] == []


@pytest.mark.parametrize("mode", MODES)
def test_a_defect_is_logged_without_its_values(
    mode: Mode, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    from openmem.mcp import tools  # noqa: PLC0415 - the module is patched

    async def broken(caller: object, given: object) -> tools.Answer:
        raise ValueError(f"about {SECRET}")

    async def misshapen(caller: object, given: object) -> tools.Answer:
        return tools.Answer(SECRET, {"memories": {1: object(), SECRET: SECRET}})

    monkeypatch.setattr(tools, "TOOLS", {"search_memories": broken, "list_memories": misshapen})

    async def main(server: Running) -> None:
        async with over_http(server.url, {"X-User-Id": "maya"}, mode=mode) as client:
            sentence = await refusal(client, "search_memories", {"query": "q"})
            assert sentence == "internal error; the server's log tells more under this request id"
            with pytest.raises(Exception, match=r".") as caught:
                await client.call_tool("list_memories", {})
            assert SECRET not in str(caught.value)

    with running(OmpServerConfig(settings=settings, mcp=True)) as server, everything_logged() as logged:
        asyncio.run(main(server))
    assert any("internal error: ValueError" in line for line in logged)
    assert [line for line in logged if SECRET in line] == []


def test_what_the_sdk_logs_has_no_values() -> None:
    keep_texts_out_of_logs()
    sdk = logging.getLogger("mcp.server.runner")
    with everything_logged() as logged:
        sdk.debug("dropped a frame: %r", SECRET)
        sdk.info("tool failed: %r", SECRET)
        try:
            raise ValueError(SECRET)
        except ValueError:
            sdk.exception("handler for %r failed", "tools/call")
    assert logged == ["mcp.server.runner ERROR handler for 'tools/call' failed (ValueError)"]
