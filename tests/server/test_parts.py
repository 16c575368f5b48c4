"""Parts of the server on their own: adds that are remembered here, what is measured, what must be installed."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import trace

from openmem import InvalidRequestError, MemoryRecord
from openmem.operations import Add
from openmem.server import OmpServerConfig, create_app
from openmem.server.idempotency import LIFETIME_SECONDS, MAX_KEYS, IdempotencyStore
from openmem.server.serve import _log_without_values
from openmem.server.telemetry import Tracing

from .harness import envelope, running

TEA = Add(content="tea", user_id="u")
COFFEE = Add(content="coffee", user_id="u")


class Backend:
    """Counts what is added; an add waits for `may_answer`, and fails while `failure` is set."""

    def __init__(self) -> None:
        self.count = 0
        self.may_answer = asyncio.Event()
        self.failure: Exception | None = None

    def add(self) -> Coroutine[Any, Any, MemoryRecord]:
        self.count += 1
        return self._add(self.count)

    async def _add(self, number: int) -> MemoryRecord:
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return MemoryRecord(id=f"mem_{number}", content="tea", user_id="u", created_at=datetime.now(UTC))


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


@on_a_loop
async def test_duplicates_at_one_moment_are_added_once() -> None:
    adds, backend = IdempotencyStore(), Backend()
    calls = [asyncio.create_task(adds.once(TEA, "k", backend.add)) for _ in range(3)]
    await asyncio.sleep(0)
    backend.may_answer.set()
    assert {record.id for record in await asyncio.gather(*calls)} == {"mem_1"}
    assert (await adds.once(TEA, "k", backend.add)).id == "mem_1"
    assert (await adds.once(TEA, "other", backend.add)).id == "mem_2"
    with pytest.raises(InvalidRequestError, match="another body"):
        await adds.once(COFFEE, "k", backend.add)
    assert backend.count == 2


def test_the_order_of_keys_makes_no_other_memory() -> None:
    fields = {"x-a": {"one": 1, "two": [{"three": 3, "four": 4}]}, "x-b": 2}
    mirrored = {"x-b": 2, "x-a": {"two": [{"four": 4, "three": 3}], "one": 1}}
    one, other, third = (
        Add(content="tea", user_id="u", extensions=extensions) for extensions in (fields, mirrored, {"x-b": 2})
    )
    assert one.fingerprint == other.fingerprint != third.fingerprint


@on_a_loop
async def test_an_add_goes_on_without_its_client() -> None:
    adds, backend = IdempotencyStore(), Backend()
    call = asyncio.create_task(adds.once(TEA, "k", backend.add))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    backend.may_answer.set()
    await adds.close()
    assert (await adds.once(TEA, "k", backend.add)).id == "mem_1"


@on_a_loop
async def test_an_add_that_failed_is_done_again() -> None:
    adds, backend = IdempotencyStore(), Backend()
    backend.may_answer.set()
    backend.failure = RuntimeError("no")
    with pytest.raises(RuntimeError, match="no"):
        await adds.once(TEA, "k", backend.add)
    backend.failure = None
    assert (await adds.once(TEA, "k", backend.add)).id == "mem_2"


@on_a_loop
async def test_adds_are_remembered_for_a_day_and_not_without_bound() -> None:
    now = 0.0
    adds, backend = IdempotencyStore(lambda: now), Backend()
    backend.may_answer.set()
    assert (await adds.once(TEA, "k", backend.add)).id == "mem_1"
    now = LIFETIME_SECONDS
    assert (await adds.once(TEA, "k", backend.add)).id == "mem_1"
    now = LIFETIME_SECONDS + 1
    assert (await adds.once(TEA, "k", backend.add)).id == "mem_2"
    for number in range(MAX_KEYS - 1):
        await adds.once(TEA, str(number), backend.add)
    assert (await adds.once(TEA, "k", backend.add)).id == "mem_2"
    await adds.once(TEA, "one too many", backend.add)
    assert (await adds.once(TEA, "k", backend.add)).id != "mem_2"


def test_metrics_are_served_when_asked_for(settings: dict[str, object]) -> None:
    with running(OmpServerConfig(settings=settings, metrics=True)) as server, server.client() as client:
        client.get("/memories?user_id=somebody").raise_for_status()
        client.get("/nowhere")
        text = client.get("/metrics").text
    assert 'omp_requests_total{status="200",verb="list"} 1.0' in text
    assert 'omp_requests_total{status="404",verb="other"} 1.0' in text
    assert 'omp_request_seconds_count{verb="list"} 1.0' in text
    assert "omp_requests_in_flight 0.0" in text
    assert 'omp_pool_connections{state="idle"} 1.0' in text
    assert "somebody" not in text


def test_metrics_are_off_by_default(settings: dict[str, object]) -> None:
    with running(OmpServerConfig(settings=settings)) as server, server.client() as client:
        envelope(client.get("/metrics"), 404, "not_found")


def test_metrics_need_a_key_where_there_are_keys(settings: dict[str, object]) -> None:
    config = OmpServerConfig(settings=settings, metrics=True, keys=["k" * 32])
    with running(config) as server, server.client() as client:
        envelope(client.get("/metrics"), 401, "unauthorized")
        assert client.get("/metrics", headers={"X-API-Key": "k" * 32}).status_code == 200


class Spans:
    """A tracer that keeps what it is told."""

    def __init__(self) -> None:
        self.parents: list[int] = []
        self.told: list[object] = []

    def start_as_current_span(self, name: str, context: Any = None, **_: Any) -> Any:
        self.parents.append(trace.get_current_span(context).get_span_context().trace_id)
        spans = self

        class Recorded(trace.NonRecordingSpan):
            def update_name(self, name: str) -> None:
                spans.told.append(name)

            def set_attribute(self, key: str, value: Any) -> None:
                spans.told.append((key, value))

            def set_status(self, status: Any, description: str | None = None) -> None:
                spans.told.append(status)

        return trace.use_span(Recorded(trace.INVALID_SPAN_CONTEXT))


def test_a_span_tells_its_route_and_verb_and_no_more(
    settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = Spans()
    monkeypatch.setattr(Tracing, "__init__", _with_tracer(Tracing.__init__, spans))
    with running(OmpServerConfig(settings=settings)) as server, server.client() as client:
        parent = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        client.get("/memories?user_id=somebody", headers=parent).raise_for_status()
    assert spans.parents == [int("ab" * 16, 16)]
    assert spans.told == [
        ("http.request.method", "GET"),
        "GET /memories",
        ("http.route", "/memories"),
        ("omp.verb", "list"),
        ("http.response.status_code", 200),
    ]


def _with_tracer(made: Callable[[Tracing], None], tracer: Spans) -> Callable[[Tracing], None]:
    def make(tracing: Tracing) -> None:
        made(tracing)
        tracing._tracer = tracer

    return make


@on_a_loop
async def test_trouble_on_the_loop_is_logged_without_values(caplog: pytest.LogCaptureFixture) -> None:
    def fail(value: str) -> None:
        raise ValueError(f"{value} is not good")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_without_values)
    loop.call_soon(fail, "the secret value")
    await asyncio.sleep(0)
    assert "Exception in callback: ValueError at " in caplog.text
    assert "test_parts.py" in caplog.text
    assert "secret" not in caplog.text


def test_grants_belong_to_keys() -> None:
    with pytest.raises(InvalidRequestError, match="grants"):
        create_app(OmpServerConfig(settings={"url": "postgresql://h/d", "grants": ["read:*"]}))


@pytest.mark.parametrize("module", ["fastapi", "uvicorn", "fasteners"])
@pytest.mark.parametrize(
    "statement",
    [
        "from openmem.server import create_app",
        "from openmem.server import OmpServerConfig",
        "import sys; from openmem.server.cli import main; sys.exit(main(['--provider', 'local']))",
    ],
)
def test_a_missing_extra_is_one_clear_error(statement: str, module: str) -> None:
    hide = (
        "import importlib.util as u, sys; find = u.find_spec; "
        f"u.find_spec = lambda name, *a: None if name == {module!r} else find(name, *a); "
        f"sys.modules[{module!r}] = None; "
    )
    done = subprocess.run([sys.executable, "-c", hide + statement], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("pip install 'openmem[server]'")
    assert "main" not in statement or "Traceback" not in done.stderr
