"""SQL in files: whole statements with named parameters and a few include points.

A file holds a statement as psql takes it. ``:user_id::text`` is a parameter. ``{schema}`` is an include point, replaced
by a name or by another part of SQL when the statement is rendered. Comments stay in the rendered text, which
``docs/sql`` shows, and are left out of what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Final, TypeVar

from ....ports.postgres import Row, Statement

R = TypeVar("R")

_INCLUDE: Final = re.compile(r"\{([a-z][a-z_]*)\}")
_TOKEN: Final = re.compile(r"(?P<text>'(?:[^']|'')*')|(?P<comment>--[^\n]*)|(?<![:\w]):(?P<parameter>[a-z][a-z0-9_]*)")


class Query:
    """A statement whose parameters have names.

    Args:
        text: SQL with ``:name`` where the value of a parameter goes.

    Attributes:
        text: the same.
        sql: what the server is sent: without comments, and with ``$1`` for the parameter that is mentioned first.
        parameters: the names of the parameters, in the order of their numbers.
    """

    __slots__ = ("parameters", "sql", "text")

    def __init__(self, text: str) -> None:
        numbers: dict[str, int] = {}

        def sent(token: re.Match[str]) -> str:
            if token["comment"] is not None:
                return ""
            if token["parameter"] is None:
                return token[0]
            return f"${numbers.setdefault(token['parameter'], len(numbers) + 1)}"

        self.text = text
        self.sql = _TOKEN.sub(sent, text)
        self.parameters = tuple(numbers)

    def bind(self, values: Mapping[str, object], decode: Callable[[Sequence[Row]], R]) -> Statement[R]:
        """The statement with its arguments: of `values` those that the text mentions.

        Args:
            decode: what the rows mean.
        """
        return Statement(self.sql, tuple([values[name] for name in self.parameters]), decode)


def read(package: str, name: str) -> str:
    """The text of the file ``<name>.sql`` in a package."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def render(text: str, parts: Mapping[str, str]) -> str:
    """`text` with its include points replaced, also those in what replaces them.

    Raises:
        KeyError: there is no part of such a name.
    """
    while _INCLUDE.search(text):
        text = _INCLUDE.sub(lambda point: parts[point[1]], text)
    return text
