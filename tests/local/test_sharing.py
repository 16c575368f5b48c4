"""Several processes and clients on one embedded server, and the ways in which they end."""

from __future__ import annotations

import signal

import psutil
import pytest

from openmem import Memory

from .conftest import Home, Start

MODES = ("sync", "async")


@pytest.mark.parametrize("mode", MODES)
def test_two_applications_share_a_server_that_the_last_one_stops(home: Home, start: Start, mode: str) -> None:
    first, second = start(home.path, mode), start(home.path, mode)
    first.do("open")
    server = home.postmaster()
    second.do("open")
    assert home.postmaster() == server
    written = first.do("add shared")
    assert written in second.do("list")

    first.do("close")
    assert home.is_running
    assert written in second.do("list")
    second.do("close")
    assert home.cluster.state() is None
    assert [first.end(), second.end()] == ["", ""]


@pytest.mark.parametrize("mode", MODES)
def test_what_a_killed_application_was_told_is_stored(home: Home, start: Start, mode: str) -> None:
    application = start(home.path, mode)
    application.do("open")
    application.begin("flood")
    acknowledged = {application.answer() for _ in range(40)}
    application.kill()
    assert home.is_running

    assert acknowledged <= home.everything()
    assert home.cluster.state() is None


@pytest.mark.parametrize("mode", MODES)
def test_an_application_that_never_closes_stops_the_server_when_it_ends(home: Home, start: Start, mode: str) -> None:
    application = start(home.path, mode)
    application.do("open")
    assert home.is_running
    application.end()
    assert home.cluster.state() is None


def test_an_application_that_ends_leaves_the_server_to_the_others(home: Home, start: Start) -> None:
    staying, leaving = start(home.path), start(home.path)
    leaving.do("open")
    staying.do("open")
    leaving.end()
    staying.do("add later")
    staying.do("close")
    assert home.cluster.state() is None


def test_a_forked_child_that_ends_leaves_the_server_to_its_parent(home: Home, start: Start) -> None:
    application = start(home.path)
    application.do("open")
    assert application.do("fork") == "0"
    application.do("add later")
    application.do("close")
    assert home.cluster.state() is None


def test_clients_of_one_process_share_the_server(home: Home) -> None:
    first = Memory("local", path=home.path, embedder="hashing")
    second = Memory("local", path=home.path, embedder="hashing")
    written = first.add(content="one process", user_id="u").id
    assert second.get(written).id == written
    first.close()
    first.close()
    assert second.get(written).id == written
    second.close()
    assert home.cluster.state() is None


def test_a_crashed_server_is_started_again_by_the_next_client(home: Home, start: Start) -> None:
    application = start(home.path)
    application.do("open")
    written = application.do("add precious")
    server = home.postmaster()
    server.send_signal(signal.SIGKILL)
    psutil.wait_procs([server], timeout=5)

    with Memory("local", path=home.path, embedder="hashing") as memory:
        assert memory.get(written).content == "precious"
        assert written in application.do("list")
    application.do("close")
    assert home.cluster.state() is None


@pytest.mark.parametrize("mode", MODES)
def test_a_client_starts_its_crashed_server_again(home: Home, start: Start, mode: str) -> None:
    application = start(home.path, mode)
    written = application.do("add precious")
    home.cluster.kill()
    noticed = application.do("try again")
    assert noticed.startswith(("mem_", "provider_unavailable: "))
    assert written in application.do("list")
    application.do("close")
    assert home.cluster.state() is None


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_was_shut_down_is_started_by_the_next_call(home: Home, start: Start, mode: str) -> None:
    application = start(home.path, mode)
    application.do("open")
    application.begin("flood")
    acknowledged = {application.answer() for _ in range(10)}
    for _ in range(3):
        server = home.postmaster()
        server.send_signal(signal.SIGINT)
        psutil.wait_procs([server], timeout=10)
        acknowledged |= {application.answer() for _ in range(30)}
    application.kill()
    assert all(answer.startswith("mem_") for answer in acknowledged), acknowledged
    assert acknowledged <= home.everything()


def test_a_process_that_took_the_number_of_a_crashed_server_is_left_alone(home: Home, start: Start) -> None:
    application = start(home.path)
    application.do("open")
    home.cluster.kill()
    lines = (home.data / "postmaster.pid").read_text().splitlines(keepends=True)
    (home.data / "postmaster.pid").write_text("".join([f"{application.process.pid}\n", *lines[1:]]))

    with Memory("local", path=home.path, embedder="hashing") as memory:
        memory.list("u")
    assert application.process.poll() is None
    application.do("close")


def test_six_applications_make_one_server_together(fresh: Home, start: Start) -> None:
    applications = [start(fresh.path) for _ in range(6)]
    for application in applications:
        application.begin("open")
    assert [application.answer() for application in applications] == ["opened"] * 6
    for application in applications:
        application.do("add together")
    assert len(applications[0].do("list").split()) == 6
    for application in applications:
        application.begin("close")
    assert [application.answer() for application in applications] == ["closed"] * 6
    assert fresh.cluster.state() is None


def test_an_application_killed_while_it_makes_the_data_leaves_nothing_in_the_way(fresh: Home, start: Start) -> None:
    application = start(fresh.path)
    application.begin("open")
    while not list(fresh.path.glob("new-*/PG_VERSION")):
        assert application.process.poll() is None
    application.kill()
    assert not fresh.data.exists()

    with Memory("local", path=fresh.path, embedder="hashing") as memory:
        memory.add(content="made anew", user_id="u")
    assert not list(fresh.path.glob("new-*"))
