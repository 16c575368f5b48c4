"""Markdown and plain lists, taken apart into pieces that are memories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SPLITS: Final = ("auto", "file", "section", "item")

_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)(?:\s+#+)?\s*")
_BULLET: Final = re.compile(r"(?:[-*+•]|\d{1,9}[.)])\s+(\S.*)")
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_DATED: Final = re.compile(r"\[(\d{4}-\d\d-\d\d|unknown)\]\s*[-–—:]?\s+(\S.*)", re.DOTALL)  # noqa: RUF001
"""The dash between the date and the text can be any that people or models type."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text.

    Attributes:
        text: the part, without the heading above it, and without a bullet.
        headings: the headings above it, the highest first.
        line: the number of its first line, from 1.
        date: the date in brackets that a list has before the text; empty for none.
    """

    text: str
    headings: tuple[str, ...]
    line: int
    date: str = ""


def pieces_of(text: str, split: str, first_line: int = 1) -> Iterator[Piece]:
    """The parts of a text, in their order.

    Args:
        split: ``file``: all of it is one; ``section``: what is below each heading; ``item``: each bullet and each
            paragraph; ``auto``: each bullet of a section that has nothing but bullets, else the section.
        first_line: the number of the first line.
    """
    if split == "file":
        if text.strip():
            yield Piece(text.strip("\n"), (), first_line)
        return
    for headings, line, lines in _sections(text, first_line):
        blocks = list(_blocks(lines, line))
        is_list = bool(blocks) and all(is_bullet for _, _, is_bullet in blocks)
        if split == "item" or (split == "auto" and is_list):
            for number, block, is_bullet in blocks:
                yield _piece(block, headings, number, is_bullet=is_bullet)
        elif (body := "\n".join(lines).strip("\n")).strip():
            yield Piece(body, headings, line)


def _sections(text: str, first_line: int) -> Iterator[tuple[tuple[str, ...], int, list[str]]]:
    headings: list[tuple[int, str]] = []
    lines: list[str] = []
    start = first_line
    is_code = False
    for number, line in enumerate(text.split("\n"), first_line):
        is_code ^= _FENCE.match(line) is not None
        found = None if is_code else _HEADING.fullmatch(line)
        if found is None:
            if not lines and not line.strip():
                start = number + 1
                continue
            lines.append(line)
            continue
        yield tuple(title for _, title in headings), start, lines
        level = len(found[1])
        headings = [heading for heading in headings if heading[0] < level]
        if found[2]:
            headings.append((level, found[2]))
        lines, start = [], number + 1
    yield tuple(title for _, title in headings), start, lines


def _blocks(lines: list[str], first_line: int) -> Iterator[tuple[int, list[str], bool]]:
    """The bullets, each with the lines that are indented below it, and the paragraphs."""
    block: list[str] = []
    start = first_line
    is_bullet = is_code = False
    for number, line in enumerate(lines, first_line):
        begins = not is_code and _BULLET.fullmatch(line) is not None
        is_code ^= _FENCE.match(line) is not None
        continues = is_code or (bool(block) and is_bullet and line[:1] in (" ", "\t") and bool(line.strip()))
        if (
            begins
            or (not line.strip() and not is_code and not is_bullet)
            or (is_bullet and not continues and line.strip())
        ):
            if any(part.strip() for part in block):
                yield start, block, is_bullet
            block, start, is_bullet = [], number, begins
        if line.strip() or is_code:
            if not block:
                start = number
            block.append(line)
    if any(part.strip() for part in block):
        yield start, block, is_bullet


def _piece(block: list[str], headings: tuple[str, ...], line: int, *, is_bullet: bool) -> Piece:
    first = _BULLET.fullmatch(block[0]) if is_bullet else None
    text = "\n".join([block[0] if first is None else first[1], *block[1:]])
    dated = _DATED.fullmatch(text)
    return Piece(text, headings, line) if dated is None else Piece(dated[2], headings, line, dated[1])
