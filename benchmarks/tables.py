"""The tables of a result, for the terminal and for Markdown.

Times are shown as multiples of the floor's, because those mean something on another machine; the
floor's own times stand below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich import box
from rich.table import Table

from .peers import FLOOR, SYSTEMS
from .results import Latency, RecallRun, Result, SetRecall, Stall

WANTED = 10


@dataclass(frozen=True)
class Grid:
    """A table, with what must be known to read it."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def markdown(grid: Grid) -> str:
    lines = [list(grid.heads), ["---", *["--:"] * (len(grid.heads) - 1)], *map(list, grid.rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{grid.note}".rstrip()


def rich_table(grid: Grid) -> Table:
    table = Table(
        title=grid.title, caption=grid.note, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD
    )
    for number, head in enumerate(grid.heads):
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*row, style="bold" if row[0].startswith("openmem") else "")
    return table


def all_grids(result: Result) -> Iterator[Grid]:
    """Every table that the result has numbers for."""
    yield one_by_one(result)
    if result.throughput:
        yield throughput(result)
    if result.retrieval:
        yield retrieval(result)
    if result.sizes:
        yield sizes(result)
    if result.stall_alone is not None:
        yield stalls(result, result.stall_alone)
    if result.cancellation:
        yield cancellation(result)


def one_by_one(result: Result) -> Grid:
    parts: list[tuple[dict[str, Latency], Callable[[Latency], float]]] = [
        (found, percentile) for found in (result.add, result.search) for percentile in (_p50, _p99)
    ]
    rows = [
        [_title(name), *(times(percentile(found[name]), percentile(found[FLOOR])) for found, percentile in parts)]
        for name in result.systems
    ]
    floor = ", ".join(milliseconds(percentile(found[FLOOR])) for found, percentile in parts)
    note = f"{_title(FLOOR)}: {floor} ms. A user has about {result.memories // result.users:,} memories."
    return Grid("One call at a time", ["", "add p50", "add p99", "search p50", "search p99"], rows, note)


def throughput(result: Result) -> Grid:
    rates = result.throughput
    rows = [
        [_title(name), *(times(rates[verb][name].median, rates[verb][FLOOR].median) for verb in rates)]
        for name in result.systems
    ]
    absolute = ", ".join(f"{rates[verb][FLOOR].median:,.0f} {verb}" for verb in rates)
    note = f"{_title(FLOOR)}: {absolute} calls a second. More is better."
    return Grid(f"Calls a second, {result.tasks} at a time", ["", *rates], rows, note)


def retrieval(result: Result) -> Grid:
    cutoffs = list(next(iter(result.retrieval.values())).recall)
    heads = ["", *(f"R@{k}" for k in cutoffs), "MRR", f"results of {max(cutoffs)}"]
    if result.retrieval_in_store:
        heads += ["R@10 in the full store", "MRR", f"results of {max(cutoffs)}"]
    rows = []
    for name in result.systems:
        alone = result.retrieval[name]
        row = [_title(name), *(share(alone.recall[k]) for k in cutoffs), share(alone.mrr), f"{alone.results:.1f}"]
        if result.retrieval_in_store:
            full = result.retrieval_in_store[name]
            row += [share(full.recall[10]), share(full.mrr), f"{full.results:.1f}"]
        rows.append(row)
    questions = next(iter(result.retrieval.values())).questions
    data = "made-up data: this recall says little about real conversations" if result.synthetic else result.data
    note = f"{questions:,} questions, {result.memories:,} memories of {people(result.users)} ({data})."
    if result.retrieval_in_store:
        note += f" The full store holds {result.store:,} memories, most of them other users'."
    return Grid("Recall", heads, rows, note)


def sizes(result: Result) -> Grid:
    rows = []
    for size, found in result.sizes.items():
        floor = found[FLOOR]
        cells = [
            times(found[name].p50, floor.p50)
            + (f" ({found[name].results:.1f} results)" if found[name].results < min(WANTED, size) - 0.05 else "")
            for name in result.systems
        ]
        rows.append([f"{size:,}", milliseconds(floor.p50), *cells[1:]])
    heads = ["memories of the user", f"{_title(FLOOR)}, ms", *(_title(name) for name in result.systems[1:])]
    note = (
        f"Median of a search for {WANTED} results, in a store of {result.store:,} memories. Where a system returned "
        "fewer than that on average, their number stands in brackets."
    )
    return Grid("Search by size", heads, rows, note)


def stalls(result: Result, alone: Stall) -> Grid:
    heads = ["", *result.stalls]
    names = next(iter(result.stalls.values()))
    rows = [
        [_title(name), *(f"{found[name].median:.1f} ({found[name].worst:.1f})" for found in result.stalls.values())]
        for name in names
    ]
    note = (
        "Milliseconds: the median, and in brackets the maximum, of the longest stalls of the repetitions. "
        f"With nothing running: {alone.median:.1f} ({alone.worst:.1f})."
    )
    return Grid("Longest stall of the event loop", heads, rows, note)


def cancellation(result: Result) -> Grid:
    at_once = next(iter(result.cancellation.values())).at_once
    heads = [
        "",
        "CancelledError after ms (worst)",
        "still running 1 s later",
        f"the same, {at_once} cancelled",
        "searches answered afterwards",
    ]
    rows = [
        [
            _title(name),
            f"{found.caller:.2f} ({found.caller_worst:.2f})",
            f"{max(found.running)}",
            f"{max(found.running_at_once)}",
            f"{found.answered} of {found.asked}",
        ]
        for name, found in result.cancellation.items()
    ]
    note = "Statements that run on the server after their callers are gone: the most of the repetitions."
    return Grid("Cancelling a search that waits for a lock", heads, rows, note)


def summary(result: Result) -> Grid:
    """What fits into the README."""
    biggest = max(result.sizes)
    rows = []
    for name in result.systems:
        big, floor = result.sizes[biggest][name], result.sizes[biggest][FLOOR]
        left = result.cancellation.get(name)
        rows.append(
            [
                _title(name),
                times(result.add[name].p50, result.add[FLOOR].p50),
                times(result.search[name].p50, result.search[FLOOR].p50),
                times(result.throughput["search"][name].median, result.throughput["search"][FLOOR].median),
                times(big.p50, floor.p50),
                "-" if left is None else str(max(left.running_at_once)),
            ]
        )
    heads = [
        "",
        "add",
        "search",
        f"searches/s, {result.tasks} at a time",
        f"search among {biggest:,}",
        "left running",
    ]
    floor_times = f"{milliseconds(result.add[FLOOR].p50)} ms, {milliseconds(result.search[FLOOR].p50)} ms, "
    floor_times += f"{result.throughput['search'][FLOOR].median:,.0f}/s, "
    floor_times += f"{milliseconds(result.sizes[biggest][FLOOR].p50)} ms"
    note = f"Times of {_title(FLOOR)}: {floor_times}. The store holds {result.store:,} memories."
    return Grid("Summary", heads, rows, note)


def recall_grids(run: RecallRun, *, times: bool = True) -> Iterator[Grid]:
    """A table for each embedder: a row for each set and ranking, and the means over the sets.

    Args:
        times: with the times of searches.
    """
    for embedder in dict.fromkeys(one.embedder for one in run.sets):
        found = [one for one in run.sets if one.embedder == embedder]
        rows: list[list[str]] = []
        for data in dict.fromkeys(one.data for one in found):
            of_set = [one for one in found if one.data == data]
            rows += [[data if one is of_set[0] else "", *_recall_cells(one)] for one in of_set]
        means = recall_means(found)
        rows += [["" if number else "mean", *row, "", "", ""] for number, row in enumerate(means.rows)]
        heads = ["", *means.heads, "right", "unrelated", "p50 ms"]
        if not times:
            heads, rows = heads[:-1], [row[:-1] for row in rows]
        yield Grid(f"Recall with {embedder}", heads, rows, _circumstances(run, found))


def min_score_grids(run: RecallRun) -> Iterator[Grid]:
    """For each embedder, what a ``min_score`` keeps of the right answers and of unrelated memories, by set."""
    for embedder in dict.fromkeys(one.embedder for one in run.sets):
        found = [one for one in run.sets if one.embedder == embedder and one.right_kept and one.unrelated_kept]
        if not found:
            continue
        rows = []
        for name, group in [*((one.data, [one]) for one in found), ("mean", found)]:
            shares = [
                [fmean(kept[least] for kept in side) for least in found[0].right_kept]
                for side in ([one.right_kept for one in group], [one.unrelated_kept for one in group])
            ]
            rows.append(
                [name, *(f"{share(right)} / {share(unrelated)}" for right, unrelated in zip(*shares, strict=True))]
            )
        note = "The share of the right answers among the results that it keeps / that of the unrelated memories."
        yield Grid(f"What min_score keeps with {embedder}", ["", *map(share, found[0].right_kept)], rows, note)


def recall_summary(run: RecallRun, cutoff: int = 5) -> Grid:
    """What fits into the README: recall by kind of set, the first word of its name, and the mean of all sets."""
    found = [one for one in run.sets if one.embedder == run.sets[0].embedder]
    kinds: dict[str, list[SetRecall]] = {}
    for one in found:
        kinds.setdefault(one.data.replace(",", "-").partition("-")[0], []).append(one)
    rows = [
        [
            ranking,
            *(
                share(fmean(one.retrieval.recall[cutoff] for one in group if one.ranking == ranking))
                for group in (*kinds.values(), found)
            ),
        ]
        for ranking in dict.fromkeys(one.ranking for one in found)
    ]
    counted = [f"{kind} ({len({one.data for one in group})})" for kind, group in kinds.items()]
    note = f"Recall@{cutoff}, by kind of set; in brackets how many there are. {_circumstances(run, found)}"
    return Grid("Recall by kind of set", ["", *counted, "mean of all"], rows, note)


def recall_means(found: Sequence[SetRecall]) -> Grid:
    """What each ranking finds, averaged over the sets of one embedder."""
    cutoffs = list(found[0].retrieval.recall)
    rows = []
    for ranking in dict.fromkeys(one.ranking for one in found):
        of_ranking = [one.retrieval for one in found if one.ranking == ranking]
        numbers = [[one.recall[k] for one in of_ranking] for k in cutoffs] + [[one.mrr for one in of_ranking]]
        rows.append([ranking, *(share(fmean(column)) for column in numbers)])
    note = f"Means of {len({one.data for one in found})} sets."
    return Grid("Recall", ["", *(f"R@{k}" for k in cutoffs), "MRR"], rows, note)


def _recall_cells(one: SetRecall) -> list[str]:
    numbers = [*one.retrieval.recall.values(), one.retrieval.mrr]
    scores = ["-" if score is None else f"{score:.2f}".replace("0.", ".", 1) for score in (one.right, one.unrelated)]
    return [one.ranking, *map(share, numbers), *scores, "-" if one.p50 is None else milliseconds(one.p50)]


def _circumstances(run: RecallRun, found: Sequence[SetRecall]) -> str:
    how = {
        "sequence": "one after the other",
        "concurrent": "many at once",
        "shuffled": "in a random order",
        "bulk": "all at once with add_many",
    }
    every = {one.data: one for one in found}.values()
    note = f"{sum(one.retrieval.questions for one in every):,} questions, "
    note += f"{sum(one.memories for one in every):,} memories, stored {how[run.order]} (provider {run.provider})."
    if run.gap is not None:
        note += f" Memories without a date are {run.gap:g} seconds apart."
    if run.constants:
        note += f" Constants: {', '.join(f'{name}={value}' for name, value in run.constants.items())}."
    return note


def times(value: float, floor: float) -> str:
    """``1.7×``: how many times the floor's."""
    ratio = value / floor
    return f"{ratio:.2f}×" if ratio < 1.995 else f"{ratio:.1f}×"


def people(users: int) -> str:
    return "1 user" if users == 1 else f"{users} users"


def milliseconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _title(name: str) -> str:
    return SYSTEMS[name].title


def _p50(found: Latency) -> float:
    return found.p50


def _p99(found: Latency) -> float:
    return found.p99
