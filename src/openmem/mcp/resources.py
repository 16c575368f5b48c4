"""What a host can show of the memory by address, and the prompts that a person can choose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ..delimited import Note
from ..errors import InvalidRequestError
from ..models import AuditEntries
from ..operations import Audit, Context, Get, List
from .callers import Caller
from .shapes import quoted, seen, shown_fields

RESOURCE_TOKENS: Final = 5_000
RECENT: Final = 20
AUDITED: Final = 50
RECALL_TOKENS: Final = 1_000


async def read_resource(caller: Caller, name: str) -> tuple[str, str]:
    """What is at ``memory://<name>``: its text and its media type.

    Raises:
        NotFoundError: there is no such memory.
    """
    match name:
        case "recent":
            page = await caller.run(List(user_id=caller.user_id, limit=RECENT))
            notes = [Note.of(record) for record in page.items]
            shown = await quoted(notes, RESOURCE_TOKENS, most_of_one=RESOURCE_TOKENS // 4)
            return shown.text or "Nothing is remembered.", "text/plain"
        case "capabilities":
            return _json((await caller.capabilities()).to_wire())
        case "audit":
            return _json({"items": _audited(await caller.run(Audit(user_id=caller.user_id, limit=AUDITED)))})
    record = await caller.run(Get(user_id=caller.user_id, id=name))
    return _json(shown_fields(record, Note.of(record)))


async def prompt_text(caller: Caller, name: str, arguments: Mapping[str, str]) -> str:
    """The text of a prompt.

    Raises:
        InvalidRequestError: the prompt needs an argument that is not given.
    """
    [needed] = PROMPTS[name]
    text = arguments.get(needed, "")
    if not text.strip():
        raise InvalidRequestError(f"{needed}: the prompt {name} needs it")
    if name == "remember":
        return f"Remember this with add_memory, each fact by itself, in a sentence that needs no other:\n\n{text}"
    block = await caller.run(Context(user_id=caller.user_id, query=text, token_budget=RECALL_TOKENS))
    known = block.as_data(RECALL_TOKENS) or "Nothing is remembered about this."
    return f"What do you know about me and this: {text}\n\n{known}"


PROMPTS: Final[Mapping[str, tuple[str, ...]]] = {"recall": ("topic",), "remember": ("text",)}
"""The prompts by their names, with their arguments."""


def _audited(entries: AuditEntries) -> list[dict[str, Any]]:
    return [entry.to_wire() for entry in entries]


def _json(value: Any) -> tuple[str, str]:
    return json.dumps(seen(value), ensure_ascii=False), "application/json"
