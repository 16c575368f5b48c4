"""A new memory, by hand."""

from __future__ import annotations

import secrets
from typing import Any, Final

from starlette.responses import Response

from ...errors import ConflictError, InvalidRequestError, OMPError
from ...operations import Add
from ..changes import NO_FIELDS, given_fields, typed_fields
from ..page import Page
from ..visit import APP, Visit

PATH: Final = "add"


async def show(visit: Visit) -> Response:
    """The empty form, or with the scope that a link names."""
    return await _form(visit, visit.query.require("user_id"), {**NO_FIELDS, "scope": visit.query.one("scope") or ""})


async def store(visit: Visit) -> Response:
    """Store the memory; once, however often its form is sent."""
    form = visit.form
    user_id, once = form.require("user_id"), form.one("once")
    try:
        given = given_fields(form, visit.zone)
        op = Add(user_id=user_id, source={"app": APP, "type": "explicit"}, **given)
        # A form that was sent, gone back to and changed is another memory.
        key = f"{once} {op.fingerprint}" if once and visit.site.client.remembers_keys else None
        stored = await visit.run(op, idempotency_key=key)
    except (InvalidRequestError, ConflictError) as error:
        return await _form(visit, user_id, typed_fields(form), error)
    return visit.redirect("memory", id=stored.id, user_id=stored.user_id, done="added")


async def _form(visit: Visit, user_id: str, fields: dict[str, Any], error: OMPError | None = None) -> Response:
    return await visit.page(
        "add.html",
        title="Add a memory",
        user_id=user_id,
        error=error,
        status=200 if error is None else 409 if isinstance(error, ConflictError) else 400,
        fields=fields,
        once=secrets.token_urlsafe(16),
    )


PAGES = (Page(PATH, show, store),)
