"""The entry point: what it does with errors, interrupts and closed pipes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

import click

from . import interrupt_between_imports
from .failures import EXIT_CLOSED_PIPE, EXIT_INTERRUPTED, EXIT_MISUSED, report_failure
from .group import LazyGroup
from .streams import prepare_streams
from .table import COMMANDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; `openmem.cli.failures` has what each of them means."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    is_brief = arguments is None and _is_brief(given)
    if is_brief:
        # To look for plugins, pydantic reads the metadata of all packages that are installed.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        # What is imported is no garbage. Python would look for some in it again and again, and once more at its end.
        gc.set_threshold(100_000)
        # It loads models in a thread.
        interrupt_between_imports()
    prepare_streams()
    try:
        return run(given)
    except BrokenPipeError:
        return _pipe_is_closed()
    finally:
        if is_brief:
            gc.freeze()


def _is_brief(arguments: Sequence[str]) -> bool:
    """Whether a command reads or writes some memories and ends."""
    row = COMMANDS.get(arguments[0]) if arguments else None
    return row is not None and row.module in ("reading", "writing")


def run(arguments: Sequence[str]) -> int:
    """The exit status of a command line. What is wrong with it is told on standard error.

    Raises:
        BrokenPipeError: nobody reads the output any more.
    """
    try:
        result = application.main(list(arguments), prog_name="openmem", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        click.echo("openmem: interrupted", err=True)
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_MISUSED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, whatever it was
        return report_failure(error, arguments)
    return result if isinstance(result, int) else 0


def _pipe_is_closed() -> int:
    # Python flushes the stream at its end and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_CLOSED_PIPE


application = LazyGroup()
