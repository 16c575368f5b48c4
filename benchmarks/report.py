"""Writes the results of a run into docs/benchmarks.md and the README.

``--publish FOLDER`` takes ``result.json`` and the plots of a run of `benchmarks.compare` into
docs/benchmarks, and writes the tables anew. Without it the tables are written from what is there;
with ``--check`` nothing is written, and pages that are not current are an error. The tables of recall are
from docs/benchmarks/recall.json, the ``--output`` of `benchmarks.recall`.

    python -m benchmarks.report [--publish FOLDER | --check]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .results import RECALL, RESULT, RecallRun, Result
from .tables import all_grids, markdown, people, recall_grids, recall_summary, summary

ROOT: Final = Path(__file__).resolve().parent.parent
PUBLISHED: Final = ROOT / "docs" / "benchmarks"
BEGIN: Final = "<!-- the part below is made by benchmarks/report.py -->"
END: Final = "<!-- end of that part -->"


def details(result: Result) -> str:
    """Every table, under its heading, and what the run ran on."""
    grids = [*all_grids(result), *recall_grids(recall(), times=False)]
    return "\n\n".join([circumstances(result), *(f"### {grid.title}\n\n{markdown(grid)}" for grid in grids)])


def overview(result: Result) -> str:
    """The tables of the README: what calls cost, and what is found."""
    return f"{markdown(summary(result))}\n\n{markdown(recall_summary(recall()))}"


def recall() -> RecallRun:
    """The published recall on sets that the ranking was not tuned on."""
    return RecallRun.model_validate_json((PUBLISHED / RECALL).read_text(encoding="utf-8"))


def circumstances(result: Result) -> str:
    """One paragraph: when, where, which versions."""
    machine, server = result.machine, result.server
    versions = ", ".join(f"{package} {number}" for package, number in result.versions.items())
    return (
        f"{result.date[:10]}, {result.seconds / 60:.1f} minutes{', `--quick`' if result.quick else ''}; "
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib:.0f} GiB, {machine.system}, "
        f"load average at the start {machine.load_before}; Python {machine.python}, "
        f"PostgreSQL {server['server_version']} with pgvector {server['pgvector']} "
        f"(shared_buffers {server['shared_buffers']}, fsync {server['fsync']}); {versions}. "
        f"Data: {'made up' if result.synthetic else result.data}, {result.memories:,} memories "
        f"of {people(result.users)}."
        + (" A quick run: too few calls for an argument about times." if result.quick else "")
    )


PAGES: Final[Mapping[Path, Callable[[Result], str]]] = {
    ROOT / "README.md": overview,
    ROOT / "docs" / "benchmarks.md": details,
}


def page(text: str, part: str) -> str:
    """The page with a fresh part between the markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"


def publish(folder: Path) -> None:
    """Copy what a run has written to where the pages show it."""
    PUBLISHED.mkdir(exist_ok=True)
    for path in (folder / RESULT, *folder.glob("*.png")):
        shutil.copyfile(path, PUBLISHED / path.name)


def main() -> None:
    """Rewrite or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--publish", type=Path, metavar="FOLDER", help="the --output of benchmarks.compare")
    choice.add_argument("--check", action="store_true", help="fail if the pages are not current")
    options = parser.parse_args()
    if options.publish is not None:
        publish(options.publish)
    result = Result.model_validate_json((PUBLISHED / RESULT).read_text(encoding="utf-8"))
    for path, part in PAGES.items():
        current = path.read_text(encoding="utf-8")
        fresh = page(current, part(result))
        if not options.check:
            path.write_text(fresh, encoding="utf-8")
        elif fresh != current:
            sys.exit(f"{path.name} is not current; run: python -m benchmarks.report")


if __name__ == "__main__":
    main()
