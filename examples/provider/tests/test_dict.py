from __future__ import annotations

from typing import Any

from openmem.testing import ConformanceSuite


class TestDict(ConformanceSuite):
    def make(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "dict", "store": "tests", **settings}
