"""JSON lines that a command reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from ..errors import InvalidRequestError
from ..wire.strict_json import read_json
from .streams import standard_input

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""Of one memory with all its fields; more than any can have."""


def read_objects(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects in a file, one a line, each with the number of its line. Empty lines are left out.

    Args:
        path: the file; ``-`` is standard input.

    Raises:
        InvalidRequestError: the file cannot be read, or a line is no object; the message has its number.
    """
    name = "standard input" if path == "-" else path
    with _opened(path) as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise InvalidRequestError(f"{name}: line {number} is longer than {MAX_LINE_BYTES} bytes")
            if line.strip():
                yield number, _object(line, f"{name}: line {number}")


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = read_json(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{where} is not UTF-8") from None
    except ValueError as error:
        raise InvalidRequestError(f"{where} {error}") from None
    if not isinstance(value, dict):
        raise InvalidRequestError(f'{where} is not a JSON object such as {{"content": "…"}}')
    return value


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield standard_input()
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - errors of its use are not those of opening it
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror or type(error).__name__}") from None
    with file:
        yield file
