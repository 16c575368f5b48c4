"""What a run found, as values that go into a JSON file and come back. Times are milliseconds."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

RESULT: Final = "result.json"
RECALL: Final = "recall.json"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Value):
    """Calls one after the other. `results` is the mean number of results of a search."""

    p50: float
    p99: float
    calls: int
    results: float


class Rate(_Value):
    """Calls a second, many at a time: the median of the rounds, and each round."""

    median: float
    rounds: list[float]


class Retrieval(_Value):
    """Recall of the evidence by cutoff, mean reciprocal rank, and the mean number of results."""

    recall: dict[int, float]
    mrr: float
    results: float
    questions: int


class SetRecall(_Value):
    """What one ranking finds in one set.

    Attributes:
        ranking: ``openmem``, or the name of a baseline.
        right: median score of the best right answers, of the questions that had one among their results.
        unrelated: median score of memories that have nothing to do with the question; None where scores mean nothing.
        right_kept: the share of the right answers among the results that a ``min_score`` keeps, by ``min_score``.
        unrelated_kept: the same of the unrelated memories.
        p50: median time of a search, without that of embedding the question; None of a baseline.
    """

    data: str
    embedder: str
    ranking: str
    memories: int
    users: int
    retrieval: Retrieval
    right: float | None
    unrelated: float | None
    right_kept: dict[float, float]
    unrelated_kept: dict[float, float]
    p50: float | None


class RecallRun(_Value):
    """A run of `benchmarks.recall`: how the memories were stored, constants that were changed, and what was found."""

    provider: str
    order: str
    gap: float | None
    constants: dict[str, str]
    sets: list[SetRecall]


class Stall(_Value):
    """The longest stall of the event loop in each repetition: their median and their maximum."""

    median: float
    worst: float


class Cancellation(_Value):
    """Searches cancelled while the server sits on them.

    Attributes:
        caller: median time from the cancellation to `CancelledError`.
        caller_worst: the longest.
        running: statements that still run on the server a second later, per repetition.
        at_once: how many searches were cancelled at once in `running_at_once`.
        running_at_once: the same as `running` for these.
        answered: searches that succeeded afterwards, of `asked`.
    """

    caller: float
    caller_worst: float
    running: list[int]
    at_once: int
    running_at_once: list[int]
    answered: int
    asked: int


class Machine(_Value):
    """What the run ran on."""

    system: str
    processor: str
    cores: int
    memory_gib: float
    python: str
    load_before: float


class Result(_Value):
    """A whole run. Mappings by system have the order of `systems`; a measurement left out is empty."""

    date: str
    seconds: float
    quick: bool
    machine: Machine
    server: dict[str, str]
    versions: dict[str, str]
    systems: list[str]
    data: str
    synthetic: bool
    memories: int
    users: int
    tasks: int
    add: dict[str, Latency]
    search: dict[str, Latency]
    throughput: dict[str, dict[str, Rate]]
    retrieval: dict[str, Retrieval]
    store: int
    retrieval_in_store: dict[str, Retrieval]
    sizes: dict[int, dict[str, Latency]]
    stall_alone: Stall | None
    stalls: dict[str, dict[str, Stall]]
    cancellation: dict[str, Cancellation]
