"""What the server uses of h11 and uvicorn beyond their documented interfaces, name by name.

A version in which one of these is gone fails here, and pyproject.toml keeps such versions out.
"""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import h11
import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from openmem.server.strict_http import StrictConnection


@pytest.mark.parametrize("name", ["h11", "uvicorn"])
def test_only_tested_versions_are_allowed(name: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {need.name: need for need in map(Requirement, project["optional-dependencies"]["server"])}
    assert {bound.operator for bound in needed[name].specifier} == {">=", "<"}
    assert version(name) in needed[name].specifier


def test_what_h11_has_received_and_not_read() -> None:
    connection = StrictConnection()
    connection.receive_data(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert bytes(connection._receive_buffer) == bytes(connection._receive_buffer._data)
    assert callable(connection._receive_buffer.maybe_extract_at_most)
    assert isinstance(connection.next_event(), h11.Request)
    assert isinstance(connection.next_event(), h11.EndOfMessage)


@pytest.mark.parametrize(
    "name",
    [
        "connection_made", "connection_lost", "data_received", "handle_events", "on_response_complete",
        "pause_writing", "resume_writing", "send_400_response", "shutdown",
    ],
)  # fmt: skip
def test_methods_of_a_connection(name: str) -> None:
    assert callable(getattr(H11Protocol, name))


def test_attributes_of_a_connection_and_its_request() -> None:
    async def made() -> H11Protocol:
        config = uvicorn.Config(lambda *_: None, lifespan="off", log_config=None)
        config.load()
        loop = asyncio.get_running_loop()
        return H11Protocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)

    protocol = asyncio.run(made())
    for name in ("conn", "cycle", "loop", "transport", "server_state"):
        assert hasattr(protocol, name)
    cycle = set(inspect.signature(RequestResponseCycle.__init__).parameters)
    assert {"scope", "message_event"} <= cycle
    assert {"disconnected", "response_complete"} <= set(RequestResponseCycle.__init__.__code__.co_names)


def test_what_a_server_shares_with_its_connections() -> None:
    state = ServerState()
    assert (state.connections, state.tasks, state.default_headers) == (set(), set(), [])


def test_a_server_that_is_started_and_stopped_in_another_way() -> None:
    config = uvicorn.Config(lambda *_: None, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    assert [server.started, server.should_exit, server.force_exit] == [False] * 3
    for name in ("startup", "shutdown", "serve", "capture_signals"):
        assert callable(getattr(server, name))
    config.load()
    assert isinstance(config.http_protocol_class, type)
    assert callable(config.get_loop_factory)
