"""The embedded server, which differs from the reference backend only in how it is reached."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from openmem.testing import ConformanceSuite


class TestLocal(ConformanceSuite):
    path: ClassVar[str]

    @pytest.fixture(scope="class", params=["local"])
    @classmethod
    def backend(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.path = str(tmp_path_factory.mktemp("local") / "data")

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "local", "path": self.path, "embedder": "hashing", **settings}
