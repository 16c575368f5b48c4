"""The comparison itself, small, with the systems that need nothing but openmem's own dependencies."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

from rich.console import Console
from rich.progress import Progress

from benchmarks.datasets import Data
from benchmarks.results import Result
from benchmarks.run import MEASUREMENTS, Scale, run
from benchmarks.tables import all_grids, summary

from ..servers import Server

SMALL = Scale(
    sizes=(10, 30),
    users=1,
    searches=30,
    searches_per_size=12,
    rounds=2,
    calls_per_round=40,
    stall_calls=10,
    stall_rounds=1,
    cancellations=1,
)
SYSTEMS = ["floor", "openmem", "openmem-sync"]


def test_a_small_run() -> None:
    invented = Data.of(None).first_users(SMALL.users)
    memories = invented.memories[:60]
    known = {memory.ref for memory in memories}
    data = replace(invented, memories=memories, questions=[q for q in invented.questions if q.evidence <= known])
    server = Server()
    server.start()
    try:
        with Progress(console=Console(file=io.StringIO())) as progress:
            result = asyncio.run(run(server.url(), data, SMALL, SYSTEMS, MEASUREMENTS, progress))
    finally:
        server.remove()

    assert Result.model_validate_json(result.model_dump_json()) == result
    assert list(result.add) == list(result.search) == list(result.retrieval) == SYSTEMS
    for size in SMALL.sizes:
        assert result.sizes[size]["floor"].results == 10
        for system in SYSTEMS:
            assert 5 < result.sizes[size][system].results <= 10
    for found in (result.retrieval, result.retrieval_in_store):
        for system in SYSTEMS:
            assert 0.5 < found[system].recall[20] <= 1
            assert found[system].results == 20
    for name in ("floor", "openmem"):
        cancelled = result.cancellation[name]
        assert (cancelled.running, cancelled.running_at_once) == ([0], [0])
        assert cancelled.answered == cancelled.asked == 40
        assert len(result.stalls) == 4
    written = SMALL.rounds * SMALL.calls_per_round + 2 * SMALL.stall_calls * SMALL.stall_rounds
    assert result.store >= len(data.memories) + sum(SMALL.sizes) + written
    for grid in (*all_grids(result), summary(result)):
        assert {len(row) for row in grid.rows} == {len(grid.heads)}
