"""A server that removes what has expired: again and again, whatever happens, until it stops."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from openmem import Memory
from openmem.call import Call
from openmem.client import Client
from openmem.errors import InvalidRequestError, ProviderError
from openmem.models import Purged
from openmem.operations import Operation, Purge
from openmem.server import OmpServerConfig, create_app
from openmem.server.purging import Purging
from openmem.settings import Interval

from ..http.upstream import wait_until
from ..servers import Server
from .harness import Process, running


class Backend:
    """A client that purges as a test says, and tells when it has been asked so often."""

    def __init__(self, *outcomes: Purged | Exception) -> None:
        self.provider = SimpleNamespace(name="fake", verbs=("purge",))
        self.calls: list[tuple[Operation, Call]] = []
        self.all_done = asyncio.Event()
        self._outcomes = list(outcomes)

    async def run(self, op: Operation, call: Call) -> Any:
        self.calls.append((op, call))
        if not self._outcomes:
            self.all_done.set()
            await asyncio.Event().wait()
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def purge(*outcomes: Purged | Exception) -> Backend:
    """Purge until all these outcomes have been, and once more, which is cut off."""

    async def body() -> Backend:
        backend = Backend(*outcomes)
        purging = Purging(cast(Client, backend), 0.001)
        purging.start()
        await asyncio.wait_for(backend.all_done.wait(), 10)
        await purging.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return backend

    return asyncio.run(body())


def test_each_time_is_one_line_of_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "openmem.purge")
    backend = purge(Purged(memories=3, audit_entries=4), Purged(memories=0, audit_entries=0))
    assert [op for op, _ in backend.calls] == [Purge()] * 3
    assert len({call.request_id for _, call in backend.calls}) == 3
    lines = [entry.getMessage() for entry in caplog.records if entry.name == "openmem.purge"]
    assert len(lines) == 2
    assert lines[0].startswith("purged memories=3 audit_entries=4 ms=")
    assert lines[0].endswith(f"request_id={backend.calls[0][1].request_id}")


def test_a_failure_is_a_warning_and_the_next_time_comes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "openmem.purge")
    purge(ProviderError("no database", code="provider_unavailable"), Purged(memories=1, audit_entries=0))
    failed, done = (entry for entry in caplog.records if entry.name == "openmem.purge")
    assert failed.levelname == "WARNING"
    assert "code=provider_unavailable" in failed.getMessage()
    assert done.getMessage().startswith("purged memories=1")


def test_a_defect_is_told_and_leaves_the_server_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        purging = Purging(cast(Client, Backend(ZeroDivisionError("of a text"))), 0.001)
        purging.start()
        assert purging._task is not None
        await asyncio.wait([purging._task])
        await purging.close()

    asyncio.run(body())
    [told] = [entry for entry in caplog.records if entry.name == "openmem.purge"]
    assert "ZeroDivisionError" in told.getMessage()
    assert "of a text" not in told.getMessage()


def test_a_backend_that_cannot_purge_is_refused_at_the_start() -> None:
    config = OmpServerConfig(provider="supermemory", settings={"api_key": "sm_0123456789"}, purge_every=60)
    with pytest.raises(InvalidRequestError, match="purge_every: provider 'supermemory' has no 'purge'"):
        create_app(config)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800)])
def test_an_interval_has_a_unit(text: str, seconds: float) -> None:
    assert Interval().parse(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "0h", "-1h", "1.5h", "1w", "h", "1 h", "9999999s"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        Interval().parse(text)


def test_the_command_purges_and_ends_cleanly() -> None:
    with Process("--provider", "memory", "--port", "0", "--purge-every", "1h") as omp:
        assert omp.process.stderr is not None
        line = omp.process.stderr.readline()
        assert "logger=openmem.purge purged memories=0 audit_entries=0 ms=" in line
        code, output, errors = omp.end()
    assert (code, output, errors) == (0, "", "")


def test_an_expired_memory_is_purged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    settings: dict[str, Any] = {"url": server.create_database(), "embedder": "hashing"}
    with Memory(**settings) as memory:
        memory.add(content="tea", user_id="maya", expires_at=datetime.now(UTC) + timedelta(milliseconds=1))
        memory.add(content="milk", user_id="maya")
    caplog.set_level(logging.INFO, "openmem.purge")
    with running(OmpServerConfig(settings=settings, purge_every=0.01)):
        assert wait_until(lambda: any("memories=1 " in entry.getMessage() for entry in caplog.records))
    with Memory(**settings) as memory:
        assert [record.content for record in memory.list("maya")] == ["milk"]
