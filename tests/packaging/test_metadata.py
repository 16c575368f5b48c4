"""What the package says of itself, and that what it says is one thing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import openmem

ROOT = Path(__file__).resolve().parent.parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
GROUPS: dict[str, Any] = PYPROJECT["dependency-groups"]
FRAMEWORKS_APART = {
    "agent_framework": "agent-framework-core",
    "anthropic": "anthropic",
    "crewai": "crewai",
    "google": "google-adk",
    "llama_index": "llama-index-core",
    "pydantic_ai_harness": "pydantic-ai-harness",
    "strands": "strands-agents",
}
"""Frameworks that are tested in environments of their own: what is imported, and what is installed for it."""
FRAMEWORKS_OF_DEV = {"agents": "openai-agents", "langgraph": "langgraph-checkpoint", "pydantic_ai": "pydantic-ai-slim"}
"""The same of frameworks that the group `dev` installs, and `checks` does not."""
PIN = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*")


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return {canonicalize_name(package): version for package, _, version in (line.partition("==") for line in lines)}


def direct_requirements() -> list[Requirement]:
    texts = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
    found = [Requirement(text) for text in texts]
    return [item for item in found if item.name != "openmem" and (item.marker is None or item.marker.evaluate())]


def requirements_of_tests() -> list[Requirement]:
    """Those that are installed for the tests.

    They are all but what brings PyTorch, what changes mem0's engine, and frameworks with an environment of their own.
    """
    others = {"sentence-transformers", "fastembed", *FRAMEWORKS_APART.values()}
    return [item for item in direct_requirements() if item.name not in others]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", directory, ROOT], check=True, stdin=subprocess.DEVNULL)
    [path] = directory.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    name = f"openmem-{openmem.__version__}.dist-info/METADATA"
    return Parser().parsestr(wheel.read(name).decode())


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    info = f"openmem-{openmem.__version__}.dist-info/"
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "openmem").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    names = set(wheel.namelist())
    assert {name for name in names if not name.startswith(info)} == expected
    assert {f"{info}licenses/LICENSE", "openmem/py.typed"} <= names


def test_wheel_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "openmem"
    assert metadata["Version"] == openmem.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_all_is_the_sum_of_the_extras_but_for_heavy_models_and_agent_frameworks() -> None:
    [everything] = PROJECT["optional-dependencies"]["all"]
    assert Requirement(everything).extras == set(PROJECT["optional-dependencies"]) - {
        *("all", "testing", "multilingual", "sentence-transformers", "fastembed"),
        *(
            "agent-framework",
            "anthropic",
            "crewai",
            "google-adk",
            "langchain",
            "langgraph",
            "llama-index",
            "openai-agents",
            "pydantic-ai",
            "pydantic-ai-harness",
            "strands",
        ),
    }


def test_newest_change_is_this_version() -> None:
    found = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == openmem.__version__


def test_version_is_written_in_one_place() -> None:
    assert "version" not in PROJECT
    holders = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if f'"{openmem.__version__}"' in path.read_text(encoding="utf-8")
    ]
    assert holders == ["src/openmem/__init__.py"]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lowest.txt", "constraints-bench.txt"])
def test_constraints_are_names_and_versions(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line)] == []


def test_constraints_satisfy_what_is_required() -> None:
    chosen = pins("constraints.txt")
    for requirement in requirements_of_tests():
        assert requirement.specifier.contains(chosen[canonicalize_name(requirement.name)]), requirement


def test_lowest_constraints_are_the_lower_bounds() -> None:
    chosen = pins("constraints-lowest.txt")
    frameworks = {Requirement(text).name for text in GROUPS["frameworks"]}
    for requirement in requirements_of_tests():
        if requirement.name in frameworks:
            continue
        [bound] = [item.version for item in requirement.specifier if item.operator == ">="]
        assert Version(chosen[canonicalize_name(requirement.name)]) == Version(bound), requirement


# What is not a dependency of its own: parts of another package that re-exports them, and what is used if it is there.
BROUGHT_BY_OTHERS = {
    "anyio": "mcp", "langchain_core": "langchain", "markupsafe": "jinja2", "numpy": "wordllama", "starlette": "fastapi",
    "tokenizers": "wordllama",
}  # fmt: skip
USED_IF_INSTALLED = {"opentelemetry"}


def test_what_modules_import_is_declared() -> None:
    declared = {canonicalize_name(item.name) for item in direct_requirements()}
    frameworks = {module: [name] for module, name in (FRAMEWORKS_OF_DEV | FRAMEWORKS_APART).items()}
    distributions = {**packages_distributions(), **frameworks}
    known = {"openmem", *sys.stdlib_module_names, *USED_IF_INSTALLED}
    known |= {name for name, other in BROUGHT_BY_OTHERS.items() if other in declared}
    missing: set[tuple[str, str]] = set()
    for path in sorted((ROOT / "src/openmem").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for package in {module.partition(".")[0] for module in modules} - known:
                if not {canonicalize_name(name) for name in distributions.get(package, [package])} & declared:
                    missing.add((path.name, package))
    assert not missing


def test_the_memory_browser_is_in_the_wheel_and_small(wheel: zipfile.ZipFile) -> None:
    parts = [info for info in wheel.infolist() if info.filename.startswith("openmem/ui/")]
    names = {info.filename.removeprefix("openmem/ui/") for info in parts}
    assert {
        "static/htmx.min.js",
        "static/htmx.LICENSE",
        "static/ui.css",
        "static/ui.js",
        "templates/base.html",
    } <= names
    assert sum(info.file_size for info in parts if not info.filename.endswith(".py")) <= 200_000
    assert sum(info.compress_size for info in parts) <= 200_000
