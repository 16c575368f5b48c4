"""What goes to standard output: a table for people, JSON, JSON lines, or ids."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import click

from ..errors import InvalidRequestError
from .plain import cut, one_line, safe_json, safe_text, width
from .streams import is_terminal, wants_color

Json: TypeAlias = Any
Format: TypeAlias = Literal["table", "json", "jsonl", "ids"]

GAP: Final = "  "
LEAST_FLEXIBLE_COLUMNS: Final = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        read: the text of a row's cell; None for none.
        is_flexible: whether it is cut where the table is wider than the terminal.
        is_right: whether its cells stand at its right.
    """

    title: str
    read: Callable[[Any], object]
    is_flexible: bool = False
    is_right: bool = False


class Answer(NamedTuple):
    """One thing to write.

    Attributes:
        document: it as JSON.
        ids: what ``-q`` writes of it.
        text: it for people; None for its members, one a line.
    """

    document: Json
    ids: Iterable[str]
    text: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Standard output.

    Attributes:
        format: how results are written.
    """

    format: Format = "table"

    @classmethod
    def of(cls, *, json: bool, jsonl: bool, quiet: bool) -> Output:
        """The output that flags ask for.

        Raises:
            InvalidRequestError: they ask for several.
        """
        formats: dict[Format, bool] = {"json": json, "jsonl": jsonl, "ids": quiet}
        asked = [format for format, is_asked in formats.items() if is_asked]
        if len(asked) > 1:
            raise InvalidRequestError("--json, --jsonl and -q exclude each other; pass only one of them")
        return cls(asked[0] if asked else "table")

    @property
    def is_for_programs(self) -> bool:
        """Whether it is JSON."""
        return self.format in ("json", "jsonl")

    def document(self, document: Json, ids: Iterable[str] = (), text: Callable[[], str] | None = None) -> None:
        """Write one thing.

        Args:
            document: it as JSON.
            ids: what ``-q`` writes of it.
            text: it for people; by default its members, one a line.
        """
        if self.is_for_programs:
            self._json(document)
        elif self.format == "ids":
            self._lines(map(one_line, ids))
        else:
            self.text(members(document) if text is None else text())

    def rows(
        self,
        document: Json,
        items: Sequence[Json],
        columns: Sequence[Column],
        read_id: Callable[[Any], str],
        nothing: str = "nothing found",
    ) -> None:
        """Write several things of a kind.

        Args:
            document: all as one JSON document.
            items: each as JSON.
            columns: of the table.
            read_id: what ``-q`` writes of each.
            nothing: what people are told, on standard error, where there are none.
        """
        if self.format == "json":
            self._json(document)
        elif self.format == "jsonl":
            for item in items:
                self._json(item)
        elif self.format == "ids":
            self._lines(one_line(read_id(item)) for item in items)
        elif items:
            self.text(table(items, columns, self._columns(), is_colored=wants_color(sys.stdout)))
        else:
            click.echo(nothing, err=True)

    def text(self, text: str) -> None:
        """Write text for people, which has no control characters but colours; through a pager if it is long."""
        is_long = text.count("\n") >= shutil.get_terminal_size().lines
        if is_long and is_terminal(sys.stdout) and is_terminal(sys.stdin):
            click.echo_via_pager(text + "\n", color=wants_color(sys.stdout))
        else:
            click.echo(text, color=wants_color(sys.stdout))

    def note(self, text: str) -> None:
        """Tell people something beside the output."""
        if self.format == "table":
            click.echo(one_line(text), err=True)

    def _columns(self) -> int | None:
        return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None

    def _json(self, document: Json) -> None:
        is_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        indent = 2 if self.format == "json" and is_terminal(sys.stdout) else None
        click.echo(safe_json(json.dumps(document, ensure_ascii=not is_unicode, indent=indent)))

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            click.echo(line)


def table(items: Iterable[Any], columns: Sequence[Column], room: int | None, *, is_colored: bool = False) -> str:
    """Rows below headings.

    Args:
        room: the terminal's columns; None for no bound. Only flexible columns become narrower for it.
    """
    rows = [[_cell(column.read(item)) for column in columns] for item in items]
    used = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    widths = {index: max(width(columns[index].title), *(width(row[index]) for row in rows)) for index in used}
    if room is not None:
        flexible = [index for index in used if columns[index].is_flexible]
        fixed = sum(widths[index] for index in used if index not in flexible) + len(GAP) * (len(used) - 1)
        for index in flexible:
            widths[index] = min(widths[index], max(LEAST_FLEXIBLE_COLUMNS, (room - fixed) // len(flexible)))
    heading = _line([columns[index].title for index in used], used, columns, widths)
    lines = [click.style(heading, bold=True) if is_colored else heading]
    lines += [_line([row[index] for index in used], used, columns, widths) for row in rows]
    return "\n".join(lines)


def members(document: Mapping[str, Json], indent: str = "") -> str:
    """The members of a JSON object, one a line, with those of objects in it below them."""
    lines = []
    room = max((len(name) for name in document), default=0)
    for name, value in document.items():
        label = one_line(name)
        if isinstance(value, dict) and value:
            lines += [f"{indent}{label}:", members(value, indent + "  ")]
            continue
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            text = ", ".join(value)
        elif isinstance(value, str):
            text = value
        else:
            text = json.dumps(value, ensure_ascii=False)
        [first, *others] = safe_text(text).split("\n")
        lines.append(f"{indent}{label}:{' ' * (room - len(name) + 1)}{first}".rstrip())
        lines += [f"{indent}{' ' * (room + 2)}{line}".rstrip() for line in others]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return one_line(", ".join(map(str, value)))
    return one_line(str(value))


def _line(cells: Sequence[str], used: Sequence[int], columns: Sequence[Column], widths: Mapping[int, int]) -> str:
    padded = []
    for index, cell in zip(used, cells, strict=True):
        shown = cut(cell, widths[index])
        space = " " * (widths[index] - width(shown))
        padded.append(space + shown if columns[index].is_right else shown + space)
    return GAP.join(padded).rstrip()
