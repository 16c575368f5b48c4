"""One memory: all of it, what it replaced and what replaced it, and what was done with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from ...errors import ConflictError, InvalidRequestError, OMPError
from ...models import MemoryRecord
from ...operations import Add, Get, History, Put, Update
from ...selection import is_valid
from ...wire.routes import AUDIT
from ..changes import changed_fields, shown_fields, typed_fields
from ..page import Page
from ..visit import APP, Visit

MAX_AUDIT_ENTRIES: Final = "1000"
"""Of the user, among which those of the memory are looked for."""

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How much earlier than a memory the entry about its making may be: clients and servers have clocks of their own."""

_COPIED: Final = ("scope", "tags", "confidence", "valid_from", "valid_to", "metadata", "expires_at", "indexed")
"""What a memory that replaces another one has of it, where the form does not say otherwise."""


async def show(visit: Visit) -> Response:
    """The memory with its history."""
    id, user_id = visit.query.require("id"), visit.query.one("user_id")
    capabilities = await visit.capabilities()
    if "history" in capabilities.verbs:
        history = await visit.run(History(id=id, user_id=user_id))
    else:
        history = [await visit.run(Get(id=id, user_id=user_id))]
    memory = next(record for record in history if record.id == id)
    return await visit.page(
        "memory.html",
        title="Memory",
        user_id=memory.user_id,
        memory=memory,
        history=history,
        since=_shortly_before(memory.created_at),
        has_audit=capabilities.features.supports_audit,
        now=datetime.now(UTC),
        is_valid=is_valid,
    )


def _shortly_before(moment: datetime) -> str | None:
    """From when on there may be entries about a memory that was made at a moment; None for from the beginning."""
    try:
        return min(moment - CLOCKS_DIFFER, datetime.now(UTC) - CLOCKS_DIFFER).isoformat()
    except OverflowError:
        return None


async def show_audit(visit: Visit) -> Response:
    """What was done with the memory by its id: those of its entries that are on a page of the user's log.

    The log has no filter by memory. A link from the memory says when it was made, so that no older entries are read.
    """
    id = visit.query.require("id")
    op = visit.query.operation(AUDIT, visit.zone, limit=MAX_AUDIT_ENTRIES)
    entries = await visit.run(op)
    query = visit.kept(AUDIT, op)
    return await visit.page(
        "memory_audit.html",
        title="Audit of a memory",
        user_id=query["user_id"][0],
        id=id,
        entries=[entry for entry in entries if entry.memory_id == id],
        query={**query, "id": [id]},
        next_cursor=entries.next_cursor,
    )


async def edit(visit: Visit) -> Response:
    """The form that changes the memory."""
    memory = await visit.run(Get(id=visit.query.require("id"), user_id=visit.query.one("user_id")))
    return await _form(visit, memory, shown_fields(memory, visit.zone))


async def save(visit: Visit) -> Response:
    """Change the memory, or store another one that replaces it."""
    memory = await visit.run(Get(id=visit.form.require("id"), user_id=visit.form.require("user_id")))
    try:
        changes = changed_fields(memory, visit.form, visit.zone)
        if not changes:
            return visit.redirect("memory", id=memory.id, user_id=memory.user_id, done="unchanged")
        version = visit.form.one("version")
        if visit.form.one("action") == "replace":
            stored, done = await visit.run(_replacement(memory, changes, _number(version))), "replaced"
        else:
            condition = {} if version is None else {"if_version": _number(version)}
            op = Update(id=memory.id, user_id=memory.user_id, **changes, **condition)
            stored, done = await visit.run(op), "saved"
    except (InvalidRequestError, ConflictError) as error:
        return await _form(visit, memory, typed_fields(visit.form), error)
    return visit.redirect("memory", id=stored.id, user_id=stored.user_id, done=done)


async def _form(
    visit: Visit, memory: MemoryRecord, fields: Mapping[str, Any], error: OMPError | None = None
) -> Response:
    return await visit.page(
        "edit.html",
        title="Edit",
        user_id=memory.user_id,
        error=error,
        status=200 if error is None else 409 if isinstance(error, ConflictError) else 400,
        memory=memory,
        fields=fields,
        version=visit.form.one("version") or memory.version,
    )


def _replacement(memory: MemoryRecord, changes: Mapping[str, Any], version: int | None) -> Add:
    """The memory that replaces `memory`: with its fields, changed."""
    fields = {name: getattr(memory, name) for name in _COPIED} | dict(changes)
    shared = {**fields, "user_id": memory.user_id, "source": {"app": APP, "type": "explicit"}}
    shared.setdefault("content", memory.content)
    if memory.key is not None and "scope" not in changes:
        return Put(**shared, key=memory.key, keep_history=True, if_version=version)
    return Add(**shared, supersedes=[memory.id])


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 10:
        raise InvalidRequestError("version: it is not a whole number")
    return int(text)


PAGES = (Page("memory", show), Page("memory_audit", show_audit), Page("edit", edit, save))
