"""What no log may tell, ours or a library's, whatever its level: texts, queries, users and keys."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from openmem import AsyncMemory, InvalidRequestError, NotFoundError
from openmem.testing.modes import Async, Mode, Sync

from ..embedders import service as openai_service
from ..letta import service as letta_service
from ..mem0 import service as mem0_service
from ..mem0.stores import new_store
from ..mem0.test_engine import settings as engine_settings
from ..rerankers import service as cohere_service
from ..supermemory import service as supermemory_service
from .upstream import Upstream, good, reply

CONTENT, QUERY, USER = "Zanzibar is where she was born", "Kilimanjaro", "secret-user-id"
TOLD = ("anzibar", "ilimanjaro", USER)


def _passthrough(stack: ExitStack, patch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    upstream = stack.enter_context(Upstream(lambda request: good(request, content=CONTENT, user_id=USER)))
    return {"provider": "passthrough", "base_url": upstream.url, "api_key": "omk_told_to_nobody"}


def _supermemory(stack: ExitStack, patch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    service = stack.enter_context(supermemory_service.Service())
    return {"provider": "supermemory", "host": service.url, "api_key": supermemory_service.KEY}


def _mem0(stack: ExitStack, patch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    service = stack.enter_context(mem0_service.Service())
    return {"provider": "mem0", "host": service.url, "api_key": mem0_service.KEY}


def _mem0_engine(stack: ExitStack, patch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    store = new_store()
    stack.callback(store.close)
    return engine_settings(store)


def _letta(stack: ExitStack, patch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    service = stack.enter_context(letta_service.Service())
    return {"provider": "letta", "host": service.url, "embedding_config": letta_service.CONFIG}


def _postgres(stack: ExitStack, patch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    return {"url": url, "embedder": "hashing"}


def _remote_models(stack: ExitStack, patch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    openai, cohere = openai_service.Service(), stack.enter_context(cohere_service.Service())
    stack.enter_context(openai)
    for name, value in {
        "OPENAI_API_KEY": openai_service.KEY,
        "OPENAI_BASE_URL": openai.url,
        "CO_API_KEY": cohere_service.KEY,
        "CO_API_URL": cohere.url,
    }.items():
        patch.setenv(name, value)
    return {"url": url, "embedder": "openai:some-model:4", "reranker": "cohere"}


BACKENDS: list[Callable[[ExitStack, pytest.MonkeyPatch, str], dict[str, Any]]] = [
    _passthrough, _supermemory, _mem0, _mem0_engine, _letta, _postgres, _remote_models
]  # fmt: skip


@pytest.fixture(params=[Sync, Async])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    yield mode
    mode.close()


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__[1:])
def test_no_log_tells_a_secret(
    mode: Mode,
    backend: Callable[[ExitStack, pytest.MonkeyPatch, str], dict[str, Any]],
    url: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def body(settings: dict[str, Any]) -> None:
        client: AsyncMemory = mode.client(**settings)
        async with client as memory:
            record = await memory.add(content=CONTENT, user_id=USER)
            await memory.get(record.id)
            await memory.list(user_id=USER)
            await memory.search(QUERY, user_id=USER)
            await memory.context(QUERY, user_id=USER)
            await memory.delete(record.id)

    caplog.set_level(logging.DEBUG)
    with ExitStack() as stack:
        settings = backend(stack, monkeypatch, url)
        for name in list(logging.root.manager.loggerDict):
            if not name.startswith("asyncio"):
                caplog.set_level(logging.DEBUG, name)
        mode.run(body(settings))
    keys = [value for name, value in settings.items() if name == "api_key"]
    keys += [openai_service.KEY, cohere_service.KEY]
    for entry in caplog.records:
        text = f"{entry.getMessage()} {entry.exc_info} {entry.args}"
        assert not [secret for secret in (*TOLD, *keys) if secret in text], (entry.name, text)


def test_calls_of_the_applications_own_are_logged_as_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Upstream(good) as upstream:
        Sync().run(_list(upstream))
        assert not [entry for entry in caplog.records if entry.name.startswith("httpcore")]
        with httpx.Client(trust_env=False) as client:
            client.get(f"{upstream.url}/memories?user_id=maya")
    assert [entry for entry in caplog.records if entry.name == "httpx"]
    assert [entry for entry in caplog.records if entry.name.startswith("httpcore")]


def test_each_call_is_one_line(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    async def body(upstream: Upstream) -> None:
        async with mode.client(provider="passthrough", base_url=upstream.url) as memory:
            await memory.list(user_id=USER)
            await memory.add_many([{"content": CONTENT, "user_id": USER}])
            upstream.answer = lambda request: reply({"error": {"code": "not_found", "message": CONTENT}}, 404)
            with pytest.raises(NotFoundError) as raised:
                await memory.get("m1")
            ids.append(raised.value.request_id)

    ids: list[str | None] = []
    caplog.set_level(logging.DEBUG, "openmem")
    with Upstream(good) as upstream:
        mode.run(body(upstream))
        sent = [request.headers["x-request-id"] for request in upstream.requests]
        assert sent[-1:] == ids
    lines = [entry.getMessage() for entry in caplog.records if entry.name == "openmem"]
    shown = [re.fullmatch(r"verb=(\w+) ms=\d+\.\d outcome=(\w+) request_id=(\w+)", line) for line in lines]
    assert [line and line.groups() for line in shown] == [
        ("list", "ok", sent[0]), ("add_many", "ok", sent[1]), ("get", "not_found", sent[2])
    ]  # fmt: skip


async def _list(upstream: Upstream) -> None:
    async with Sync().client(provider="passthrough", base_url=upstream.url) as memory:
        await memory.list(user_id="maya")


@pytest.mark.parametrize("backend", [_passthrough, _supermemory, _mem0, _letta, _remote_models])
def test_no_backend_on_loopback_goes_through_a_proxy(
    mode: Mode,
    backend: Callable[[ExitStack, pytest.MonkeyPatch, str], dict[str, Any]],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def body(settings: dict[str, Any]) -> None:
        async with mode.client(**settings) as memory:
            await memory.add(content=CONTENT, user_id=USER)
            await memory.search(QUERY, user_id=USER)

    with ExitStack() as stack, Upstream(lambda request: [b"HTTP/1.1 500 A proxy\r\n\r\n"]) as proxy:
        settings = backend(stack, monkeypatch, url)
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        mode.run(body(settings))
        assert proxy.connections == 0


@pytest.mark.parametrize("provider", ["supermemory", "mem0", "letta"])
def test_a_password_in_the_url_of_a_hosted_backend_is_refused(mode: Mode, provider: str) -> None:
    with pytest.raises(InvalidRequestError, match="pass api_key") as refused:
        mode.client(provider=provider, host="https://bob:s3cret@host", api_key="key-0123456789")
    assert "s3cret" not in str(refused.value)
