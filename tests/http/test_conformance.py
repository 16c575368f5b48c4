"""The passthrough provider through a real server: omp-server on uvicorn, over PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import pytest
import uvicorn

from openmem.server import OmpServerConfig, create_app
from openmem.testing import ConformanceSuite, Contract, requires
from tests.servers import Server, free_port


@contextmanager
def serving(config: OmpServerConfig) -> Iterator[str]:
    """A server in a thread of its own; its URL."""
    port = free_port()
    config_of_uvicorn = uvicorn.Config(create_app(config), host="127.0.0.1", port=port, log_config=None, ws="none")
    server = uvicorn.Server(config_of_uvicorn)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


class OverHttp(Contract):
    """Settings of the backend are those of a server, so each gets one of its own over the same database."""

    servers: ClassVar[ExitStack]
    settings: ClassVar[dict[str, Any]]
    urls: ClassVar[dict[Any, str]]

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, server: Server) -> Iterator[None]:
        cls.settings = {"url": server.create_database(), "embedder": "hashing"}
        cls.urls = {}
        with ExitStack() as cls.servers:
            yield

    def make(self, **settings: Any) -> dict[str, Any]:
        audit = settings.pop("audit", "all")
        if audit not in self.urls:
            config = OmpServerConfig(settings={**self.settings, "audit": audit})
            self.urls[audit] = self.servers.enter_context(serving(config))
        return {"provider": "passthrough", "base_url": self.urls[audit], **settings}


class TestPassthrough(OverHttp, ConformanceSuite):
    @requires("add", "get", "update", "delete", "audit", "supports_audit")
    async def test_what_is_denied_leaves_no_entry(self) -> None:
        """A client's own grants are unknown to the server, which logs that the client looked at the scope."""
        record = await self.memory.add(content="tea", user_id=self.user)
        await self.assert_all_denied(record.id)
        assert {entry.action for entry in await self.memory.audit(self.user)} == {"add", "get"}
