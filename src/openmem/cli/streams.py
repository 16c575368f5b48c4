"""Standard input, output and error, whatever encoding the machine gives them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from ..errors import InvalidRequestError


def prepare_streams() -> None:
    """Let no character be too much for a stream: one that the encoding does not have is shown by its code.

    A stream that whoever started the process has closed is one that is empty, or that nobody reads.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def wants_color(stream: object) -> bool:
    """Whether a stream is a terminal of somebody who has nothing against colours; see https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def is_terminal(stream: object) -> bool:
    """Whether a person sees what is written there."""
    return bool(getattr(stream, "isatty", bool)())


def read_input() -> str:
    """All of standard input.

    Raises:
        InvalidRequestError: it is not UTF-8.
    """
    return "".join(read_lines())


def standard_input() -> BinaryIO:
    """Standard input as bytes."""
    return sys.stdin.buffer


def read_lines() -> Iterator[str]:
    """Standard input line by line, each with its end.

    Raises:
        InvalidRequestError: it is not UTF-8.
    """
    for number, line in enumerate(standard_input(), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequestError(
                f"standard input: line {number} is not UTF-8 at its byte {error.start + 1}; convert it first"
            ) from None
        yield text


def text_of(argument: str) -> str:
    """An argument, or all of standard input in place of ``-``, without line breaks at its end.

    Raises:
        InvalidRequestError: standard input is not UTF-8.
    """
    return read_input().rstrip("\r\n") if argument == "-" else argument


class Names(NamedTuple):
    """What a command is to be done for.

    Attributes:
        values: the names.
        is_single: whether it is one that stands on the command line.
    """

    values: list[str]
    is_single: bool


def names_of(arguments: Sequence[str]) -> Names:
    """Arguments, with the lines of standard input in place of ``-``.

    Raises:
        InvalidRequestError: standard input is not UTF-8.
    """
    names: list[str] = []
    for argument in arguments:
        if argument == "-":
            names += [line.strip() for line in read_lines() if line.strip()]
        else:
            names.append(argument)
    return Names(names, len(arguments) == 1 and arguments[0] != "-")
