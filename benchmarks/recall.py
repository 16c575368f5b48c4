"""Recall of evidence and search latency on a data set of conversations.

Every memory is added in the order of the file through `AsyncMemory`, every question that has
evidence is searched once. `benchmarks.datasets` says what the folder holds, `benchmarks.measures.judged`
what recall is.

    python -m benchmarks.recall --data DIR
    python -m benchmarks.recall --data DIR --set NEIGHBOR_WEIGHT=0 --set VECTOR_WEIGHT=0.2
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from openmem import AsyncMemory
from openmem.providers.postgres.retrieval import layout
from openmem.ranking import constants

from .datasets import Data, Question
from .measures import CUTOFFS, judged, latency


@contextmanager
def arguments(url: str | None) -> Iterator[dict[str, Any]]:
    """Constructor arguments for a store of its own, empty at the start."""
    if url is not None:
        yield {"provider": "postgres", "url": url, "schema": f"recall_{time.time_ns():x}"}
    else:
        with tempfile.TemporaryDirectory() as directory:
            yield {"provider": "local", "path": Path(directory) / "data"}


async def evaluate(settings: dict[str, Any], data: Data, *, shuffled: bool = False) -> Table:
    answers: list[tuple[Question, list[str]]] = []
    times: list[float] = []
    memories = random.Random(0).sample(data.memories, len(data.memories)) if shuffled else data.memories
    async with AsyncMemory(**settings) as memory:
        refs: dict[str, str] = {}
        for row in track(memories, "Adding memories"):
            record = await memory.add(content=row.content, user_id=row.user, valid_from=row.valid_from)
            refs[record.id] = row.ref
        for question in track(data.answerable, "Asking questions"):
            started = time.perf_counter()
            results = await memory.search(question.text, question.user, limit=max(CUTOFFS))
            times.append(time.perf_counter() - started)
            answers.append((question, [refs[result.memory.id] for result in results]))
    found, taken = judged(answers), latency(times)
    table = Table(title=f"{len(answers)} questions, {len(memories)} memories")
    for heading in (*(f"R@{k}" for k in found.recall), "MRR", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    figures = [f"{figure:.3f}" for figure in (*found.recall.values(), found.mrr)]
    table.add_row(*figures, f"{taken.p50:.2f}", f"{taken.p99:.2f}")
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
        help=f"another value for a constant of {constants.__name__} or {layout.__name__}, for ablations",
    )
    options = parser.parse_args()
    for assignment in options.set:
        name, _, value = assignment.partition("=")
        module = constants if hasattr(constants, name) else layout
        setattr(module, name, type(getattr(module, name))(value))
    with arguments(options.url) as settings:
        settings["embedder"] = options.embedder
        Console().print(asyncio.run(evaluate(settings, Data.of(options.data), shuffled=options.shuffled)))


if __name__ == "__main__":
    main()
