"""mem0's open-source engine, for real: its own code, a vector store in this process, no network."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from qdrant_client import QdrantClient

from openmem.testing import ConformanceSuite


class TestEngine(ConformanceSuite):
    store: ClassVar[Any]

    @pytest.fixture(scope="class", params=["wordllama"])
    @classmethod
    def backend(cls) -> Any:
        cls.store = QdrantClient(":memory:")
        yield
        cls.store.close()

    def make(self, **settings: Any) -> dict[str, Any]:
        store = {"provider": "qdrant", "config": {"client": self.store, "collection_name": "suite"}}
        return {"provider": "mem0", "config": {"vector_store": store}, "embedder": "wordllama", **settings}
