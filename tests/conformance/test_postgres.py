"""The reference backend, on the oldest and the newest server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import psycopg
import pytest

from openmem.testing import ConformanceSuite, requires

from ..servers import Server
from .one_mode import AsyncOnly


class TestPostgres(ConformanceSuite):
    url: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, server: Server) -> None:
        cls.url = server.create_database()

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"url": self.url, "embedder": "hashing", **settings}

    @requires()
    @pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
    async def test_the_time_zone_of_the_database_does_not_matter(self, zone: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET TimeZone = '{zone}'")
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        async with self.client() as client:
            record = await client.add(content="x", user_id=self.user, valid_from=first, valid_to=last)
            assert await client.get(record.id) == record
            assert (record.valid_from, record.valid_to) == (first, last)

    @requires()
    async def test_queries_may_run_in_parallel_workers(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET debug_parallel_query = on")
        try:
            async with self.client(audit="writes") as client:
                record = await client.add(content="green tea", user_id=self.user)
                assert [hit.memory.id for hit in await client.search("tea", self.user)] == [record.id]
                assert [item.id for item in (await client.list(self.user)).items] == [record.id]
        finally:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(f"ALTER DATABASE {connection.info.dbname} RESET debug_parallel_query")


class TestOldestPostgres(AsyncOnly, TestPostgres):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, server_16: Server) -> None:
        cls.url = server_16.create_database()
