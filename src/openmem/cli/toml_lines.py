"""Changing one value of a TOML document, whose other lines, comments included, stay as they are. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"\s*\[")


def with_value(text: str, table: Sequence[str], key: str, value: Any) -> str:
    """The document with a value at a key of a table, which is added if it is missing.

    Args:
        table: names of the tables it is in, from outside; empty for the document itself.
        key: its name, of letters, digits, underscores and hyphens.
        value: text, a number, a boolean, or a list of those; None removes the key.

    Raises:
        ValueError: the document has the value in a form that cannot be changed line by line.
    """
    lines = text.splitlines()
    begin, end = _section(lines, table)
    assignment = re.compile(rf"\s*{re.escape(key)}\s*=")
    found = [number for number in range(begin, end) if assignment.match(lines[number])]
    written = [] if value is None else [f"{key} = {written_value(value)}"]
    if found:
        lines[found[0] : found[0] + 1] = written
    elif begin == end == len(lines) and table:
        lines += [*([""] if lines else []), f"[{'.'.join(map(_written_key, table))}]", *written]
    else:
        lines[begin:begin] = written
    changed = "".join(f"{line}\n" for line in lines)
    try:
        is_right = tomllib.loads(changed) == _expected(tomllib.loads(text), table, key, value)
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise ValueError(f"{key} stands there in a form that only an editor can change")
    return changed


def without_table(text: str, table: Sequence[str]) -> str:
    """The document without a table and the tables in it; comments before the next table stay.

    Raises:
        ValueError: the document has it in a form that cannot be removed line by line.
    """
    lines = text.splitlines()
    header = re.compile(rf"\s*\[\s*{_names(table)}\s*[\].]")
    kept: list[str] = []
    is_removed = False
    for line in lines:
        if _HEADER.match(line):
            is_removed = header.match(line) is not None
        if not is_removed or not line.strip() or line.lstrip().startswith("#"):
            kept.append(line)
    changed = "".join(f"{line}\n" for line in kept)
    try:
        is_right = tomllib.loads(changed) == _expected(tomllib.loads(text), table[:-1], table[-1], None)
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise ValueError(f"{table[-1]} stands there in a form that only an editor can change")
    return changed


def written_value(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _section(lines: Sequence[str], table: Sequence[str]) -> tuple[int, int]:
    """The lines of a table behind its header; both are the end of the document where the table is missing."""
    header = re.compile(rf"\s*\[\s*{_names(table)}\s*\]\s*(#.*)?$")
    begin = 0
    if table:
        begin = next((number + 1 for number, line in enumerate(lines) if header.match(line)), len(lines))
    end = next((number for number in range(begin, len(lines)) if _HEADER.match(lines[number])), len(lines))
    return begin, end


def _names(table: Sequence[str]) -> str:
    """What matches the names of a table in a header."""
    names = [rf"(?:{re.escape(name)}|\"{re.escape(name)}\"|'{re.escape(name)}')" for name in table]
    return r"\s*\.\s*".join(names)


def _expected(document: Mapping[str, Any], table: Sequence[str], key: str, value: Any) -> Mapping[str, Any]:
    if table:
        inner = document.get(table[0], {})
        return {**document, table[0]: _expected(inner, table[1:], key, value)}
    kept = {name: item for name, item in document.items() if name != key}
    written = list(value) if isinstance(value, tuple) else value
    return kept if value is None else {**kept, key: written}


def _written_key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
