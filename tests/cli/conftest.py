"""The command in this process, on memories that last as long as a test."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from openmem.cli import main
from openmem.cli.connection import Connection
from openmem.providers.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """The lines on standard output."""
        return self.out.splitlines()

    @property
    def error(self) -> Any:
        """The protocol's error object on standard error."""
        return json.loads(self.err)["error"]


class Shell:
    """Runs commands."""

    def __call__(self, *arguments: str, input: str | bytes = "", env: Mapping[str, str | None] = {}) -> Ran:
        with CliRunner().isolation(input=input, env=env) as (out, err, _):
            status = main(arguments)
            return Ran(status, out.getvalue().decode(), err.getvalue().decode())

    def ok(self, *arguments: str, input: str | bytes = "") -> Ran:
        """Run a command that must succeed."""
        ran = self(*arguments, input=input)
        assert ran.status == 0, ran.err
        return ran


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An account without settings; its configuration directory."""
    for name in os.environ:
        if name.startswith(("OMP_", "OPENMEM_")) or name == "NO_COLOR":
            monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "XDG_CONFIG_HOME" / "openmem"


@pytest.fixture
def shell(nothing_set: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Commands of the user maya, all on one store in this process."""
    store, arguments = MemoryStore(), Connection.arguments

    def with_store(connection: Connection) -> dict[str, Any]:
        shared = {"store": store} if connection.provider == "memory" else {}
        return {**arguments(connection), **shared}

    monkeypatch.setattr(Connection, "arguments", with_store)
    monkeypatch.setenv("OMP_PROVIDER", "memory")
    monkeypatch.setenv("OMP_EMBEDDER", "hashing")
    monkeypatch.setenv("OMP_USER", "maya")
    return Shell()
