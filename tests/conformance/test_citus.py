"""The reference backend on a Citus cluster that OPENMEM_CITUS_URL names, after `openmem scale-out` on it."""

from __future__ import annotations

import os
from typing import Any, Final

import pytest

from openmem.testing import ConformanceSuite

CITUS: Final = os.environ.get("OPENMEM_CITUS_URL", "")


@pytest.mark.skipif(not CITUS, reason="OPENMEM_CITUS_URL names no cluster")
class TestCitus(ConformanceSuite):
    def make(self, **settings: Any) -> dict[str, Any]:
        return {"url": CITUS, "embedder": "hashing", **settings}
