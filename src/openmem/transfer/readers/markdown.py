"""Markdown, one file or a folder of files, and lists that were copied as text.

Covers folders of notes such as those of basic-memory, Claude Code and Letta's MemFS, and the lists of memories that
ChatGPT and Claude show.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader
from ..records import Item, Place, Problem
from ..sources import Source
from .fields import Fields, names_of, record, scope_of
from .frontmatter import split_frontmatter
from .sections import SPLITS, Piece, pieces_of

_FORMAT: Final = "markdown"
_TEXT: Final = "text"
_SUFFIXES: Final = (".md", ".markdown", ".mdx", ".txt")
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_FILES: Final = 100_000

_NEXT_BLOCK: Final = re.compile(r"^(?=---\nid: )", re.MULTILINE)
_CATEGORY: Final = re.compile(r"\[([^\[\]]{1,100})\]\s")
_HASHTAG: Final = re.compile(r"(?<!\S)#([^\W\d][\w/-]{0,99})")


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of a file, of a folder, or of a ZIP archive of files."""
    split = options.get("split", "auto")
    if split not in SPLITS:
        raise InvalidRequestError(f"option 'split': give one of {', '.join(SPLITS)}")
    if source.is_folder:
        assert source.path is not None
        for path, name in _files(source.path):
            try:
                with path.open("rb") as stream:
                    yield from _file(stream, name, split)
            except OSError as error:
                yield Problem(f"cannot be read: {error.strerror}", Place(part=name))
    elif source.path is not None and source.path.suffix.lower() == ".zip":
        with source.archive() as archive:
            for name in sorted(archive.names):
                if name.lower().endswith(_SUFFIXES) and not _is_hidden(name):
                    with archive.open(name) as stream:
                        yield from _file(stream, name, split)
    else:
        with source.open() as stream:
            yield from _file(stream, None, split)


def read_text(source: Source, options: Options) -> Iterator[Item]:
    """The memories of a list: each line that is not blank, a bullet, or a paragraph of indented lines."""
    with source.open() as stream:
        text = _decoded(stream, None)
    if isinstance(text, Problem):
        yield text
        return
    lines = (line for line in text.split("\n") if not re.match(r"\s*(```|~~~)", line))
    for piece in pieces_of("\n".join(line if line[:1] in (" ", "\t") else _bullet(line) for line in lines), "item"):
        yield _record(_TEXT, piece, Place(line=piece.line), {}, None)


def memories(text: str, part: str | None, split: str) -> Iterator[Item]:
    """The memories of one text with its frontmatter.

    Args:
        part: the path of the file in a folder or an archive, which becomes the scope.
    """
    line = 1
    for document in _NEXT_BLOCK.split(text) if text.startswith("---\nid: ") else [text]:
        front, body, taken = split_frontmatter(document)
        known = front if isinstance(front, dict) else {} if front is None else {"frontmatter": front}
        pieces = list(pieces_of(body, split, line + taken))
        if not pieces and known:
            yield Problem("has fields, and no text", Place(line=line, part=part))
        for piece in pieces:
            whole = len(pieces) == 1
            yield _record(_FORMAT, piece, Place(line=piece.line, part=part), dict(known), part, is_whole=whole)
        line += document.count("\n")


def _record(
    format: str, piece: Piece, place: Place, front: dict[str, Any], part: str | None, *, is_whole: bool = False
) -> Item:
    fields = Fields(front)
    tags = fields.tags("tags", "categories", "topics")
    for name in ("tags", "categories"):
        joined = fields.left.get(name)
        if isinstance(joined, str):
            fields.drop(name)
            tags += names_of(tag.strip().removeprefix("#") for tag in joined.split(","))
    inline = [*_CATEGORY.findall(piece.text[:102])[:1]] if _CATEGORY.match(piece.text) else []
    tags = names_of([*tags, *piece.headings, *inline, *_HASHTAG.findall(piece.text)])
    source_id = fields.name("id") if is_whole else None
    created = fields.time("created_at", "created", "date")
    if piece.date:
        fields.left["date_in_list"] = piece.date
    dated = Fields({"date": piece.date}).time("date") if piece.date else None
    if part is not None:
        fields.left["path"] = part
    if piece.headings:
        fields.left["headings"] = list(piece.headings)
    return record(
        format,
        fields,
        place,
        piece.text,
        source_id=source_id,
        user_id=None,
        scope=None if part is None else scope_of(*re.sub(r"\.\w+$", "", part).split("/")),
        tags=tags,
        created_at=dated or created,
        updated_at=fields.time("updated_at", "updated", "modified"),
    )


def _file(stream: BinaryIO, part: str | None, split: str) -> Iterator[Item]:
    text = _decoded(stream, part)
    if isinstance(text, Problem):
        yield text
    else:
        yield from memories(text, part, split)


def _decoded(stream: BinaryIO, part: str | None) -> str | Problem:
    raw = stream.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        return Problem(f"has more than {MAX_FILE_BYTES} bytes", Place(part=part))
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        return Problem(f"is not text in UTF-8: byte {error.start} is wrong", Place(part=part))


def _bullet(line: str) -> str:
    return line if not line.strip() or re.match(r"(?:[-*+•]|\d{1,9}[.)]|#{1,6})\s", line) else f"- {line}"


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a folder and those below it, by name; without links, which could lead out of it."""
    count = 0
    for root, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith(".") or not name.lower().endswith(_SUFFIXES) or not stat.S_ISREG(path.lstat().st_mode):
                continue
            count += 1
            if count > MAX_FILES:
                raise InvalidRequestError(f"{folder}: has more than {MAX_FILES} files")
            yield path, path.relative_to(folder).as_posix()


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


READER: Final = Reader(
    _FORMAT,
    "Markdown: a file, a folder or a ZIP archive of notes with frontmatter, sections and lists",
    read,
    {"split": "what becomes a memory: file, section, item, or auto (the default): bullets, else sections"},
    takes_folder=True,
)
TEXT_READER: Final = Reader(
    _TEXT, "a list of memories as text, a line each, as ChatGPT and Claude show them", read_text
)
