"""A server that cannot be trusted: what it sends ends in one of our errors, in time and within bounds."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from openmem import AsyncMemory, InvalidRequestError, NotFoundError, OMPError, ProviderError, RateLimitedError
from openmem._ids import new_memory_id
from openmem.models import CapabilityLimits
from openmem.server import OmpServerConfig
from openmem.testing.modes import Async, Mode, Sync

from .test_conformance import serving
from .upstream import HANG_UP, Answer, Piece, Request, Upstream, dripping, good, head, record, reply, wait_until

Call = Callable[[AsyncMemory], Coroutine[Any, Any, Any]]

CALLS: dict[str, Call] = {
    "add": lambda memory: memory.add(content="tea", user_id="maya"),
    "add_many": lambda memory: memory.add_many([{"content": "tea", "user_id": "maya"}]),
    "get": lambda memory: memory.get("m1"),
    "update": lambda memory: memory.update("m1", content="tea"),
    "list": lambda memory: memory.list(user_id="maya"),
    "search": lambda memory: memory.search("tea", user_id="maya"),
    "context": lambda memory: memory.context("tea", user_id="maya"),
    "audit": lambda memory: memory.audit(user_id="maya"),
}


@pytest.fixture(params=[Sync, Async])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    yield mode
    mode.close()


@asynccontextmanager
async def client_of(mode: Mode, upstream: Upstream, **settings: Any) -> AsyncIterator[AsyncMemory]:
    async with mode.client(provider="passthrough", base_url=upstream.url, **settings) as memory:
        yield memory


def outcome(mode: Mode, answer: Answer, call: Call, **settings: Any) -> Any:
    """What a call returns or raises, of our errors, where the server answers like this."""
    outcomes: list[Any] = []

    async def body(upstream: Upstream) -> None:
        async with client_of(mode, upstream, **settings) as memory:
            try:
                outcomes.append(await call(memory))
            except OMPError as error:
                outcomes.append(error)

    with Upstream(answer) as upstream:
        mode.run(body(upstream))
    return outcomes[0]


@pytest.mark.parametrize("verb", CALLS)
def test_a_good_answer_is_taken(mode: Mode, verb: str) -> None:
    assert not isinstance(outcome(mode, good, CALLS[verb]), OMPError)


# Other users' rows


@pytest.mark.parametrize("verb", ["add", "add_many", "list", "search"])
def test_a_memory_of_another_user_is_withheld(mode: Mode, verb: str) -> None:
    error = outcome(mode, lambda request: good(request, user_id="ben", content="tea"), CALLS[verb])
    assert isinstance(error, ProviderError)
    assert error.code == "provider_error"
    assert "another user" in error.message
    assert "ben" not in error.message


@pytest.mark.parametrize("verb", ["context", "audit"])
def test_an_id_that_belongs_to_another_user_is_withheld(mode: Mode, verb: str) -> None:
    foreign, own = new_memory_id("ben"), new_memory_id("maya")
    error = outcome(mode, lambda request: good(request, id=foreign), CALLS[verb])
    assert isinstance(error, ProviderError)
    assert "another user" in error.message
    assert foreign not in error.message
    assert not isinstance(outcome(mode, lambda request: good(request, id=own), CALLS[verb]), OMPError)


def test_what_a_context_leaves_out_is_of_the_same_user(mode: Mode) -> None:
    def answer(id: str) -> Answer:
        omitted = [{"memory_id": id, "reason": "outdated"}]
        return lambda request: reply({"text": "", "citations": [], "token_count": 0, "omitted": omitted})

    error = outcome(mode, answer(new_memory_id("ben")), CALLS["context"])
    assert isinstance(error, ProviderError)
    assert "another user" in error.message
    [omitted] = outcome(mode, answer(new_memory_id("maya")), CALLS["context"]).omitted
    assert omitted.reason == "outdated"


@pytest.mark.parametrize("verb", ["get", "update"])
def test_another_memory_than_was_asked_for_is_withheld(mode: Mode, verb: str) -> None:
    error = outcome(mode, lambda request: good(request, id="m2"), CALLS[verb])
    assert isinstance(error, ProviderError)
    assert "another memory" in error.message


@pytest.mark.parametrize("verb", ["add", "add_many", "update"])
def test_another_text_than_was_given_is_refused(mode: Mode, verb: str) -> None:
    error = outcome(mode, lambda request: good(request, content="coffee"), CALLS[verb])
    assert isinstance(error, ProviderError)
    assert "another text" in error.message
    assert "coffee" not in error.message


@pytest.mark.parametrize("verb", ["list", "search"])
def test_a_memory_outside_the_scope_is_withheld(mode: Mode, verb: str) -> None:
    calls: dict[str, Call] = {
        "list": lambda memory: memory.list(user_id="maya", scope="food/*"),
        "search": lambda memory: memory.search("tea", user_id="maya", scope="food/*"),
    }
    error = outcome(mode, lambda request: good(request, scope="health"), calls[verb])
    assert isinstance(error, ProviderError)
    assert "outside the scope" in error.message
    assert not isinstance(outcome(mode, lambda request: good(request, scope="food/tea"), calls[verb]), OMPError)


def test_fewer_memories_than_were_added_are_refused(mode: Mode) -> None:
    error = outcome(mode, lambda request: reply({"memories": []}, 201), CALLS["add_many"])
    assert isinstance(error, ProviderError)


def test_entries_of_another_app_are_withheld(mode: Mode) -> None:
    error = outcome(
        mode, lambda request: good(request, app="other"), lambda memory: memory.audit(user_id="maya", app="mine")
    )
    assert isinstance(error, ProviderError)


def test_pages_that_lead_nowhere_end(mode: Mode) -> None:
    """A client with grants reads on until it has enough."""
    error = outcome(
        mode,
        lambda request: reply({"items": [], "next_cursor": str(time.monotonic())}),
        CALLS["list"],
        grants=["read:food/*"],
    )
    assert isinstance(error, ProviderError)


# Replies that are none


def _chunked(*chunks: Piece) -> list[Piece]:
    return [head(200, None, "Transfer-Encoding: chunked"), *chunks]


NESTED = b'{"items":' + b"[" * 100_000
WRONG: dict[str, list[Piece]] = {
    "nested deeply": reply(NESTED + b"]" * 100_000 + b"}"),
    "nested deeply in a memory": reply(
        b'{"items":[{"id":"m","content":"tea","user_id":"maya","created_at":"2026-01-31T12:00:00Z","x-a":'
        + b"[" * 300
        + b"]" * 300
        + b"}]}"
    ),
    "objects nested deeply": reply(b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "bad gzip": reply(b"this is no gzip", 200, "Content-Encoding: gzip"),
    "gzip that ends early": reply(gzip.compress(b'{"items": []}')[:-9], 200, "Content-Encoding: gzip"),
    "rubbish behind gzip": reply(gzip.compress(b'{"items": []}') + b"rubbish", 200, "Content-Encoding: gzip"),
    "an encoding nobody asked for": reply(b"\x00\x01", 200, "Content-Encoding: br"),
    "no UTF-8": reply(b'{"items": ["\xff\xfe"]}'),
    "a surrogate in UTF-8": reply(b'{"items": [], "x": "\xed\xa0\x80"}'),
    "a lone surrogate": reply(rb'{"items": [], "x": "\ud800"}'),
    "no JSON": reply(b"<html>It works!</html>"),
    "half of a JSON": reply(b'{"items": ['),
    "an empty body": reply(b""),
    "a list": reply([]),
    "a text": reply("items"),
    "null": reply(None),
    "items that are none": reply({"items": 7}),
    "items of another kind": reply({"items": ["tea"]}),
    "a number of 10,000 digits": reply(b'{"items": [], "x": ' + b"9" * 10_000 + b"}"),
    "a number beyond all": reply(b'{"items": [], "x": 1e999}'),
    "NaN": reply(b'{"items": [], "x": NaN}'),
    "a time beyond all": reply(
        {"items": [{"id": "m", "content": "t", "user_id": "maya", "created_at": "9999-12-31T23:59:59-12:00"}]}
    ),
    "a body that ends early": [head(200, 100), b'{"items"', HANG_UP],
    "a status of another kind": reply({"items": []}, 202),
    "no content": [head(204, None)],
    "not modified": [head(304, None)],
    "a redirect": [head(302, 0, "Location: http://127.0.0.1:1/elsewhere")],
    "other protocols": [head(101, None, "Upgrade: websocket", "Connection: upgrade")],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.6\r\n", HANG_UP],
    "another version": [b"HTTP/9.9 200 OK\r\n\r\n", HANG_UP],
    "a chunk of no size": _chunked(b"xyz\r\n{}\r\n0\r\n\r\n"),
    "a chunk of a negative size": _chunked(b"-5\r\n{}\r\n0\r\n\r\n"),
    "chunks that end early": _chunked(b"5\r\n{", HANG_UP),
    "two lengths": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"],
    "a length of no number": [b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"],
    "a flood of headers": [b"HTTP/1.1 200 OK\r\n" + b"X-Header: 0123456789\r\n" * 50_000 + b"\r\n"],
    "a header without end": [b"HTTP/1.1 200 OK\r\nX-Header: " + b"0" * 1_000_000],
    "nothing": [HANG_UP],
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_reply_is_an_error_of_ours(mode: Mode, kind: str) -> None:
    error = outcome(mode, lambda request: WRONG[kind], CALLS["list"], timeout=5)
    assert isinstance(error, ProviderError), error
    assert error.code in ("provider_error", "provider_unavailable")
    assert len(error.message) < 500
    broken = ("a body that ends early", "chunks that end early", "nothing", "no HTTP", "another version")
    assert kind in broken or error.code == "provider_error"


@pytest.mark.parametrize("kind", WRONG)
def test_capabilities_that_are_none_are_an_error_of_ours(mode: Mode, kind: str) -> None:
    async def body(upstream: Upstream) -> None:
        with pytest.raises(ProviderError):
            async with client_of(mode, upstream, timeout=5):
                pass

    def answer(request: Request) -> Iterable[Piece]:
        raise AssertionError

    with Upstream(answer, greeting=lambda request: WRONG[kind]) as upstream:
        mode.run(body(upstream))


# Bounds in size

MIB = 2**20


@functools.cache
def _bomb() -> bytes:
    size = 300 * MIB
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])


def _endless(request: Request) -> Iterable[Piece]:
    yield head(200, None, "Transfer-Encoding: chunked")
    for _ in range(300):
        yield b"100000\r\n" + bytes(MIB) + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda request: reply(_bomb(), 200, "Content-Encoding: gzip"), id="bomb"),
        pytest.param(lambda request: [head(200, 300 * MIB), bytes(MIB)], id="length"),
        pytest.param(_endless, id="endless"),
    ],
)
@pytest.mark.parametrize("verb", ["get", "list", "context"])
def test_a_reply_is_bounded(mode: Mode, answer: Answer, verb: str) -> None:
    tracemalloc.start()
    try:
        error = outcome(mode, answer, CALLS[verb])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(error, ProviderError)
    assert error.code == "provider_error"
    assert "MiB" in error.message
    assert peak < 100 * MIB


def test_the_longest_page_there_can_be_is_taken(mode: Mode) -> None:
    """500 memories of 65,536 characters that take four bytes each."""
    text = "\U0001f375" * 65_536

    def answer(request: Request) -> Iterable[Piece]:
        item = json.dumps(record(request, content=text), ensure_ascii=False).encode()
        yield head(200, 500 * len(item) + 499 + len(b'{"items":[]}'))
        yield b'{"items":[' + item
        for _ in range(499):
            yield b"," + item
        yield b"]}"

    page = outcome(mode, answer, lambda memory: memory.list(user_id="maya", limit=500))
    assert not isinstance(page, OMPError), page
    assert [len(item.content) for item in page.items] == [65_536] * 500


def test_gzip_is_understood(mode: Mode) -> None:
    def answer(request: Request) -> Iterable[Piece]:
        assert request.headers["accept-encoding"] == "gzip"
        content = json.dumps({"items": [record(request)]}).encode()
        return reply(gzip.compress(content[:9]) + gzip.compress(content[9:]), 200, "Content-Encoding: gzip")

    assert outcome(mode, answer, CALLS["list"]).items[0].content == "tea"


# Bounds in time


def _dripping_body(request: Request) -> Iterable[Piece]:
    content = json.dumps({"items": [record(request)]}).encode()
    return [head(200, len(content)), *dripping(content, 0.25)]


def _dripping_headers(request: Request) -> Iterable[Piece]:
    return dripping(head(200, 2) + b"{}", 0.25)


def _informing(request: Request) -> Iterable[Piece]:
    for _ in range(100):
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
        yield 0.25


def _silent(request: Request) -> Iterable[Piece]:
    yield 60.0


@pytest.mark.parametrize("answer", [_dripping_body, _dripping_headers, _informing, _silent])
def test_the_timeout_bounds_the_whole_wait(mode: Mode, answer: Answer) -> None:
    begun = time.monotonic()
    error = outcome(mode, answer, CALLS["list"], timeout=1.5)
    took = time.monotonic() - begun
    assert isinstance(error, ProviderError)
    assert error.code == "provider_unavailable"
    assert "1.5 s" in error.message
    assert took < 3.5


def _endless_pages(request: Request) -> Iterable[Piece]:
    return [0.05, *reply({"items": [record(request, scope="work")], "next_cursor": str(time.monotonic())})]


def _many_names(request: Request) -> Iterable[Piece]:
    if request.path.count("/") == 2 and not request.path.endswith("/search"):
        return [0.05, *reply(record(request, scope="food"))]
    return good(request, scope="food", supersedes=[f"m{number}" for number in range(10_000)])


@pytest.mark.parametrize(
    ("answer", "call"),
    [
        (_endless_pages, CALLS["list"]),
        (_many_names, CALLS["list"]),
        (_many_names, CALLS["search"]),
        (_many_names, CALLS["context"]),
        (_many_names, lambda memory: memory.add_many([{"content": "tea", "user_id": "maya", "scope": "food"}])),
    ],
    ids=["pages", "list", "search", "context", "add_many"],
)
def test_the_timeout_bounds_all_requests_of_a_call(mode: Mode, answer: Answer, call: Call) -> None:
    """A client with grants asks for more than once where the server does not know of them."""
    begun = time.monotonic()
    outcome(mode, answer, call, timeout=1.5, grants=["read:food", "write:food"])
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("verb", ["add", "update"])
def test_what_was_stored_is_told_though_the_server_fails_then(mode: Mode, verb: str) -> None:
    def answer(request: Request) -> Iterable[Piece]:
        if request.method == "GET" and request.path == "/memories/old" and is_stored:
            return reply({}, 500)
        if request.method in ("POST", "PATCH"):
            is_stored.append(True)
            return good(request, scope="food", supersedes=["old"])
        return good(request, scope="food")

    is_stored: list[bool] = []
    stored = outcome(
        mode,
        answer,
        {
            "add": lambda memory: memory.add(content="tea", user_id="maya", scope="food", supersedes=["old"]),
            "update": lambda memory: memory.update("m1", supersedes=["old"]),
        }[verb],
        grants=["read:food", "write:food"],
    )
    assert stored.content == "tea"
    assert stored.supersedes is None


def test_a_wait_ends_in_time_though_the_server_is_slow(mode: Mode) -> None:
    def answer(request: Request) -> Iterable[Piece]:
        return [0.5, *good(request, status="queued")]

    begun = time.monotonic()
    error = outcome(mode, answer, lambda memory: memory.wait_for_ingest(["m1"], "maya", timeout=1.0))
    assert error.code == "ingestion_timeout"
    assert time.monotonic() - begun < 2.9


@pytest.mark.parametrize("first", [[HANG_UP], reply({}, 503)], ids=["lost", "unavailable"])
def test_what_the_first_try_deleted_is_deleted(mode: Mode, first: list[Piece]) -> None:
    """Its reply was lost, and the second try finds nothing."""
    answers = [first, reply({"error": {"code": "not_found", "message": "there is no memory 'm1'"}}, 404)]
    assert outcome(mode, lambda request: answers.pop(0), lambda memory: memory.delete("m1")) is None


@pytest.mark.parametrize("first", [[], reply({}, 429)], ids=["none", "refused"])
def test_what_was_not_there_is_not_deleted(mode: Mode, first: list[Piece]) -> None:
    answers = [first, reply({"error": {"code": "not_found", "message": "there is no memory 'm1'"}}, 404)]
    answers = [answer for answer in answers if answer]
    error = outcome(mode, lambda request: answers.pop(0), lambda memory: memory.delete("m1"))
    assert isinstance(error, NotFoundError)


def test_tries_are_within_the_timeout(mode: Mode) -> None:
    def answer(request: Request) -> Iterable[Piece]:
        return [0.7, *reply({}, 503, "Retry-After: 1")]

    begun = time.monotonic()
    error = outcome(mode, answer, CALLS["list"], timeout=2)
    assert isinstance(error, ProviderError)
    assert time.monotonic() - begun < 3.5


def test_a_body_that_nobody_takes_ends_in_time(mode: Mode) -> None:
    """The server accepts connections and never reads."""
    begun = time.monotonic()

    async def body(port: int) -> None:
        with pytest.raises(ProviderError) as raised:
            async with mode.client(provider="passthrough", base_url=f"http://127.0.0.1:{port}", timeout=1) as memory:
                await memory.list(user_id="maya")
        assert raised.value.code == "provider_unavailable"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        mode.run(body(listener.getsockname()[1]))
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("answer", [_dripping_body, _dripping_headers, _silent])
def test_a_cancelled_caller_is_free_at_once(answer: Answer) -> None:
    async def body() -> None:
        async with client_of(Async(), upstream, pool_max_size=2) as memory:
            for _ in range(5):
                tasks = [asyncio.create_task(memory.list(user_id="maya")) for _ in range(2)]
                await asyncio.sleep(0.1)
                begun = time.monotonic()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                assert time.monotonic() - begun < 0.05
                assert all(task.cancelled() for task in tasks)
            upstream.answer = good
            assert len((await memory.list(user_id="maya")).items) == 1

    with Upstream(answer) as upstream:
        asyncio.run(body())
        assert wait_until(lambda: upstream.open == 0)


# What it says of a failure


def _failing(status: int, *headers: str, **envelope: Any) -> Answer:
    return lambda request: reply({"error": envelope}, status, *headers)


def test_codes_are_ours(mode: Mode) -> None:
    error = outcome(mode, _failing(418, code="i_am_a_teapot", message="short and stout"), CALLS["get"])
    assert (type(error), error.code, error.type) == (ProviderError, "provider_error", "provider")
    assert error.message == "short and stout"
    error = outcome(mode, _failing(404, code="not_found", message="none", type="elsewhere"), CALLS["get"])
    assert (type(error), error.code, error.type) == (NotFoundError, "not_found", "not_found")
    for strange in (["not_found"], {"not_found": 1}, None, 7, True):
        error = outcome(mode, _failing(400, code=strange, message="x"), CALLS["get"])
        assert (type(error), error.code) == (ProviderError, "provider_error")


def test_messages_are_bounded_and_plain(mode: Mode) -> None:
    message = "\x1b[31mred\x00\r\nX-Injected: 1\u202e" + "x" * 100_000
    error = outcome(
        mode,
        _failing(500, code="provider_error", message=message, request_id="a\nb" * 1000, provider={"a": 1}),
        CALLS["get"],
    )
    assert len(error.message) < 1100
    assert error.message.isprintable()
    assert error.request_id.isprintable()
    assert len(error.request_id) < 200
    assert error.provider == "passthrough"


def test_the_key_is_not_in_a_message(mode: Mode) -> None:
    error = outcome(
        mode,
        lambda request: reply(
            {"error": {"code": "unauthorized", "message": f"wrong: {request.headers['authorization']}"}}, 401
        ),
        CALLS["get"],
        api_key="omk_0123456789_secret",
    )
    assert error.code == "unauthorized"
    assert "secret" not in error.message
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17.0), ("1e300", 86_400.0), ("-1", None), ("nan", None), ("soon", None)]
)
def test_how_long_to_wait_is_sane(mode: Mode, header: str, seconds: float | None) -> None:
    answer = _failing(429, f"Retry-After: {header}", code="rate_limited", message="slow down")
    error = outcome(mode, answer, CALLS["add_many"])
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == seconds


# What is sent


def test_cookies_are_neither_kept_nor_sent(mode: Mode) -> None:
    async def body(upstream: Upstream) -> None:
        async with client_of(mode, upstream) as memory:
            for user_id in ("maya", "ben"):
                await memory.list(user_id=user_id)

    with Upstream(
        lambda request: reply({"items": [record(request)]}, 200, "Set-Cookie: session=of-maya; Path=/")
    ) as upstream:
        mode.run(body(upstream))
        assert len(upstream.requests) == 2
        assert not any("cookie" in request.headers for request in upstream.requests)


def test_a_loopback_address_has_no_proxy(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    def watch(request: Request) -> Iterable[Piece]:
        raise AssertionError("the proxy got the request")

    with Upstream(watch) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert not isinstance(outcome(mode, good, CALLS["list"], api_key="omk_secret"), OMPError)
        assert proxy.connections == 0


def test_other_addresses_go_through_the_proxy(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    async def body() -> None:
        async with mode.client(provider="passthrough", base_url="http://memories.invalid/omp") as memory:
            await memory.list(user_id="maya")

    def answer(request: Request) -> Iterable[Piece]:
        assert request.target.startswith("http://memories.invalid")
        return good(Request(request.method, "/memories?user_id=maya", request.headers, request.body))

    with Upstream(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//bob:pw@"))
        mode.run(body())
        [request] = proxy.requests
        assert request.headers["proxy-authorization"] == "Basic Ym9iOnB3"


def test_a_proxy_that_is_no_http_proxy_is_refused(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        with pytest.raises(InvalidRequestError, match="HTTP_PROXY"):
            async with mode.client(provider="passthrough", base_url="http://memories.invalid"):
                pass

    monkeypatch.setenv("http_proxy", "socks5://bob:s3cret@127.0.0.1:1080")
    mode.run(body())


def test_netrc_is_not_read(mode: Mode, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login bob password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(netrc.read_text())
    for key in (None, "omk_key"):
        sent: list[str | None] = []

        def answer(request: Request, sent: list[str | None] = sent) -> Iterable[Piece]:
            sent.append(request.headers.get("authorization"))
            return good(request)

        outcome(mode, answer, CALLS["list"], api_key=key)
        assert sent == [None if key is None else f"Bearer {key}"]


def test_a_user_name_in_the_url_is_basic_authentication(mode: Mode) -> None:
    async def body(upstream: Upstream) -> None:
        url = upstream.url.replace("//", "//bob%40home:s3%2Fcret@") + "/"
        async with mode.client(provider="passthrough", base_url=url) as memory:
            await memory.list(user_id="maya")
        with pytest.raises(ProviderError) as raised:
            async with mode.client(provider="passthrough", base_url="http://bob:s3cret@127.0.0.1:1"):
                pass
        assert "s3cret" not in str(raised.value)
        assert "http://127.0.0.1:1 " in str(raised.value)

    with Upstream(good) as upstream:
        mode.run(body(upstream))
        assert upstream.requests[0].headers["authorization"] == "Basic Ym9iQGhvbWU6czMvY3JldA=="
    with pytest.raises(InvalidRequestError, match="user name") as refused:
        mode.client(provider="passthrough", base_url="http://bob:s3cret@host", api_key="omk_key")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://h:port", "http://[::1", "ftp://h", "http://", "http://h?q=1", "http://h#f", "h", "http://h:99999999"],
)
def test_what_is_no_url_is_refused_without_being_shown(mode: Mode, url: str) -> None:
    with pytest.raises(InvalidRequestError, match="base_url") as refused:
        mode.client(provider="passthrough", base_url=url.replace("//", "//bob:s3cret@"))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a b", "exa\u0000mple"])
def test_a_host_that_is_none_is_an_error_of_ours(mode: Mode, host: str) -> None:
    async def body() -> None:
        with pytest.raises(OMPError):
            async with mode.client(provider="passthrough", base_url=f"http://{host}"):
                pass

    mode.run(body())


def test_limits_of_the_server_are_known(mode: Mode) -> None:
    async def body(upstream: Upstream) -> None:
        async with client_of(mode, upstream) as memory:
            assert (await memory.capabilities()).limits.max_search_results == 20

    with Upstream(good, limits=CapabilityLimits(max_search_results=20)) as upstream:
        mode.run(body(upstream))


class _AsFound:
    """A reranker that changes nothing."""

    model = "as-found"

    def rerank(self, query: str, texts: list[str]) -> list[float]:
        return [1.0 for _ in texts]


@pytest.mark.parametrize("most", [20, 1, 0, -5, None])
def test_no_more_is_asked_for_than_the_server_finds(mode: Mode, most: int | None) -> None:
    async def body(upstream: Upstream) -> None:
        async with client_of(mode, upstream, reranker=_AsFound()) as memory:
            await memory.search("tea", user_id="maya", limit=1)
            await memory.context("tea", user_id="maya")

    with Upstream(good, limits=CapabilityLimits(max_search_results=most)) as upstream:
        mode.run(body(upstream))
        assert [int(request.query["limit"]) for request in upstream.requests] == (
            [50, 100] if not most else [max(1, most)] * 2
        )


def test_omp_server_says_that_the_server_behind_it_is_wrong() -> None:
    """Not that it is wrong itself: 502, and not 500."""
    for kind in ("nested deeply", "nested deeply in a memory", "bad gzip", "no UTF-8", "a lone surrogate", "no HTTP"):

        def answer(request: Request, kind: str = kind) -> Iterable[Piece]:
            return good(request) if request.path == "/healthz" else WRONG[kind]

        with Upstream(answer) as upstream:
            config = OmpServerConfig(provider="passthrough", settings={"base_url": upstream.url, "timeout": 5})
            with serving(config) as url, httpx.Client(base_url=url, trust_env=False) as client:
                response = client.get("/memories", params={"user_id": "maya"})
        assert response.status_code in (502, 503), (kind, response.text)
        assert response.status_code == 502 or kind == "no HTTP"
