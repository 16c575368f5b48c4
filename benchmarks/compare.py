"""openmem against what else would be used in its place, on one machine in one run.

    make bench
    make bench BENCH="--quick"
    make bench BENCH="--data DIR --output FOLDER"

An embedded PostgreSQL with its default settings serves every system in a database of its own, and
one embedder, WordLlama, makes all vectors. The systems run in one process and take turns. The
results are printed, and written to a folder as ``result.json`` and plots. What the measurements
mean, and what they do not say, is in docs/benchmarks.md.

Without ``--data`` the memories and questions are made up (`benchmarks.datasets.invented`); the recall
then says little about real conversations.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import database, tables
from .datasets import Data
from .peers import FLOOR, SYSTEMS
from .plots import draw
from .results import RESULT
from .run import FULL, MEASUREMENTS, QUICK, run


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="less of everything, in two minutes at most")
    add("--data", type=Path, help="folder with memories.jsonl and questions.jsonl")
    add("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="NAME", help="of %(choices)s")
    add("--measure", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), metavar="WHAT", help="of %(choices)s")
    add("--sizes", type=int, nargs="+", metavar="N", help="memories of the users that are loaded in bulk")
    add("--url", help="PostgreSQL URL of a role that may create databases; by default an embedded server")
    add("--output", type=Path, default=Path("bench-results"), help="folder for the files (default: %(default)s)")
    options = parser.parse_args()
    if FLOOR not in options.systems:
        parser.error(f"--systems: everything is compared with {FLOOR!r}, which is missing")
    return options


def main() -> None:
    options = arguments()
    console = Console()
    scale = QUICK if options.quick else FULL
    if options.sizes:
        scale = replace(scale, sizes=sorted(options.sizes))
    data = Data.of(options.data).first_users(scale.users)
    logging.getLogger("mem0").setLevel(logging.ERROR)
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, console=console, disable=not console.is_terminal)
    with database.server(options.url) as url, bars as progress:
        result = asyncio.run(run(url, data, scale, options.systems, options.measure, progress))
    for grid in tables.all_grids(result):
        console.print(tables.rich_table(grid))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / RESULT).write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    written = [RESULT, *draw(result, options.output)]
    console.print(f"Written to {options.output}: {', '.join(written)}", soft_wrap=True)


if __name__ == "__main__":
    main()
