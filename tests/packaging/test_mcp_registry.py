"""The entry for the registry of MCP servers, which also reads the name in the README that PyPI shows."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import openmem
from openmem.cli.table import COMMANDS
from openmem.mcp.hosts.entries import PROFILE_VARIABLE, USER_VARIABLE

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SERVER: dict[str, Any] = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
[PACKAGE] = SERVER["packages"]


def test_the_entry_is_for_this_version() -> None:
    assert SERVER["version"] == PACKAGE["version"] == openmem.__version__


def test_the_entry_is_for_this_package() -> None:
    assert (PACKAGE["registryType"], PACKAGE["identifier"]) == ("pypi", PROJECT["name"])
    assert PACKAGE["transport"] == {"type": "stdio"}
    # Clients would pass it to uv as an index, which it is not.
    assert "registryBaseUrl" not in PACKAGE


def test_the_readme_names_the_entry() -> None:
    assert PROJECT["readme"] == "README.md"
    named = re.findall(r"mcp-name: (\S+)(?=\s|<)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert named == [SERVER["name"]]


def test_the_registry_takes_the_fields() -> None:
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", SERVER["name"])
    assert 1 <= len(SERVER["description"]) <= 100
    assert re.fullmatch(
        r"https://static\.modelcontextprotocol\.io/schemas/[0-9-]+/server\.schema\.json", SERVER["$schema"]
    )


def test_the_program_starts_with_what_it_needs() -> None:
    assert PROJECT["name"] in PROJECT["scripts"]
    [argument] = PACKAGE["runtimeArguments"]
    requirement = Requirement(argument["value"])
    assert (PACKAGE["runtimeHint"], argument["name"], requirement.name) == ("uvx", "--with", PROJECT["name"])
    assert requirement.extras <= PROJECT["optional-dependencies"].keys()
    assert [argument["value"] for argument in PACKAGE["packageArguments"]] == ["mcp"]
    assert "mcp" in COMMANDS
    assert {variable["name"] for variable in PACKAGE["environmentVariables"]} == {USER_VARIABLE, PROFILE_VARIABLE}
