"""The conformance suite: on a stand-in for Letta's server, on a real server, and on the hosted service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from letta_client import Letta

from openmem.providers.vendors.letta.archives import ARCHIVE_PREFIX
from openmem.testing import ConformanceSuite

from .backends import NAME, Backend, running_backend


class OnServer(ConformanceSuite):
    server: ClassVar[Backend]

    @pytest.fixture(scope="class", params=[NAME])
    @classmethod
    def backend(cls) -> Iterator[None]:
        with running_backend() as cls.server:
            yield


class TestVectors(OnServer):
    """Archives with an embedding model."""

    def make(self, **settings: Any) -> dict[str, Any]:
        config = self.server.embedding_config
        return {"provider": "letta", "host": self.server.url, "embedding_config": config, **settings}


if NAME == "real":

    class TestWords(OnServer):
        """Archives without one."""

        def make(self, **settings: Any) -> dict[str, Any]:
            return {"provider": "letta", "host": self.server.url, **settings}


if os.environ.get("OPENMEM_LIVE") == "1" and os.environ.get("LETTA_API_KEY"):

    class TestLive(ConformanceSuite):
        def make(self, **settings: Any) -> dict[str, Any]:
            return {"provider": "letta", **settings}

        @pytest.fixture(autouse=True)
        def _clean(self, _bound: None) -> Iterator[None]:
            yield
            with Letta() as client:
                for archive in list(client.archives.list(order="desc")):
                    if archive.name.startswith((f"{ARCHIVE_PREFIX}{self.user}", f"{ARCHIVE_PREFIX}{self.other}")):
                        client.archives.delete(archive.id)
