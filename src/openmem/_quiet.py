"""Other libraries' logs, which say more than ours may.

Vendors' SDKs and HTTP clients log requests at DEBUG or INFO: URLs with user ids and queries, bodies with texts,
headers. While openmem calls them they are quiet below WARNING. An application's own calls of the same library are
logged as before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LIBRARIES: Final = (
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "letta_client",
    "mem0",
    "openai",
    "supermemory",
)
"""Loggers, with all below them."""

_is_quiet: ContextVar[bool] = ContextVar("openmem_quiet", default=False)


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or not _is_quiet.get()


_filter: Final = _Filter()
_seen = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block, what this thread or task has other libraries do is logged from WARNING on only."""
    _install()
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def _install() -> None:
    """Put the filter on every logger of the libraries, since a logger's filters do not hold for those below it."""
    global _seen
    loggers = logging.root.manager.loggerDict
    if len(loggers) == _seen:
        return
    _seen = len(loggers)
    for name in list(loggers):
        if name.partition(".")[0] in LIBRARIES:
            logging.getLogger(name).addFilter(_filter)
