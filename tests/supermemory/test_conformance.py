"""The conformance suite, through the official SDK, against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from openmem.testing import ConformanceSuite

from .service import KEY, Service


class TestSupermemory(ConformanceSuite):
    service: ClassVar[Service]

    @pytest.fixture(scope="class", params=["stand-in"])
    @classmethod
    def backend(cls) -> Iterator[None]:
        cls.service = Service()
        cls.service.gives_own_ids = cls.service.merges = cls.service.knows_namespaces = True
        cls.service.start()
        try:
            yield
        finally:
            cls.service.stop()

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "supermemory", "host": self.service.url, "api_key": KEY, **settings}
