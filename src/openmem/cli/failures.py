"""What the exit status says, and how a failure is told.

======  ==========================================================================
status  meaning
======  ==========================================================================
0       done
1       the backend failed, or refused because of what is stored
2       wrong usage, or wrong settings
3       there is no such memory
4       the credentials are refused, or do not allow it
5       done in part; standard error has the rest
75      the backend is unavailable, or asks to slow down: try again
130     interrupted
141     nobody reads the output any more
======  ==========================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

import click

from ..errors import InvalidRequestError, OMPError
from . import EXIT_INTERRUPTED as EXIT_INTERRUPTED

EXIT_FAILED: Final = 1
EXIT_MISUSED: Final = 2
EXIT_NOT_FOUND: Final = 3
EXIT_UNAUTHORIZED: Final = 4
EXIT_PARTLY: Final = 5
EXIT_TRY_AGAIN: Final = 75
EXIT_CLOSED_PIPE: Final = 141

_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "invalid_request": EXIT_MISUSED,
    "payload_too_large": EXIT_MISUSED,
    "unsupported_capability": EXIT_MISUSED,
    "not_found": EXIT_NOT_FOUND,
    "unauthorized": EXIT_UNAUTHORIZED,
    "scope_denied": EXIT_UNAUTHORIZED,
    "rate_limited": EXIT_TRY_AGAIN,
    "provider_unavailable": EXIT_TRY_AGAIN,
    "ingestion_timeout": EXIT_TRY_AGAIN,
}


def exit_status(error: OMPError) -> int:
    """The exit status of a command that fails with this error."""
    return _STATUS_OF_CODE.get(error.code, EXIT_FAILED)


def report_failure(error: Exception, arguments: Sequence[str]) -> int:
    """Tell what went wrong, and return the exit status.

    Args:
        arguments: the command line, which says how.
    """
    options = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    if os.environ.get("OPENMEM_TRACEBACK"):
        import traceback  # noqa: PLC0415 - the help starts without

        traceback.print_exception(error)
    known = _known(error)
    say_error(known, as_json="--json" in options or "--jsonl" in options, is_verbose="--verbose" in options)
    return exit_status(known)


def say_error(error: OMPError, *, as_json: bool, is_verbose: bool = False) -> None:
    """Tell an error on standard error: in one sentence, or as the protocol's object.

    Args:
        is_verbose: whether the sentence ends in the request id.
    """
    from .plain import one_line, safe_json  # noqa: PLC0415 - the help starts without

    if as_json:
        import json  # noqa: PLC0415

        from ..wire.errors import error_body  # noqa: PLC0415 - only for programs that ask

        click.echo(safe_json(json.dumps(error_body(error), ensure_ascii=False)), err=True)
        return
    where = f" [request {error.request_id}]" if is_verbose and error.request_id else ""
    click.echo(f"openmem: {one_line(error.message)}{one_line(where)}", err=True)


def _known(error: Exception) -> OMPError:
    match error:
        case OMPError():
            return error
        case click.ClickException():
            return InvalidRequestError(_usage(error))
        case ImportError():
            return OMPError(str(error), code="missing_extra")
        case OSError():
            where = error.filename or "standard output, or a temporary file"
            return OMPError(f"{where}: {error.strerror or type(error).__name__}")
    return OMPError(
        f"this is a defect of openmem ({type(error).__name__}); run it again with OPENMEM_TRACEBACK=1 for more"
    )


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    return message if context is None or ";" in message else f"{message}; see '{context.command_path} --help'"
