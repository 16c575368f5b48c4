"""The block of fields between two lines ``---`` at the beginning of a Markdown file.

Only a small part of YAML is read: scalars, lists of scalars in brackets or as lines with a dash, and text of several
lines. All scalars stay text, as they are written: YAML would make a boolean of ``no``, a float of the version
``3.10``, and a number of ``12:30``. What is more than that is not read at all, and handed on as text.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Value: TypeAlias = str | list[str]

_KEY: Final = re.compile(r"([A-Za-z_][\w .-]{0,99}?)\s*:(?:\s+(.*))?")
_ITEM: Final = re.compile(r"\s*-\s+(.*)")
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "t": "\t"}


def split_frontmatter(text: str) -> tuple[dict[str, Value] | str | None, str, int]:
    """The fields of a file, its text without them, and how many lines they take.

    The fields are None if there are none, and the text between the two lines if it is more than is read.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return None, text, 0
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() in ("---", "..."):
            block = lines[1:number]
            body = "\n".join(lines[number + 1 :])
            try:
                return _fields(block), body, number + 1
            except ValueError:
                return "\n".join(block), body, number + 1
    return None, text, 0


def _fields(lines: list[str]) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    position = 0
    while position < len(lines):
        line = lines[position].rstrip()
        position += 1
        if not line or line.startswith("#"):
            continue
        found = _KEY.fullmatch(line)
        if found is None or found[1] in fields:
            raise ValueError
        name, rest = found[1], (found[2] or "").strip()
        block: list[str] = []
        while position < len(lines) and (lines[position][:1] in (" ", "\t", "-") or not lines[position].strip()):
            block.append(lines[position].rstrip())
            position += 1
        while block and not block[-1]:
            block.pop()
        fields[name] = _value(rest, block)
    return fields


def _value(rest: str, block: list[str]) -> Value:
    if rest in ("|", "|-", ">", ">-"):
        depth = min((len(line) - len(line.lstrip()) for line in block if line), default=0)
        lines = [line[depth:] for line in block]
        return "\n".join(lines) if rest[0] == "|" else " ".join(filter(None, lines))
    if rest and block:
        raise ValueError
    if block:
        items = [_ITEM.fullmatch(line) for line in block if line and not line.lstrip().startswith("#")]
        if not all(items):
            raise ValueError
        return [_scalar(item[1]) for item in items if item is not None]
    if rest.startswith("["):
        return _flow(rest)
    return _scalar(rest)


def _flow(text: str) -> list[str]:
    if not text.endswith("]") or any(character in text[1:-1] for character in "[]{}"):
        raise ValueError
    parts = re.findall(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,"']+)\s*(?:,|$)""", text[1:-1])
    if len(re.sub(r"\s", "", "".join(parts))) + max(len(parts) - 1, 0) < len(
        re.sub(r"\s", "", text[1:-1].rstrip(", "))
    ):
        raise ValueError
    return [_scalar(part.strip()) for part in parts if part.strip()]


def _scalar(text: str) -> str:
    text = text.strip()
    if text[:1] in ("&", "*", "!", "{", "[", "%", "@", "`", "|", ">"):
        raise ValueError
    if text[:1] == '"':
        if len(text) < 2 or text[-1] != '"' or re.search(r'(?<!\\)(?:\\\\)*"', text[1:-1]):
            raise ValueError
        if re.search(r"\\[^\"\\/nt]", re.sub(r"\\\\", "", text[1:-1])):
            raise ValueError
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1])
    if text[:1] == "'":
        if len(text) < 2 or text[-1] != "'" or "'" in text[1:-1].replace("''", ""):
            raise ValueError
        return text[1:-1].replace("''", "'")
    if ": " in text or text.endswith(":"):
        raise ValueError
    return re.split(r"\s#", text)[0].rstrip()
