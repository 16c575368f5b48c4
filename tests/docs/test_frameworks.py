"""What the documentation says of agent frameworks, against what is tested and what is installed."""

from __future__ import annotations

import tomllib

import pytest

from ..frameworks.run import FRAMEWORKS
from .pages import ROOT


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_page_names_the_version_that_is_tested(name: str) -> None:
    package, _, version = FRAMEWORKS[name].packages[0].partition("==")
    assert f"\nTested with {package} {version}. " in (ROOT / f"docs/frameworks/{name}.md").read_text()
    assert f"(docs/frameworks/{name}.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_extra_brings_the_client_of_event_loops(name: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "openmem[async]" in extras[name]
