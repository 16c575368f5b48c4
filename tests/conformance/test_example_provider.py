"""The example of a third party's provider, found through its entry point."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from openmem.testing import ConformanceSuite

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider"


class TestDict(ConformanceSuite):
    @pytest.fixture(scope="class", params=["dict"])
    @classmethod
    def backend(cls, tmp_path_factory: pytest.TempPathFactory) -> Any:
        """Puts the example and the metadata that its installation would write on the path."""
        project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
        [(group, names)] = project["entry-points"].items()
        metadata = tmp_path_factory.mktemp("site") / "openmem_dict-0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0\n")
        entries = "".join(f"{name} = {value}\n" for name, value in names.items())
        (metadata / "entry_points.txt").write_text(f"[{group}]\n{entries}")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(metadata.parent))
            patch.syspath_prepend(str(EXAMPLE))
            yield

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "dict", "store": "conformance", **settings}
