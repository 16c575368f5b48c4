"""The order in which the tests run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOM = "tests/rerankers"


def collected(*options: str) -> tuple[str, list[str]]:
    """What pytest prints of some tests that it only collects, and their ids in its order."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "SEED"))}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, [line for line in done.stdout.splitlines() if line.strip().startswith("<Function")]


def test_a_seed_names_an_order() -> None:
    told, first = collected("--seed", "1", ROOM)
    assert "make test SEED=1, or pytest --seed 1" in told
    _, again = collected("--seed", "1", ROOM)
    _, other = collected("--seed", "2", ROOM)
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)
