"""How far long work has come, on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final, Self

from .streams import is_terminal

FIRST_AFTER_SECONDS: Final = 1.0
EVERY_SECONDS: Final = 0.2


class Progress:
    """A line that is rewritten while work goes on, once it has taken a second, where a person sees it.

    It is called with what is done and what there is to do, and used in a ``with`` block, after which the line is gone.

    Args:
        what: what is done, as in ``embedded``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self._shown_at: float | None = None
        self._is_seen = is_terminal(sys.stderr)

    def __call__(self, done: int, total: int | None = None) -> None:
        """Say how far it is.

        Args:
            total: how much there is to do; None if nobody knows.
        """
        now = time.monotonic()
        seconds = now - self._began
        last = self._began + FIRST_AFTER_SECONDS - EVERY_SECONDS if self._shown_at is None else self._shown_at
        if not self._is_seen or now - last < EVERY_SECONDS:
            return
        self._shown_at = now
        sys.stderr.write(f"\r\x1b[K{describe(self._what, done, total, seconds)}")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown_at is not None:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def describe(what: str, done: int, total: int | None, seconds: float) -> str:
    """How far it is, with the rate and the time left."""
    rate = done / seconds if seconds > 0 else 0.0
    parts = [f"{what} {done:,}" + ("" if total is None else f" of {total:,}")]
    if rate > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if total is not None and total > done:
            parts.append(f"{_time((total - done) / rate)} left")
    return ", ".join(parts)


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
