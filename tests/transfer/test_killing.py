"""An import that is killed at any moment is run again: no memory twice, none missing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

from openmem import Memory, transfer
from openmem.transfer import Choice

from ..properties.strategies import new_user
from ..servers import Server

MEMORIES: Final = int(os.environ.get("OPENMEM_KILLED_MEMORIES", "1000"))
KILLS: Final = int(os.environ.get("OPENMEM_KILLS", "1"))
BATCH: Final = max(50, MEMORIES // 50)


def started(path: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.transfer.interrupted", str(path), url, str(BATCH)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_import_is_killed(server: Server, store: Memory, tmp_path: Path) -> None:
    user, path, url = new_user(), tmp_path / "f", server.create_database()
    for begin in range(0, MEMORIES, 5000):
        numbers = range(begin, min(MEMORIES, begin + 5000))
        store.add_many([{"content": f"fact {number}", "user_id": user} for number in numbers])
    transfer.export(store, path, Choice(users=[user]))
    chance = random.Random(MEMORIES)
    lines_at_most = max(1, MEMORIES // BATCH // (KILLS + 1))
    for _ in range(KILLS):
        process = started(path, url)
        assert process.stdout is not None
        with process, process.stdout as told:
            # Killed while the part behind the last line that it told is under way.
            for _ in range(chance.randint(1, lines_at_most)):
                told.readline()
            process.kill()
    last = started(path, url)
    told_last, _ = last.communicate(timeout=1200)
    _, written, equal = told_last.splitlines()[-1].split()
    assert int(written) + int(equal) == MEMORIES
    assert int(equal) > 0
    with Memory("postgres", url=url, embedder="hashing") as target:
        report = transfer.verify(target, "omp", path)
        assert (report.equal, report.written, report.changed, report.extra) == (MEMORIES, 0, 0, 0)
        assert target.count(user) == MEMORIES
        transfer.export(target, tmp_path / "g")
    assert path.read_bytes().split(b"\n", 1)[1] == (tmp_path / "g").read_bytes().split(b"\n", 1)[1]
