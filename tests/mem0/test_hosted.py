"""The conformance suite on the hosted API: on its stand-in, and on request on the service itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from openmem import Memory
from openmem.testing import ConformanceSuite

from .service import KEY, Service


class TestHosted(ConformanceSuite):
    url: ClassVar[str]

    @pytest.fixture(scope="class", params=["stand-in"])
    @classmethod
    def backend(cls) -> Iterator[None]:
        service = Service()
        service.start()
        cls.url = service.url
        yield
        service.stop()
        assert "GET /v1/ping/" not in service.verbs

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "mem0", "api_key": KEY, "host": self.url, **settings}


if os.environ.get("OPENMEM_LIVE") == "1" and os.environ.get("MEM0_API_KEY"):

    class TestLive(ConformanceSuite):
        def make(self, **settings: Any) -> dict[str, Any]:
            return {"provider": "mem0", **settings}

        @pytest.fixture(autouse=True)
        def _clean(self, _bound: None) -> Iterator[None]:
            yield
            with Memory(**self.make()) as memory:
                for user in (self.user, self.other):
                    while items := memory.list(user, limit=500).items:
                        for item in items:
                            memory.delete(item.id)
