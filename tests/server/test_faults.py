"""Clients that go away, backends that are gone, and the end of the server."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from openmem.client import Client
from openmem.server import OmpServerConfig, create_app
from tests.proxy import Proxy
from tests.servers import Server

from .harness import Process, Running, envelope, running


@pytest.fixture
def own(database: str) -> Iterator[Running]:
    """A server over a database of its own."""
    with running(OmpServerConfig(settings={"url": database, "embedder": "hashing"})) as server:
        yield server


def until(condition: Callable[[], bool], seconds: float = 5.0) -> float:
    """Wait until `condition` holds; the seconds it took."""
    started = time.perf_counter()
    while not condition():
        assert time.perf_counter() - started < seconds, "it did not happen in time"
        time.sleep(0.005)
    return time.perf_counter() - started


def waiting(watcher: psycopg.Connection[Any]) -> int:
    """Statements that wait for a lock."""
    row = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def is_refused(omp: Process) -> bool:
    """Whether nobody listens there any more."""
    try:
        omp.connect().close()
    except ConnectionRefusedError:
        return True
    return False


ADD = b'{"user_id": "u", "content": "lost"}'
REQUESTS = {
    "list": b"GET /memories?user_id=u HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "search": b"GET /memories/search?user_id=u&q=x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "add": b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(ADD), ADD),
}


@pytest.mark.parametrize("verb", ["list", "search", "add"])
def test_a_client_that_disconnects_cancels_its_query(own: Running, database: str, verb: str) -> None:
    with own.client() as client, psycopg.connect(database, autocommit=True) as watcher:
        client.get("/memories?user_id=u").raise_for_status()
        with psycopg.connect(database) as blocker:
            blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
            with own.connect() as wire:
                wire.sendall(REQUESTS[verb])
                until(lambda: waiting(watcher) == 1)
            assert until(lambda: waiting(watcher) == 0) < 1
        assert client.get("/memories?user_id=u").json()["items"] == []


def test_many_disconnects_leave_nothing_behind(own: Running, database: str) -> None:
    with own.client() as client, psycopg.connect(database, autocommit=True) as watcher:
        client.get("/memories?user_id=u").raise_for_status()
        with psycopg.connect(database) as blocker:
            blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
            for _ in range(3):
                wires = [own.connect() for _ in range(20)]
                for wire in wires:
                    wire.sendall(REQUESTS["list"])
                until(lambda: waiting(watcher) == 10)
                for wire in wires:
                    wire.close()
                until(lambda: waiting(watcher) == 0)
        until(lambda: not own.server.server_state.tasks)
        assert [client.get("/memories?user_id=u").status_code for _ in range(20)] == [200] * 20


def test_health_follows_the_backend() -> None:
    server = Server(18)
    server.start()
    try:
        config = OmpServerConfig(settings={"url": server.create_database(), "embedder": "hashing"})
        with running(config) as omp, omp.client() as client:
            assert client.get("/healthz").status_code == 200
            server.stop()
            started = time.perf_counter()
            error = envelope(client.get("/healthz"), 503, "provider_unavailable")
            assert time.perf_counter() - started < 2.5
            assert str(server.port) not in error["message"]
            error = envelope(client.get("/memories?user_id=u"), 503, "provider_unavailable")
            assert str(server.port) not in error["message"]
            server.start()
            assert client.get("/healthz").status_code == 200
            assert client.get("/memories?user_id=u").status_code == 200
    finally:
        server.remove()


def test_health_is_told_in_time_on_a_dead_network(server: Server, database: str) -> None:
    with Proxy(server.port) as proxy:
        url = server.url(database.rpartition("/")[2], port=proxy.port)
        with running(OmpServerConfig(settings={"url": url, "embedder": "hashing"})) as omp, omp.client() as client:
            client.get("/memories?user_id=u").raise_for_status()
            proxy.freeze()
            started = time.perf_counter()
            with ThreadPoolExecutor(8) as pool:
                statuses = list(pool.map(lambda _: client.get("/healthz").status_code, range(8)))
            assert statuses == [503] * 8
            assert time.perf_counter() - started < 3
            proxy.thaw()
            assert client.get("/healthz").status_code == 200


def test_a_backend_that_comes_later_is_waited_for(server: Server, database: str) -> None:
    with Proxy(server.port) as proxy:
        proxy.refuse()
        url = server.url(database.rpartition("/")[2], port=proxy.port)
        with running(OmpServerConfig(settings={"url": url, "embedder": "hashing"})) as omp, omp.client() as client:
            envelope(client.get("/healthz"), 503, "provider_unavailable")
            envelope(client.get("/memories?user_id=u"), 503, "provider_unavailable")
            proxy.accept()
            assert client.get("/healthz").status_code == 200
            assert client.get("/memories?user_id=u").status_code == 200


def test_a_lost_reply_makes_no_duplicate(own: Running) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"user_id": "u", "content": "lost"}
    with own.client() as client:
        with own.connect() as wire:
            head, _, rest = REQUESTS["add"].partition(b"\r\n")
            wire.sendall(b"%s\r\nIdempotency-Key: %s\r\n%s" % (head, headers["Idempotency-Key"].encode(), rest))
            until(lambda: len(client.get("/memories?user_id=u").json()["items"]) == 1)
        first = client.post("/memories", json=body, headers=headers)
        again = client.post("/memories", json=body, headers=headers)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert len(client.get("/memories?user_id=u").json()["items"]) == 1
        other = {**body, "content": "something else"}
        envelope(client.post("/memories", json=other, headers=headers), 400, "invalid_request")
        envelope(client.post("/memories", json={**body, "tags": ["t"]}, headers=headers), 400, "invalid_request")
        assert client.post("/memories", json={**other, "user_id": "v"}, headers=headers).status_code == 201


def test_concurrent_duplicates_on_two_servers_store_once(own: Running, database: str) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"user_id": "u", "content": "once"}
    config = OmpServerConfig(settings={"url": database, "embedder": "hashing"})
    with running(config) as second, own.client() as one, second.client() as two, ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(client.post, "/memories", json=body, headers=headers) for client in (one, two) * 6]
        replies = [call.result() for call in calls]
        assert {reply.status_code for reply in replies} == {201}
        assert len({reply.text for reply in replies}) == 1
        assert len(one.get("/memories?user_id=u").json()["items"]) == 1
        actions = [entry["action"] for entry in one.get("/audit?user_id=u").json()["entries"]]
        assert actions.count("add") == 1


def test_keys_are_forgotten_after_a_day(own: Running, database: str) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"user_id": "u", "content": "daily"}
    with own.client() as client, psycopg.connect(database, autocommit=True) as admin:
        first = client.post("/memories", json=body, headers=headers).json()
        client.post("/memories", json=body, headers={"Idempotency-Key": "other"}).raise_for_status()
        admin.execute("UPDATE openmem.idempotency_keys SET at = at - interval '24 hours 1 second'")
        second = client.post("/memories", json=body, headers=headers).json()
        assert second["id"] != first["id"]
        assert client.post("/memories", json=body, headers=headers).json() == second
        assert admin.execute("SELECT count(*) FROM openmem.idempotency_keys").fetchone() == (1,)


def test_a_repeated_add_ends_no_validity_again(own: Running) -> None:
    headers = {"Idempotency-Key": "k"}
    with own.client() as client:
        old = client.post("/memories", json={"user_id": "u", "content": "old"}).json()
        path = f"/memories/{old['id']}"
        body = {"user_id": "u", "content": "new", "supersedes": [old["id"]]}
        first = client.post("/memories", json=body, headers=headers).json()
        ended = client.get(path).json()
        assert "valid_to" in ended
        assert client.post("/memories", json=body, headers=headers).json() == first
        assert client.get(path).json() == ended
        client.delete(path).raise_for_status()
        assert client.post("/memories", json=body, headers=headers).json() == first


def test_an_add_that_was_refused_leaves_its_key_free(own: Running) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"user_id": "u", "content": "new"}
    with own.client() as client:
        refused = client.post("/memories", json={**body, "supersedes": ["mem_unknown"]}, headers=headers)
        envelope(refused, 400, "invalid_request")
        assert client.post("/memories", json=body, headers=headers).status_code == 201


def test_a_deleted_memory_does_not_come_back(own: Running) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"user_id": "u", "content": "gone"}
    with own.client() as client:
        record = client.post("/memories", json=body, headers=headers).json()
        client.delete(f"/memories/{record['id']}").raise_for_status()
        envelope(client.post("/memories", json=body, headers=headers), 400, "invalid_request")
        assert client.get("/memories?user_id=u").json()["items"] == []


def test_a_defect_tells_nothing(
    shared: Running, settings: dict[str, object], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret value")

    with caplog.at_level(logging.DEBUG), shared.client() as client:
        monkeypatch.setattr(Client, "run", fail)
        error = envelope(client.get("/memories?user_id=u"), 500, "internal_error")
    assert "ZeroDivisionError" in caplog.text
    assert "test_faults.py" in caplog.text
    assert error["request_id"] in caplog.text
    assert "the secret value" not in caplog.text + json.dumps(error)


def test_running_requests_are_finished_at_the_end(database: str) -> None:
    with (
        Process("--port", "0", OMP_POSTGRES_URL=database) as omp,
        ThreadPoolExecutor(1) as pool,
        omp.client() as client,
    ):
        client.get("/memories?user_id=u").raise_for_status()
        with psycopg.connect(database, autocommit=True) as watcher, psycopg.connect(database) as blocker:
            blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
            adding = pool.submit(client.post, "/memories", json={"content": "kept", "user_id": "u"})
            until(lambda: waiting(watcher) == 1)
            omp.process.terminate()
            until(lambda: is_refused(omp))
            assert omp.process.poll() is None
        reply = adding.result()
        status, _, _ = omp.finish()
    assert (status, reply.status_code) == (0, 201)
    with psycopg.connect(database) as reader:
        assert reader.execute("SELECT id FROM openmem.memories").fetchall() == [(reply.json()["id"],)]
        rest = reader.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        assert rest == (0,)


def test_requests_that_take_longer_than_the_grace_are_told_so(database: str) -> None:
    arguments = ("--port", "0", "--shutdown-grace", "1")
    with Process(*arguments, OMP_POSTGRES_URL=database) as omp, ThreadPoolExecutor(1) as pool, omp.client() as client:
        client.get("/memories?user_id=u").raise_for_status()
        with psycopg.connect(database, autocommit=True) as watcher, psycopg.connect(database) as blocker:
            blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
            adding = pool.submit(client.post, "/memories", json={"content": "lost", "user_id": "u"})
            until(lambda: waiting(watcher) == 1)
            status, _, errors = omp.end()
            assert status == 0, errors
            envelope(adding.result(), 503, "provider_unavailable")
            until(lambda: waiting(watcher) == 0, 1)
    assert "Traceback" not in errors
    with psycopg.connect(database) as reader:
        assert reader.execute("SELECT count(*) FROM openmem.memories").fetchone() == (0,)


def test_the_application_runs_under_any_asgi_server(database: str) -> None:
    async def main(app: FastAPI) -> None:
        transport = httpx.ASGITransport(app)
        client = httpx.AsyncClient(transport=transport, base_url="http://anywhere", verify=False)
        async with app.router.lifespan_context(app), client:
            added = await client.post("/memories", json={"content": "c", "user_id": "u"})
            envelope(await client.get("/nowhere"), 404, "not_found")
            assert (await client.get(f"/memories/{added.json()['id']}")).json() == added.json()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main(create_app(OmpServerConfig(settings={"url": database, "embedder": "hashing"}))))
