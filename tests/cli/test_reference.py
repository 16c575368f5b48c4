"""The reference in the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from openmem.cli import failures

ROOT = Path(__file__).parents[2]


def test_the_page_has_every_command_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "cli_reference.py", "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_page_has_every_exit_status() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    statuses = {value for name, value in vars(failures).items() if name.startswith("EXIT_")} | {0}
    assert {int(found) for found in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == statuses
    for status, meaning in re.findall(r"^(\d+)\s{2,}(\S.*)$", failures.__doc__ or "", re.MULTILINE):
        assert f"| {status} | {meaning} |" in page
