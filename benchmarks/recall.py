"""Recall of evidence on sets of memories and questions, with any embedder, beside simple rankings.

The memories of a set are added through `AsyncMemory`, and every question that has evidence is searched once in its
user's memories. The same texts and vectors are ranked by the baselines of `benchmarks.baselines`. A set is what
`benchmarks.datasets` says; ``--data`` is one, or a folder of them; the default are the sets of `benchmarks.made_up`.

    python -m benchmarks.recall
    python -m benchmarks.recall --data DIR --embedder wordllama --embedder hashing
    python -m benchmarks.recall --data DIR --order concurrent
    python -m benchmarks.recall --data DIR --set NEIGHBOR_WEIGHT=0 --set VECTOR_WEIGHT=0.2

R@k is the share of a question's evidence among the first k results, averaged over the questions; MRR the mean of
1 / rank of the first evidence. *right* is the median score of the best right answer, where one was found. *unrelated*
is the median score of what is not related: the ten results when the same question is asked to another user's memories;
in a set of one user what is behind rank ten and no evidence; in a set of the same facts in several languages all that
is no evidence. *p50* is the median time of a search, without that of embedding the question. A second table has the
shares of both, the right answers and the unrelated memories, that some values of ``min_score`` keep.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from openmem import AsyncMemory
from openmem.embedders import resolve_embedder
from openmem.providers.postgres.retrieval import layout
from openmem.ranking import constants

from . import database
from .baselines import BM25, RRF, VECTORS, Baselines, Hits
from .datasets import Data, Question, Remembered, sets
from .embedding import Remembering
from .made_up import made_up
from .measures import judged, latency, rounded
from .results import RecallRun, SetRecall
from .tables import markdown, min_score_grids, recall_grids, rich_table

OURS: Final = "openmem"
ORDERS: Final = ("sequence", "concurrent", "shuffled", "bulk")
CUTOFFS: Final = (1, 5, 10)
MIN_SCORES: Final = (0.1, 0.2, 0.3, 0.5)
LIMIT: Final = 20
FOUND: Final = 10
AT_ONCE: Final = 32

Advance = Callable[[int], object]


class Answers:
    """What one ranking answered to the questions of a set."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._ranked: list[tuple[Question, list[str]]] = []
        self._right: list[float] = []
        self._unrelated: list[float] = []
        self.seconds: list[float] = []

    def add(self, question: Question, hits: Hits) -> None:
        self._ranked.append((question, [ref for ref, _ in hits]))
        self._right += [score for ref, score in hits if ref in question.evidence][:1]
        if stranger(self._data, question.user) is None:
            behind = hits if self._data.parallel else hits[FOUND:]
            self._unrelated += [score for ref, score in behind if ref not in question.evidence]

    def add_unrelated(self, hits: Hits) -> None:
        self._unrelated += [score for _, score in hits[:FOUND]]

    def found(self, embedder: str, ranking: str) -> SetRecall:
        has_scores = ranking in {OURS, VECTORS}
        return SetRecall(
            data=self._data.name,
            embedder=embedder,
            ranking=ranking,
            memories=len(self._data.memories),
            users=len(self._data.users),
            retrieval=judged(self._ranked, CUTOFFS),
            right=_median(self._right) if has_scores else None,
            unrelated=_median(self._unrelated) if has_scores else None,
            right_kept=_kept(self._right) if ranking == OURS else {},
            unrelated_kept=_kept(self._unrelated) if ranking == OURS else {},
            p50=latency(self.seconds).p50 if self.seconds else None,
        )


def stranger(data: Data, user: str) -> str | None:
    """The user whose memories have nothing to do with another one's questions; None if there is no such user."""
    users = data.users
    return None if data.parallel or len(users) == 1 else users[(users.index(user) + 1) % len(users)]


def _median(scores: Sequence[float]) -> float | None:
    return rounded(statistics.median(scores)) if scores else None


def _kept(scores: Sequence[float]) -> dict[float, float]:
    """The share of scores that each of `MIN_SCORES` keeps."""
    return {least: rounded(statistics.fmean(score >= least for score in scores)) for least in MIN_SCORES if scores}


async def store(memory: AsyncMemory, memories: Sequence[Remembered], order: str, advance: Advance) -> dict[str, str]:
    """Add the memories in one of `ORDERS`; their keys by their ids."""
    refs: dict[str, str] = {}
    if order == "shuffled":
        memories = random.Random(0).sample(memories, len(memories))
    if order == "bulk":
        rows = [{"content": row.content, "user_id": row.user, "valid_from": row.valid_from} for row in memories]
        records = await memory.add_many(rows)
        advance(len(records))
        return {record.id: row.ref for record, row in zip(records, memories, strict=True)}
    waiting = iter(memories)

    async def work() -> None:
        for row in waiting:
            record = await memory.add(content=row.content, user_id=row.user, valid_from=row.valid_from)
            refs[record.id] = row.ref
            advance(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE if order == "concurrent" else 1):
            group.create_task(work())
    return refs


