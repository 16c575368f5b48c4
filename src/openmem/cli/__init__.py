"""The command ``openmem``: every verb in the terminal, and what looks after a store.

`openmem.cli.table` has a row for each command, and a module of `openmem.cli.commands` the command itself. A command
that uses a backend is made by `openmem.cli.session.client_command`, and is given a `openmem.cli.session.Session`: the
client, the output and the progress, as the shared options say.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

__all__ = ["main"]

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; `openmem.cli.failures` has what each of them means."""
    # What is imported here, and Python at its end, would answer an interrupt with a traceback.
    _at_interrupt(_leave)
    from .application import main as run  # noqa: PLC0415 - it imports much

    _at_interrupt(signal.default_int_handler)
    try:
        return run(arguments)
    finally:
        if arguments is None:
            _at_interrupt(_leave)


def interrupt_between_imports() -> None:
    """Let an interrupt be a `KeyboardInterrupt` of the main thread, but for one in the middle of an import.

    That one would leave the lock of all imports to nobody, and a thread that imports would wait for it for ever.
    """
    _at_interrupt(_interrupt)


def _at_interrupt(handler: Any) -> None:
    """Choose what happens at SIGINT, unless whoever started the process has: a shell ignores it in the background."""
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _leave, _interrupt):
        # Only the main thread can choose.
        with suppress(ValueError):
            signal.signal(signal.SIGINT, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        _leave(number, frame)
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"openmem: interrupted\n")
    os._exit(EXIT_INTERRUPTED)
