"""Memories that are exported and imported a second, beside `add_many`; and the memory that both take.

The rounds of the three alternate, so that a machine that is busy with something else slows all of them alike; the ratio
counts. Beside each rate stands the processor time of this process for a memory, without that of the database server.

With ``--sizes`` it is measured instead how much memory a process takes at most that imports and exports so many. No
search finds those, since vectors and words cost an import what they cost `add_many`.

    python -m benchmarks.moving [--embedder NAME] [--memories 10000] [--rounds 5]
    python -m benchmarks.moving --sizes 10000 500000
"""

from __future__ import annotations

import argparse
import json
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from openmem import Memory, transfer
from openmem.transfer import omp_format

from .stall import SENTENCES

LEAST_EXPORTED: Final = 20_000
LEAST_SHARE: Final = 0.6


def records(count: int) -> list[dict[str, Any]]:
    """Notes of a hundred new users."""
    group = secrets.token_hex(4)
    return [
        {
            "content": f"{n}: {SENTENCES[n % 3]}", "user_id": f"moved {group} {n % 100}", "tags": ["note"],
            "scope": "work/notes", "metadata": {"n": n},
        }
        for n in range(count)
    ]  # fmt: skip


def measure(embedder: str, memories: int, rounds: int) -> Table:
    """The table of rates."""
    rates: defaultdict[str, list[float]] = defaultdict(list)
    processor: defaultdict[str, list[float]] = defaultdict(list)

    def timed(name: str, work: Callable[[], object]) -> None:
        began, used = time.perf_counter(), time.process_time()
        work()
        rates[name].append(memories / (time.perf_counter() - began))
        processor[name].append((time.process_time() - used) / memories * 1e6)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "memories.omp.jsonl")
        with (
            Memory("local", path=f"{folder}/old", embedder=embedder) as old,
            Memory("local", path=f"{folder}/new", embedder=embedder) as new,
        ):
            for number in range(rounds + 1):
                given = records(memories)
                users = sorted({record["user_id"] for record in given})
                timed("add_many", partial(old.add_many, given))
                timed("export", partial(transfer.export, old, path, transfer.Choice(users=users)))
                timed("import", partial(transfer.import_, new, "omp", path))
                if number == 0:
                    rates.clear()
                    processor.clear()
    shares = [one / other for one, other in zip(rates["import"], rates["add_many"], strict=True)]
    table = Table("", "a second", "µs of this process", "of add_many", "wanted", title=f"{memories} memories")
    for name in rates:
        share, wanted = "", ""
        if name == "import":
            share, wanted = f"{statistics.median(shares):.2f}", f"{LEAST_SHARE}"
        elif name == "export":
            wanted = f"{LEAST_EXPORTED:,}"
        rate, used = statistics.median(rates[name]), statistics.median(processor[name])
        table.add_row(name, f"{rate:,.0f}", f"{used:.0f}", share, wanted)
    return table


def write_file(path: Path, count: int) -> None:
    """A file of memories that no search finds."""
    tally = omp_format.Tally()
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("wb") as file:
        file.write(omp_format.encoded({"type": omp_format.HEADER, "version": omp_format.VERSION, "omp_version": "0.1"}))
        for number in range(count):
            memory = {
                "id": f"{number}", "content": f"{number}: {SENTENCES[number % 3]}", "user_id": "moved",
                "created_at": (begin + timedelta(seconds=number)).isoformat(), "indexed": False,
            }  # fmt: skip
            line = omp_format.encoded({"type": "memory", "memory": memory})
            tally.memory("moved", line)
            file.write(line)
        file.write(omp_format.encoded(tally.end()))


def move_once(path: Path, folder: str) -> dict[str, float]:
    """Import a file into a new store and export it again: the most memory of this process after each, in MiB."""
    found = {}
    with Memory("local", path=folder, embedder="hashing") as memory:
        works: dict[str, Callable[[], object]] = {
            "import": partial(transfer.import_, memory, "omp", path),
            "export": partial(transfer.export, memory, path.with_suffix(".out")),
        }
        for name, work in works.items():
            began = time.perf_counter()
            work()
            found[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            found[f"{name} s"] = time.perf_counter() - began
    return found


def measure_memory(sizes: list[int]) -> Table:
    """The table of memory, a process for each size."""
    table = Table("memories", "import, MiB", "and export, MiB", "import, s", "export, s")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "memories.omp.jsonl")
            write_file(path, size)
            command = [sys.executable, "-m", "benchmarks.moving", "--once", str(path), f"{folder}/store"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
        table.add_row(f"{size:,}", *(f"{found[name]:.0f}" for name in ("import", "export", "import s", "export s")))
    return table


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--embedder", default="hashing")
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(move_once(Path(given.once[0]), given.once[1])))
    elif given.sizes:
        Console().print(measure_memory(given.sizes))
    else:
        Console().print(measure(given.embedder, given.memories, given.rounds))


if __name__ == "__main__":
    main()
