"""Code that is written once for both modes: it is given a function that performs operations."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ..operations import Operation
from .clients import Runner

R = TypeVar("R")


class Perform(Protocol):
    """Performs an operation in one of the two modes; where it blocks, it never suspends."""

    async def __call__(self, op: Operation[R], /, *, idempotency_key: str | None = None) -> R: ...


def blocking(runner: Runner) -> Perform:
    """`Runner.run` in the form of a coroutine, for `openmem.ports.run_blocking`."""

    async def perform(op: Operation[R], /, *, idempotency_key: str | None = None) -> R:
        return runner.run(op, idempotency_key=idempotency_key)

    return perform
