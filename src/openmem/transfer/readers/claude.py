"""The archive of one's own data from Claude: what it remembers, and the conversations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader, flag
from ..records import Item, Loss, Place, Problem
from ..sources import Archive, Source
from .archives import find, table
from .fields import Fields, names_of, record, scope_of
from .sections import Piece, pieces_of

_FORMAT: Final = "claude"

Row = dict[str, Any]


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of the archive, and with the option ``turns`` what was said in conversations."""
    with_turns = flag(options, "turns")
    with source.archive() as archive:
        memories, conversations = find(archive, "memories.json"), find(archive, "conversations.json")
        if memories is None and conversations is None:
            raise InvalidRequestError(f"{source.name}: has no memories.json: is no archive of data from Claude")
        projects = _projects(archive)
        if any(project.get("docs") or project.get("prompt_template") for project in projects.values()):
            yield Loss(f"{_FORMAT}.projects", "documents and prompts of projects are no memories")
        if memories is not None:
            for row in table(archive, memories):
                yield from [row] if isinstance(row, Problem) else account(*row, projects)
        if conversations is None:
            return
        if not with_turns:
            yield Loss(f"{_FORMAT}.conversations", "conversations are read with the option turns=true")
            return
        for row in table(archive, conversations):
            yield from [row] if isinstance(row, Problem) else turns(*row)


def account(place: Place, row: Row, projects: dict[str, Row]) -> Iterator[Item]:
    """The memories of one account: each bullet or section of the texts that Claude keeps."""
    known = {name: value for name, value in row.items() if name not in ("conversations_memory", "project_memories")}
    text = row.get("conversations_memory")
    if isinstance(text, str):
        yield from _pieces(place, text, known, ())
    by_project = row.get("project_memories")
    for uuid, text in by_project.items() if isinstance(by_project, dict) else ():
        if not isinstance(text, str):
            yield Problem("has the memory of a project that is no text", place, field="project_memories")
            continue
        project = {"uuid": uuid} | {k: v for k, v in projects.get(uuid, {}).items() if k in ("name", "description")}
        yield from _pieces(place, text, known | {"project": project}, ("projects", project.get("name", uuid)))


def _pieces(place: Place, text: str, known: Row, scope: tuple[object, ...]) -> Iterator[Item]:
    for piece in pieces_of(text, "auto"):
        yield _piece(Place(piece.line, place.item, place.part), piece, known, scope)


def _piece(place: Place, piece: Piece, known: Row, scope: tuple[object, ...]) -> Item:
    fields = Fields(known)
    if piece.headings:
        fields.left["headings"] = list(piece.headings)
    if piece.date:
        fields.left["date_in_list"] = piece.date
    created = Fields({"date": piece.date}).time("date")
    return record(
        _FORMAT, fields, place, piece.text, source_id=None, user_id=None,
        scope=scope_of(*scope), tags=names_of(piece.headings), created_at=created,
    )  # fmt: skip


def turns(place: Place, conversation: Row) -> Iterator[Item]:
    """What was said in one conversation, a memory for each message."""
    about = Fields(conversation)
    messages = about.list("chat_messages")
    summary = about.text("summary")
    title = conversation.get("name")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            yield Problem(f"message {number} is no JSON object", place)
            continue
        fields = Fields(message)
        content = fields.left.get("content")
        text = fields.text("text") or _text(content)
        if _is_only_text(content) and _text(content) == text:
            fields.drop("content")
        if text is None:
            yield Problem(f"message {number} has no text", place, source_id=_id(message))
            continue
        said = fields.time("created_at")
        source_id = fields.name("uuid")
        fields.left["conversation"] = about.left | ({"summary": summary} if summary and number == 1 else {})
        yield record(
            _FORMAT, fields, place, text, source_id=source_id, user_id=None, scope=scope_of("chat", title),
            created_at=said, valid_from=said, updated_at=fields.time("updated_at"),
        )  # fmt: skip


def _text(blocks: object) -> str | None:
    """The text of the blocks of a message."""
    if not isinstance(blocks, list):
        return None
    texts = [block["text"] for block in blocks if isinstance(block, dict) and isinstance(block.get("text"), str)]
    return "\n".join(texts) if "".join(texts).strip() else None


def _is_only_text(blocks: object) -> bool:
    return isinstance(blocks, list) and all(
        isinstance(block, dict) and block.keys() <= {"type", "text"} for block in blocks
    )


def _id(message: Row) -> str | None:
    id = message.get("uuid")
    return id if isinstance(id, str) else None


def _projects(archive: Archive) -> dict[str, Row]:
    name = find(archive, "projects.json")
    rows = () if name is None else table(archive, name)
    found = [row[1] for row in rows if not isinstance(row, Problem)]
    return {row["uuid"]: row for row in found if isinstance(row.get("uuid"), str)}


READER: Final = Reader(
    _FORMAT,
    "the archive of one's data from Claude, a ZIP archive",
    read,
    {"turns": "true: what was said in conversations is read, too"},
)
