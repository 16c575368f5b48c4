"""Memories in this process."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from openmem.providers.memory import MemoryStore
from openmem.testing import ConformanceSuite


class TestMemory(ConformanceSuite):
    store: ClassVar[MemoryStore]

    @pytest.fixture(scope="class", params=["memory"])
    @classmethod
    def backend(cls) -> None:
        cls.store = MemoryStore()

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "memory", "store": self.store, **settings}
