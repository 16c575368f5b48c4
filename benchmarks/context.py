"""Recall of evidence inside the token budget of a context, on a data set of conversations.

`benchmarks.datasets` says what the data folder holds. Every question's best memories are searched once and
put into blocks by every counter within every budget. Recall is the share of a question's evidence
that the block cites, averaged over the questions that have evidence.

    python -m benchmarks.context --data DIR
    python -m benchmarks.context --data DIR --counter tiktoken:o200k_base --budget 500 --budget 1500
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from openmem import AsyncMemory, SearchResult
from openmem.context import build_context
from openmem.providers.base import CONTEXT_CANDIDATES
from openmem.tokens import resolve_token_counter

from . import database
from .datasets import Data, Question
from .recall import settings

ESTIMATE = "estimate"


@dataclass(frozen=True)
class Searched:
    """A question, what its search found, and the keys of that in the data, by their ids."""

    question: Question
    results: Sequence[SearchResult]
    refs: Mapping[str, str]


@dataclass
class Blocks:
    """What the blocks of one counter and budget came to."""

    recall: list[float] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def row(self) -> list[str]:
        return [
            f"{statistics.fmean(self.recall):.3f}",
            f"{statistics.fmean(self.lines):.1f}",
            f"{statistics.fmean(self.tokens):.0f}",
            f"{statistics.median(self.milliseconds):.2f}",
        ]


async def search_all(arguments: dict[str, Any], data: Data) -> list[Searched]:
    searched = []
    async with AsyncMemory(**arguments) as memory:
        refs: dict[str, str] = {}
        for row in track(data.memories, "Adding memories"):
            record = await memory.add(content=row.content, user_id=row.user, valid_from=row.valid_from)
            refs[record.id] = row.ref
        for question in track(data.answerable, "Asking questions"):
            results = await memory.search(question.text, question.user, limit=CONTEXT_CANDIDATES)
            searched.append(Searched(question, results, refs))
    return searched


def build_all(searched: Sequence[Searched], counter: str, budget: int) -> Blocks:
    count = resolve_token_counter(None if counter == ESTIMATE else counter)
    count("the vocabulary is loaded")
    blocks = Blocks()
    for each in searched:
        started = time.thread_time()
        block = build_context(each.results, each.question.text, budget, count)
        blocks.milliseconds.append((time.thread_time() - started) * 1000)
        cited = {each.refs[citation.memory_id] for citation in block.citations}
        blocks.recall.append(len(each.question.evidence & cited) / len(each.question.evidence))
        blocks.lines.append(len(cited))
        blocks.tokens.append(block.token_count)
    return blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with memories.jsonl and questions.jsonl")
    parser.add_argument("--url", help="PostgreSQL URL; by default an embedded server in a temporary folder")
    parser.add_argument("--embedder", default="wordllama", help="name of the embedder (default: wordllama)")
    parser.add_argument("--counter", action="append", help=f"{ESTIMATE!r} (default), or as token_counter= has it")
    parser.add_argument("--budget", action="append", type=int, help="tokens (default: 500 and 1500)")
    options = parser.parse_args()
    with database.server(options.url) as url:
        arguments = settings("postgres", url) | {"embedder": options.embedder}
        searched = asyncio.run(search_all(arguments, Data.of(options.data)))
    table = Table("counter", "budget", "recall", "lines", "tokens", "CPU ms", title=f"{len(searched)} questions")
    for counter in options.counter or [ESTIMATE]:
        for budget in options.budget or [500, 1500]:
            table.add_row(counter, str(budget), *build_all(searched, counter, budget).row())
    Console().print(table)


if __name__ == "__main__":
    main()
