"""Recall of evidence and search latency on a data set of conversations.

The data folder holds ``memories.jsonl`` (user_id, ref, content, valid_from) and ``questions.jsonl``
(user_id, question, evidence: refs). Every memory is added in the order of the file through
`AsyncMemory`, every question is searched once. Recall at k is the share of a question's evidence
among the first k results, averaged over the questions that have evidence; MRR is the mean of
1 / rank of the first evidence.

    python benchmarks/recall.py --data DIR
    python benchmarks/recall.py --data DIR --set AROUND_WEIGHT=0 --set VECTOR_WEIGHT=0.2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from openmem import AsyncMemory
from openmem.providers.postgres import ranking

CUTOFFS = (5, 10, 20)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def arguments(url: str | None) -> Iterator[dict[str, Any]]:
    """Constructor arguments for a store of its own, empty at the start."""
    if url is not None:
        yield {"provider": "postgres", "url": url, "schema": f"recall_{time.time_ns():x}"}
    else:
        with tempfile.TemporaryDirectory() as directory:
            yield {"provider": "local", "path": Path(directory) / "data"}


async def evaluate(settings: dict[str, Any], data: Path, *, shuffled: bool = False) -> Table:
    found: dict[int, list[float]] = defaultdict(list)
    reciprocal_ranks: list[float] = []
    milliseconds: list[float] = []
    async with AsyncMemory(**settings) as memory:
        ids: dict[tuple[str, str], str] = {}
        memories = read(data / "memories.jsonl")
        if shuffled:
            random.Random(0).shuffle(memories)
        for row in track(memories, "Adding memories"):
            record = await memory.add(content=row["content"], user_id=row["user_id"], valid_from=row.get("valid_from"))
            ids[row["user_id"], row["ref"]] = record.id
        questions = [question for question in read(data / "questions.jsonl") if question["evidence"]]
        for question in track(questions, "Asking questions"):
            evidence = {ids[question["user_id"], ref] for ref in question["evidence"]}
            started = time.perf_counter()
            results = await memory.search(question["question"], question["user_id"], limit=max(CUTOFFS))
            milliseconds.append((time.perf_counter() - started) * 1000)
            ranked = [result.memory.id for result in results]
            for k in CUTOFFS:
                found[k].append(len(evidence & set(ranked[:k])) / len(evidence))
            ranks = [rank for rank, id in enumerate(ranked, start=1) if id in evidence]
            reciprocal_ranks.append(1 / ranks[0] if ranks else 0.0)
    table = Table(title=f"{len(questions)} questions, {len(ids)} memories")
    for k in CUTOFFS:
        table.add_column(f"R@{k}", justify="right")
    for heading in ("MRR", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    table.add_row(
        *(f"{statistics.fmean(found[k]):.3f}" for k in CUTOFFS),
        f"{statistics.fmean(reciprocal_ranks):.3f}",
        f"{statistics.median(milliseconds):.2f}",
        f"{statistics.quantiles(milliseconds, n=100)[98]:.2f}",
    )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with memories.jsonl and questions.jsonl")
    parser.add_argument("--url", help="PostgreSQL URL; by default an embedded server in a temporary folder")
    parser.add_argument("--embedder", default="wordllama", help="name of the embedder (default: wordllama)")
    parser.add_argument("--shuffled", action="store_true", help="add the memories in a random order")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"another value for a constant of {ranking.__name__}, for ablations",
    )
    options = parser.parse_args()
    for assignment in options.set:
        name, _, value = assignment.partition("=")
        setattr(ranking, name, type(getattr(ranking, name))(value))
    with arguments(options.url) as settings:
        settings["embedder"] = options.embedder
        Console().print(asyncio.run(evaluate(settings, options.data, shuffled=options.shuffled)))


if __name__ == "__main__":
    main()
