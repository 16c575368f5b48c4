"""The SDK's logs, which say more than ours may: it logs messages at DEBUG, and errors with the values in them."""

from __future__ import annotations

import logging
from typing import Final

LIBRARIES: Final = ("mcp.server", "mcp.shared", "sse_starlette")
"""Loggers, with all below them. Those of the SDK's clients are the application's own."""


class _WithoutTexts(logging.Filter):
    """Lets warnings and errors through, without tracebacks and values that may hold what is remembered."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return False
        if record.exc_info is not None:
            kind = record.exc_info[0]
            record.msg = f"{record.msg} ({'' if kind is None else kind.__qualname__})"
            record.exc_info = None
            record.exc_text = None
        return True


_filter: Final = _WithoutTexts()


def keep_texts_out_of_logs() -> None:
    """Put the filter on every logger of the SDK, since a logger's filters do not hold for those below it."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(LIBRARIES):
            logging.getLogger(name).addFilter(_filter)
