"""The path /mcp of omp-server: whom it lets in, whose memories they see, and what it has in common with the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import httpx
import pytest
from mcp import Client

from openmem import AsyncMemory, Memory
from openmem.mcp.tools import TOOLS
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from ..server.harness import Running, envelope, running
from .hosts import MODES, Mode, answer, over_http, refusal, text_of

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def tell(story: Callable[[Client], Awaitable[None]], url: str, headers: Mapping[str, str], mode: Mode = "auto") -> None:
    """Run a story with a host of the server at a URL."""

    async def main() -> None:
        async with over_http(url, headers, mode=mode) as client:
            await story(client)

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
def test_every_tool(open_server: Running, mode: Mode) -> None:
    async def story(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == list(TOOLS)
        id = (await answer(client, "add_memory", content="Maya is vegan"))["id"]
        for tool in ("search_memories", "get_context", "search"):
            assert "Maya is vegan" in text_of(await client.call_tool(tool, {"query": "what does Maya eat?"}))
        for tool in ("get_memory", "fetch"):
            assert "Maya is vegan" in text_of(await client.call_tool(tool, {"id": id}))
        assert (await answer(client, "list_memories"))["memories"][0]["app"] == {"auto": "some host", "legacy": "mcp"}[
            mode
        ]
        await answer(client, "update_memory", id=id, content="Maya is vegetarian")
        await answer(client, "delete_memory", id=id)
        assert "there is no memory" in await refusal(client, "delete_memory", {"id": id})
        assert (await client.read_resource("memory://recent")).contents
        assert (await client.get_prompt("recall", {"topic": "food"})).messages

    tell(story, open_server.url, {"X-User-Id": f"tools-{mode}"}, mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_key_says_who_it_is(keyed_server: Running, keys: KeysFile, mode: Mode, url: str) -> None:
    user = f"key-{mode}"
    key = keys.create(app="cursor", users=[user], grants=["read:*", "write:work/*"])

    async def story(client: Client) -> None:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert "add_memory" in names
        assert "delete_memory" not in names
        added = await answer(client, "add_memory", content="Maya likes tabs", scope="work/code")
        assert "grants do not include 'write:home'" in await refusal(
            client, "add_memory", {"content": "c", "scope": "home"}
        )
        assert "grants do not include" in await refusal(client, "delete_memory", {"id": added["id"]})
        assert (await answer(client, "get_memory", id=added["id"]))["memory"]["source"]["app"] == "cursor"

    tell(story, keyed_server.url, bearer(key), mode)
    with Memory(url=url, embedder="hashing") as memory:
        [record] = memory.list(user)
        assert record.content == "Maya likes tabs"
        assert {(entry.action, entry.app) for entry in memory.audit(user) if entry.app} >= {("add", "cursor")}


def test_whose_memories_they_are_is_never_the_models_choice(
    keyed_server: Running, open_server: Running, keys: KeysFile
) -> None:
    two = bearer(keys.create(app="desk", users=["ann", "bea"]))
    anyone = bearer(keys.create(app="desk"))

    async def nobody(client: Client) -> None:
        assert (await client.list_tools()).tools
        assert "X-User-Id: nothing says whose memories these are" in await refusal(client, "list_memories", {})

    async def stranger(client: Client) -> None:
        assert "may not act for this user" in await refusal(client, "list_memories", {})

    async def known(client: Client) -> None:
        assert (await answer(client, "list_memories")) == {"memories": []}
        assert "no such argument" in await refusal(client, "list_memories", {"user_id": "cleo"})

    tell(nobody, keyed_server.url, two)
    tell(nobody, keyed_server.url, anyone)
    tell(nobody, open_server.url, {})
    tell(stranger, keyed_server.url, two | {"X-User-Id": "cleo"})
    tell(known, keyed_server.url, two | {"X-User-Id": "bea"})
    tell(known, keyed_server.url, anyone | {"X-User-Id": "bea"})


def test_who_is_not_let_in(keyed_server: Running, open_server: Running) -> None:
    with keyed_server.client(headers=ACCEPT) as client:
        envelope(client.post("/mcp", json=LIST), 401, "unauthorized")
        envelope(client.post("/mcp", json=LIST, headers=bearer("omk_wrong_key")), 401, "unauthorized")
    with open_server.client(headers=ACCEPT) as client:
        for method in ("GET", "DELETE", "PUT"):
            response = client.request(method, "/mcp")
            envelope(response, 405, "method_not_allowed")
            assert response.headers["allow"] == "POST"
        rebound = {"Host": f"evil.example:{open_server.port}"}
        envelope(client.post("/mcp", json=LIST, headers=rebound), 403, "scope_denied")
        for origin in ("https://evil.example", "null", f"http://evil.example:{open_server.port}"):
            error = envelope(client.post("/mcp", json=LIST, headers={"Origin": origin}), 403, "scope_denied")
            assert "Origin" in error["message"]
        big = client.post("/mcp", content=b" " * 1_100_000, headers={"Content-Type": "application/json"})
        envelope(big, 413, "payload_too_large")


def test_pages_of_origins_that_may(keyed_server: Running, keys: KeysFile, open_server: Running) -> None:
    headers = ACCEPT | bearer(keys.create(app="page", users=["ann"]))
    origin = {"Origin": "https://host.example"}
    with keyed_server.client(headers=headers) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "mcp-protocol-version"}
        assert client.options("/mcp", headers=origin | asked).status_code == 200
        response = client.post("/mcp", json=LIST, headers=origin)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://host.example"
    with open_server.client(headers=ACCEPT) as client:
        own = {"Origin": open_server.url}
        response = client.post("/mcp", json=LIST, headers=own)
        assert response.status_code == 200
        assert response.headers.get_list("cache-control") == ["no-store"]
        assert response.headers["x-request-id"]


def test_calls_are_counted_like_others(settings: dict[str, object]) -> None:
    config = OmpServerConfig(settings=settings, mcp=True, rate_limit_per_minute=3, metrics=True)
    with running(config) as server, server.client(headers=ACCEPT) as client:
        responses = [client.post("/mcp", json=LIST) for _ in range(4)]
        assert [response.status_code for response in responses] == [200, 200, 200, 429]
        assert responses[3].headers["retry-after"]


def test_the_path_is_there_if_asked_for(settings: dict[str, object]) -> None:
    with running(OmpServerConfig(settings=settings)) as server, server.client() as client:
        for path in ("/mcp", "/mcp/"):
            refused = client.post(path, json=LIST)
            envelope(refused, 404, "not_found")
            assert "omp-server --mcp has /mcp, without a slash" in refused.text


@pytest.mark.parametrize("mode", MODES)
def test_a_host_goes_on_after_a_restart_of_the_server(settings: dict[str, object], mode: Mode) -> None:
    config = OmpServerConfig(settings=settings, mcp=True)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            with running(config) as server:
                headers = {"X-User-Id": f"restart-{mode}"}
                client = await stack.enter_async_context(over_http(server.url, headers, mode=mode))
                await answer(client, "add_memory", content="Maya is vegan")
            with running(config, port=server.port):
                found = await answer(client, "search_memories", query="vegan")
                assert [item["content"] for item in found["memories"]] == ["Maya is vegan"]
                await stack.aclose()

    asyncio.run(main())


def test_the_request_id_is_that_of_the_audit_log(open_server: Running, settings: dict[str, object]) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": "list_memories", "arguments": {}},
    }
    with open_server.client(headers=ACCEPT | {"X-User-Id": "traced", "X-Request-Id": "abc-1"}) as client:
        response = client.post("/mcp", json=call)
    assert response.headers["x-request-id"] == "abc-1"

    async def main() -> None:
        async with AsyncMemory(url=str(settings["url"]), embedder="hashing") as memory:
            assert "abc-1" in {entry.request_id for entry in await memory.audit("traced")}

    asyncio.run(main())


def test_a_foreign_body_is_refused(open_server: Running) -> None:
    with open_server.client(headers=ACCEPT) as client:
        for content in (b"{", b"[]", b'"a"', b"\xff"):
            response: httpx.Response = client.post(
                "/mcp", content=content, headers={"Content-Type": "application/json"}
            )
            assert response.status_code == 400
        assert client.post("/mcp", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 400
