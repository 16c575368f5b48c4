"""What is measured: functions of the open systems, which take turns, to plain numbers.

Systems take turns by chunks of some calls, and the order of the turns rotates: each system's caches
are warm within its turn, and what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias, TypeVar

from .database import connected, locked, waiting
from .datasets import Question, Remembered
from .peers import Peer
from .results import Cancellation, Latency, Rate, Retrieval, Stall
from .stall import gaps

CUTOFFS: Final = (5, 10, 20)
CHUNK: Final = 20
WARM_UP: Final = 10
AT_ONCE: Final = 20
GIVE_UP: Final = 30.0

T = TypeVar("T")
Peers: TypeAlias = Mapping[str, Peer]
Call: TypeAlias = Callable[[str, str], Coroutine[Any, Any, object]]
Arguments: TypeAlias = tuple[str, str]
Advance: TypeAlias = Callable[[int], object]
# By system and id: whose memory it is, and its key in the data.
Ids: TypeAlias = dict[str, dict[str, Arguments]]


def turns(peers: Peers, items: Sequence[T]) -> Iterator[tuple[str, Peer, Sequence[T]]]:
    """Every system with every chunk of `items`; who begins changes from chunk to chunk."""
    order = list(peers.items())
    for start in range(0, len(items), CHUNK):
        for name, peer in order:
            yield name, peer, items[start : start + CHUNK]
        order = order[1:] + order[:1]


async def adds(peers: Peers, memories: Sequence[Remembered], advance: Advance) -> tuple[dict[str, Latency], Ids]:
    """Add the memories one by one; also the id that each system gave to each."""
    times: dict[str, list[float]] = defaultdict(list)
    ids: Ids = defaultdict(dict)
    for peer in peers.values():
        for number in range(WARM_UP):
            await peer.add(f"warming up, {number}", "warm-up")
    for name, peer, chunk in turns(peers, memories):
        for memory in chunk:
            began = time.perf_counter()
            id = await peer.add(memory.content, memory.user, memory.valid_from)
            times[name].append(time.perf_counter() - began)
            ids[name][id] = (memory.user, memory.ref)
        advance(len(chunk))
    return {name: latency(times[name]) for name in peers}, ids


async def searches(peers: Peers, calls: Sequence[Arguments], advance: Advance) -> dict[str, Latency]:
    """Search for ten results, one call after the other."""
    times: dict[str, list[float]] = defaultdict(list)
    found: dict[str, list[int]] = defaultdict(list)
    for peer in peers.values():
        for query, user in calls[:WARM_UP]:
            await peer.search(query, user)
    for name, peer, chunk in turns(peers, calls):
        for query, user in chunk:
            began = time.perf_counter()
            results = await peer.search(query, user)
            times[name].append(time.perf_counter() - began)
            found[name].append(len(results))
        advance(len(chunk))
    return {name: latency(times[name], found[name]) for name in peers}


def latency(seconds: Sequence[float], found: Sequence[int] = (0,)) -> Latency:
    """Percentiles in milliseconds."""
    return Latency(
        p50=rounded(statistics.median(seconds) * 1000),
        p99=rounded(statistics.quantiles(seconds, n=100, method="inclusive")[98] * 1000),
        calls=len(seconds),
        results=rounded(statistics.fmean(found)),
    )


async def rates(
    peers: Peers, verb: str, arguments: Callable[[int], Sequence[Arguments]], tasks: int, rounds: int, advance: Advance
) -> dict[str, Rate]:
    """Calls a second, `tasks` at a time; `arguments` gives those of a round."""
    found: dict[str, list[float]] = defaultdict(list)
    order = list(peers.items())
    for number in range(rounds):
        for name, peer in order:
            calls = arguments(number)
            began = time.perf_counter()
            await concurrently(peer, getattr(peer, verb), calls, tasks)
            found[name].append(rounded(len(calls) / (time.perf_counter() - began)))
            advance(1)
        order = order[1:] + order[:1]
    return {name: Rate(median=rounded(statistics.median(found[name])), rounds=found[name]) for name in peers}


async def concurrently(peer: Peer, call: Call, calls: Sequence[Arguments], tasks: int) -> None:
    """Make all calls, `tasks` at a time: in threads if they block."""
    if peer.blocking:
        with ThreadPoolExecutor(tasks) as threads:
            for _ in threads.map(lambda arguments: _finished(call(*arguments)), calls):
                pass
        return
    waiting = iter(calls)

    async def work() -> None:
        for arguments in waiting:
            await call(*arguments)

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work())


def _finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("a call that should block has suspended")


async def retrieval(peers: Peers, ids: Ids, questions: Sequence[Question], advance: Advance) -> dict[str, Retrieval]:
    """Ask every question once, and compare the results with the evidence."""
    ranked: dict[str, list[tuple[Question, list[str]]]] = defaultdict(list)
    for name, peer, chunk in turns(peers, questions):
        for question in chunk:
            results = await peer.search(question.text, question.user, max(CUTOFFS))
            known = (ids[name].get(id, ("", "")) for id in results)
            ranked[name].append((question, [ref for user, ref in known]))
        advance(len(chunk))
    return {name: judged(ranked[name]) for name in peers}


def judged(answers: Sequence[tuple[Question, list[str]]], cutoffs: Sequence[int] = CUTOFFS) -> Retrieval:
    """Recall at k is the share of a question's evidence among its first k results, averaged over the questions;
    MRR is the mean of 1 / rank of the first evidence, 0 if there is none."""
    reciprocal = [
        next((1 / rank for rank, ref in enumerate(refs, start=1) if ref in question.evidence), 0.0)
        for question, refs in answers
    ]
    return Retrieval(
        recall={
            k: rounded(
                statistics.fmean(
                    len(question.evidence & set(refs[:k])) / len(question.evidence) for question, refs in answers
                )
            )
            for k in cutoffs
        },
        mrr=rounded(statistics.fmean(reciprocal)),
        results=rounded(statistics.fmean(len(refs) for _, refs in answers)),
        questions=len(answers),
    )


async def stall(work: Callable[[], Awaitable[object]], rounds: int) -> Stall:
    """How long the event loop was kept from other work."""
    longest = [max(late for late, _ in await gaps(work)) * 1000 for _ in range(rounds)]
    return Stall(median=rounded(statistics.median(longest)), worst=rounded(max(longest)))


async def cancellation(peer: Peer, url: str, calls: Sequence[Arguments], rounds: int) -> Cancellation:
    """Lock all tables of the system's database, cancel what then waits there, and see what is left of it."""
    caller: list[float] = []
    running: dict[int, list[int]] = {1: [], AT_ONCE: []}
    answered = asked = 0
    for many in running:
        for _ in range(rounds):
            async with locked(url):
                caller += await _cancelled(peer, url, calls[:many])
                await asyncio.sleep(1)
                running[many].append(await _waiting(url))
            outcomes = await asyncio.gather(
                *(asyncio.wait_for(peer.search(*arguments), GIVE_UP) for arguments in calls[:AT_ONCE]),
                return_exceptions=True,
            )
            asked += len(outcomes)
            answered += sum(not isinstance(outcome, BaseException) for outcome in outcomes)
    return Cancellation(
        caller=rounded(statistics.median(caller) * 1000),
        caller_worst=rounded(max(caller) * 1000),
        running=running[1],
        at_once=AT_ONCE,
        running_at_once=running[AT_ONCE],
        answered=answered,
        asked=asked,
    )


async def _cancelled(peer: Peer, url: str, calls: Sequence[Arguments]) -> list[float]:
    """Start the calls, wait until the server sits on one, cancel them all; seconds until each has raised."""
    tasks = [asyncio.create_task(_until_cancelled(peer, *arguments)) for arguments in calls]
    async with asyncio.timeout(GIVE_UP):
        while not await _waiting(url):  # noqa: ASYNC110  # nobody but the server knows
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    began = time.perf_counter()
    for task in tasks:
        task.cancel()
    return [ended - began for ended in await asyncio.gather(*tasks)]


async def _until_cancelled(peer: Peer, query: str, user: str) -> float:
    """The moment at which a search that is going to be cancelled has raised."""
    try:
        await peer.search(query, user)
    except asyncio.CancelledError:
        return time.perf_counter()
    raise RuntimeError("a search has passed a lock on all tables")


async def _waiting(url: str) -> int:
    async with connected(url) as connection:
        return await waiting(connection)


def rounded(number: float) -> float:
    """Four significant digits, which is more than the measurements are worth."""
    return float(f"{number:.4g}")
