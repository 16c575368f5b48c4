"""The commands of the Makefile, in a copy of the project, and the tour they start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONSTRAINTS", "MAKE", "PYTHON", "PYTEST", "VENV"))
    }
    return subprocess.run(
        command, cwd=cwd, env=inherited | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the Makefile and what its environment depends on."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "constraints-lowest.txt", "constraints-bench.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def fake_python(project: Path, script: str) -> str:
    path = project / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_help_lists_every_target(project: Path) -> None:
    listed = run("make", cwd=project).stdout
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "test-lowest", "lint", "format", "clean", "help"} <= set(targets)
    for target in targets:
        assert f"make {target} " in listed


def test_a_python_that_is_too_old_is_refused(project: Path) -> None:
    python = fake_python(project, "exit 1")
    done = run("make", "lint", f"PYTHON={python}", cwd=project)
    assert done.returncode != 0
    assert f"openmem needs Python 3.11 or newer, and {python} is not" in done.stderr
    assert not (project / ".venv").exists()


def test_a_python_without_venv_is_refused(project: Path) -> None:
    python = fake_python(project, 'case "$2" in *ensurepip*) exit 1;; esac')
    done = run("make", "lint", f"PYTHON={python}", cwd=project)
    assert done.returncode != 0
    assert "has no venv module; on Debian and Ubuntu: apt install python3-venv" in done.stderr


def test_an_environment_that_is_up_to_date_is_left_alone(project: Path) -> None:
    programs = project / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("ruff", "mypy"):
        (programs / name).write_text("#!/bin/sh\necho checked\n")
        (programs / name).chmod(0o755)
    (project / ".venv" / ".installed").touch()
    done = run("make", "lint", f"PYTHON={fake_python(project, 'exit 1')}", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["checked"] * 3


def test_the_tour(tmp_path: Path) -> None:
    done = run(sys.executable, str(ROOT / "examples/demo/run.py"), cwd=tmp_path, COLUMNS="100")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = re.search(r"(\d+) of 14 answers are among the first three", done.stdout)
    assert found is not None
    assert int(found[1]) >= 12
    late = re.search(r"CancelledError reached the caller ([\d.]+) ms", done.stdout)
    assert late is not None
    assert float(late[1]) < 50