async def measure(
    settings: dict[str, Any], data: Data, embedder: Remembering, order: str, advance: Advance
) -> list[SetRecall]:
    """What the baselines and openmem find in one set."""
    answers = {name: Answers(data) for name in (VECTORS, BM25, RRF, OURS)}
    baselines = Baselines(data, embedder)
    async with AsyncMemory(**settings, embedder=embedder) as memory:
        refs = await store(memory, data.memories, order, advance)
        for question in data.answerable:
            other = stranger(data, question.user)
            for user in (question.user, other) if other else (question.user,):
                started = time.perf_counter()
                results = await memory.search(question.text, user, limit=LIMIT)
                taken = time.perf_counter() - started
                found = dict(baselines.best(question, user, LIMIT))
                found[OURS] = [(refs[result.memory.id], result.score) for result in results]
                for name, hits in found.items():
                    if user == question.user:
                        answers[name].add(question, hits)
                    else:
                        answers[name].add_unrelated(hits)
                if user == question.user:
                    answers[OURS].seconds.append(taken)
            advance(1)
    return [one.found(embedder.model, name) for name, one in answers.items()]


async def run(options: argparse.Namespace, url: str | None, every: Sequence[Data], progress: Progress) -> RecallRun:
    """Measure every set with every embedder."""
    found: list[SetRecall] = []
    for name in options.embedder:
        embedder = Remembering(resolve_embedder(name), options.cache)
        for data in every:
            texts = len(data.memories) + len(data.answerable)
            task = progress.add_task(f"{data.name}, {name}", total=2 * texts)

            def advance(count: int, task: Any = task) -> None:
                progress.advance(task, count)

            contents = [memory.content for memory in data.memories]
            await asyncio.to_thread(embedder.read, contents, [one.text for one in data.answerable], advance)
            embedder.save()
            found += await measure(settings(options.provider, url), data, embedder, options.order, advance)
            progress.remove_task(task)
    return RecallRun(
        provider=options.provider,
        order=options.order,
        gap=options.gap,
        constants=dict(assignment.split("=", 1) for assignment in options.set),
        sets=found,
    )


def settings(provider: str, url: str | None) -> dict[str, Any]:
    """Constructor arguments for a store of its own, empty at the start."""
    if provider == "postgres":
        return {"provider": provider, "url": url, "schema": f"recall_{time.time_ns():x}"}
    return {"provider": provider}


def selected(options: argparse.Namespace) -> list[Data]:
    """The sets that the options name, with the dates that they ask for."""
    every = [data for folder in options.data or () for data in sets(folder)]
    if options.made_up or not options.data:
        every += made_up()
    if options.undated:
        every = [data.undated() for data in every]
    if options.gap is not None:
        every = [data.apart(timedelta(seconds=options.gap)) for data in every]
    return every


def change(assignments: Sequence[str]) -> None:
    """Give constants of the ranking, or of its layout in SQL, other values."""
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        module = constants if hasattr(constants, name) else layout
        setattr(module, name, type(getattr(module, name))(value))


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument(
        "--data",
        type=Path,
        action="append",
        help="a set, or a folder of sets; may be given more than once (default: those of `benchmarks.made_up`)",
    )
    found.add_argument("--made-up", action="store_true", help="measure those of `benchmarks.made_up` besides")
    found.add_argument(
        "--embedder", action="append", help="name of an embedder; may be given more than once (default: wordllama)"
    )
    found.add_argument("--provider", choices=("postgres", "memory"), default="postgres")
    found.add_argument("--url", help="PostgreSQL URL; by default an embedded server in a temporary folder")
    found.add_argument(
        "--order",
        choices=ORDERS,
        default="sequence",
        help=f"add one after the other, {AT_ONCE} at once, in a random order, or all at once with add_many "
        "(default: %(default)s)",
    )
    found.add_argument("--undated", action="store_true", help="leave out the dates of the memories (valid_from)")
    found.add_argument("--gap", type=float, metavar="SECONDS", help="let memories without a date be so far apart")
    found.add_argument("--cache", type=Path, metavar="FOLDER", help="keep vectors here, for slow embedders")
    found.add_argument("--output", type=Path, metavar="FILE", help="write the results as JSON, too")
    found.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    found.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"another value for a constant of {constants.__name__} or {layout.__name__}, for ablations",
    )
    return found


def main() -> None:
    options = parser().parse_args()
    options.embedder = options.embedder or ["wordllama"]
    change(options.set)
    every = selected(options)
    server: AbstractContextManager[str | None] = (
        database.server(options.url) if options.provider == "postgres" else nullcontext()
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with server as url, Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        result = asyncio.run(run(options, url, every, progress))
    for grid in (*recall_grids(result), *min_score_grids(result)):
        print(f"{grid.title}\n\n{markdown(grid)}\n") if options.markdown else Console().print(rich_table(grid))
    if options.output is not None:
        options.output.write_text(result.model_dump_json(indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
