"""The conformance suite as the author of a provider has it: in a directory of its own, with public imports only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import openmem

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider"
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: openmem-dict\nVersion: 0\n",
    "entry_points.txt": "[openmem.providers]\nwithout-tags = without_tags:WithoutTags\n",
}

PROVIDER = """
from openmem_dict import DictProvider


class WithoutTags(DictProvider):
    name = "without-tags"

    async def add(self, op, call):
        return await super().add(op.model_copy(update={"tags": None}), call)
"""

TESTS = """
from openmem.testing import ConformanceSuite, requires

TAGS = "the backend has no tags"


class TestDeclared(ConformanceSuite):
    deviations = {
        "test_no_tags_are_not_an_empty_list_of_tags": TAGS,
        "test_awkward_text_comes_back_from_every_field[cjk]": TAGS,
    }

    def make(self, **settings):
        return {"provider": "without-tags", **settings}

    @requires("add", "search")
    async def test_of_the_author(self):
        record = await self.memory.add(content="green tea", user_id=self.user)
        assert [hit.memory for hit in await self.memory.search("tea", self.user)] == [record]


class TestUndeclared(TestDeclared):
    deviations = {}


class TestOutdated(TestDeclared):
    deviations = {"test_a_bare_memory": "it used to fail"}


class TestUnknownCase(TestDeclared):
    deviations = {"test_times_are_kept_in_utc[year 0]": "there is no such year"}
"""

SELECTED = "of_the_author or bare_memory or no_tags or (awkward_text_comes_back and cjk) or kept_in_utc"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory with a provider and its tests, installed as far as entry points go."""
    shutil.copy(EXAMPLE / "openmem_dict.py", tmp_path)
    (tmp_path / "without_tags.py").write_text(PROVIDER)
    metadata = tmp_path / "openmem_dict-0.dist-info"
    metadata.mkdir()
    for name, text in METADATA.items():
        (metadata / name).write_text(text)
    return tmp_path


def outcomes(package: Path, tests: str) -> tuple[str, dict[str, str]]:
    """What pytest prints of the tests, and how those of each class and name ended."""
    (package / "test_provider.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-k", SELECTED, "test_provider.py"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment["PYTHONPATH"] = str(Path(openmem.__file__).parents[1])
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True)
    found = re.findall(r"^([A-Z]+) test_provider\.py::(\w+)::(\w+)\[(?:sync|async)", done.stdout, re.MULTILINE)
    ended: dict[str, set[str]] = {}
    for outcome, suite, test in found:
        ended.setdefault(f"{suite}.{test}", set()).add(outcome)
    return done.stdout, {test: "/".join(sorted(outcomes)) for test, outcomes in ended.items()}


def test_deviations_are_expected_failures(package: Path) -> None:
    output, ended = outcomes(package, TESTS)
    assert ended.pop("TestDeclared.test_times_are_kept_in_utc") == "PASSED"
    assert {name: outcome for name, outcome in ended.items() if name.startswith("TestDeclared.")} == {
        "TestDeclared.test_of_the_author": "PASSED",
        "TestDeclared.test_a_bare_memory": "PASSED",
        "TestDeclared.test_no_tags_are_not_an_empty_list_of_tags": "XFAIL",
        "TestDeclared.test_awkward_text_comes_back_from_every_field": "XFAIL",
    }
    assert ended["TestUndeclared.test_awkward_text_comes_back_from_every_field"] == "FAILED"
    assert ended["TestUndeclared.test_no_tags_are_not_an_empty_list_of_tags"] == "FAILED"
    assert ended["TestUndeclared.test_a_bare_memory"] == "PASSED"
    assert ended["TestOutdated.test_a_bare_memory"] == "FAILED"
    assert "[XPASS(strict)] it used to fail" in output
    assert "the backend has no tags" in output
    assert "TestUnknownCase.deviations: there are no cases ['test_times_are_kept_in_utc[year 0]']" in output


def test_a_deviation_of_no_test_is_an_error(package: Path) -> None:
    output, ended = outcomes(package, TESTS.replace("test_a_bare_memory", "test_a_bear_memory"))
    assert "TestOutdated.deviations: there is no test 'test_a_bear_memory'" in output
    assert ended == {}


def test_the_example_imports_only_what_is_public() -> None:
    for path in (EXAMPLE / "openmem_dict.py", EXAMPLE / "tests" / "test_dict.py"):
        imported = re.findall(r"^from openmem(\S*) import \(?([^)]*?)\)?$", path.read_text(), re.MULTILINE)
        assert imported
        for module, names in imported:
            parts = [*module.split("."), *re.split(r"[,\s]+", names)]
            assert not [part for part in parts if part.startswith("_")]
