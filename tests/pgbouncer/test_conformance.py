"""The reference backend behind PgBouncer in transaction mode."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from openmem.testing import ConformanceSuite

from .pooler import Pooler


class TestPgBouncer(ConformanceSuite):
    url: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def backend(cls, pooler: Pooler) -> None:
        cls.url, _ = pooler.create_database()

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"url": self.url, "embedder": "hashing", **settings}
