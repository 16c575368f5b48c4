"""The conformance suite against the hosted service, with OPENMEM_LIVE=1 and SUPERMEMORY_API_KEY; else nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from openmem.providers.vendors.supermemory.sdk import SupermemoryClient
from openmem.testing import ConformanceSuite

if os.environ.get("OPENMEM_LIVE") == "1" and os.environ.get("SUPERMEMORY_API_KEY"):
    import supermemory

    class TestHosted(ConformanceSuite):
        @pytest.fixture(scope="class", params=["hosted"])
        @classmethod
        def backend(cls) -> Iterator[None]:
            """Deletes the namespaces that the tests made."""
            made: set[str] = set()
            add = SupermemoryClient.add

            def noting(self: SupermemoryClient, namespace: str, id: str, **body: Any) -> Any:
                made.add(namespace)
                return add(self, namespace, id, **body)

            with pytest.MonkeyPatch.context() as patch, supermemory.Supermemory() as client:
                patch.setattr(SupermemoryClient, "add", noting)
                try:
                    yield
                finally:
                    for namespace in made:
                        client.namespaces.delete(namespace)

        def make(self, **settings: Any) -> dict[str, Any]:
            return {"provider": "supermemory", **settings}
