"""The conformance suite on the hosted API: on its stand-in, and on request on the service itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from openmem import Memory, NotFoundError
from openmem.models import MemoryRecord
from openmem.providers.vendors.mem0.provider import Mem0Provider
from openmem.testing import ConformanceSuite

from .service import KEY, Service


class HostedSuite(ConformanceSuite):
    """The suite, which deletes in the end what it stored."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _clean(cls, backend: None) -> Iterator[None]:
        stored: list[str] = []
        insert = Mem0Provider.insert

        async def insert_and_remember(self: Mem0Provider, draft: MemoryRecord) -> MemoryRecord:
            record = await insert(self, draft)
            stored.append(record.id)
            return record

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Mem0Provider, "insert", insert_and_remember)
            yield
        with Memory(**cls().make()) as memory:
            for id in stored:
                try:
                    memory.delete(id)
                except NotFoundError:
                    continue


class TestHosted(HostedSuite):
    service: ClassVar[Service]

    @pytest.fixture(scope="class", params=["stand-in"])
    @classmethod
    def backend(cls) -> Iterator[None]:
        cls.service = Service()
        cls.service.start()
        yield
        cls.service.stop()
        assert "GET /v1/ping/" not in cls.service.verbs
        assert cls.service.memories == {}

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "mem0", "api_key": KEY, "host": self.service.url, **settings}


if os.environ.get("OPENMEM_LIVE") == "1" and os.environ.get("MEM0_API_KEY"):

    class TestLive(HostedSuite):
        def make(self, **settings: Any) -> dict[str, Any]:
            return {"provider": "mem0", **settings}
