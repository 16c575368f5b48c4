"""The reference backend, on the oldest and the newest server."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from openmem.testing import ConformanceSuite

SERVERS = {"postgres18": "server", "postgres16": "server_16"}


class TestPostgres(ConformanceSuite):
    url: ClassVar[str]

    @pytest.fixture(scope="class", params=list(SERVERS))
    @classmethod
    def backend(cls, request: pytest.FixtureRequest) -> None:
        cls.url = request.getfixturevalue(SERVERS[request.param]).create_database()

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"url": self.url, "embedder": "hashing", **settings}
