"""The commands there are, and what is imported to show them."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from openmem.cli.application import application
from openmem.cli.table import COMMANDS

UNNEEDED = ("openmem", "pydantic", "httpx", "asyncio", "json", "difflib", "unicodedata", "tomllib")
"""Packages that take their time to import."""

CONTEXT = click.Context(application)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_row_has_its_command(name: str) -> None:
    command = application.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").strip()


def test_the_help_imports_no_command() -> None:
    program = (
        "import click, sys; click.Group('plain').main(['--help'], standalone_mode=False); "
        f"before = set(sys.modules); UNNEEDED = {UNNEEDED}; "
        "from openmem.cli import main; status = main(['--help']); "
        "print(*[m for m in sys.modules if m not in before and m.split('.')[0] in UNNEEDED], file=sys.stderr); "
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    imported = set(done.stderr.split())
    own = {"openmem", "openmem.errors"}
    assert {name for name in imported if not name.startswith("openmem.cli")} == own
    assert {name for name in imported if name.startswith("openmem.cli.")} == {
        f"openmem.cli.{name}" for name in ("application", "failures", "group", "streams", "table")
    }
    for name, row in COMMANDS.items():
        assert name in done.stdout
        assert row.help in " ".join(done.stdout.split())
