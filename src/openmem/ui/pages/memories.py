"""The memories of a user: filtered, a page at a time, and what can be done with several of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from ...errors import InvalidRequestError
from ...operations import DeleteMany, Update
from ...selection import is_valid
from ...wire.routes import LIST
from ..navigation import Link
from ..page import Page
from ..rendering import url
from ..safety import is_own_path
from ..static_files import PREFIX
from ..visit import Visit

PAGE_SIZE: Final = "50"
PATH: Final = "memories"

VALIDITY: Final = {"": "At any time", "now": "Now", "then": "At the time below"}


async def show(visit: Visit) -> Response:
    """A page of the list."""
    fixed = {"as_of": datetime.now(UTC).isoformat()} if visit.query.one("valid") == "now" else {}
    op = visit.query.operation(LIST, visit.zone, limit=PAGE_SIZE, **fixed)
    page = await visit.run(op)
    query = visit.kept(LIST, op)
    return await visit.page(
        "memories.html",
        title="Memories",
        user_id=query["user_id"][0],
        memories=page,
        query=query,
        op=op,
        now=datetime.now(UTC),
        is_valid=is_valid,
        valid=visit.query.one("valid") or ("then" if "as_of" in query else ""),
        validity=VALIDITY,
        is_filtered=bool(query.keys() - {"user_id", "order", "cursor"}),
        back=url(PATH, **query),
    )


async def change(visit: Visit) -> Response:
    """Forget, restore or delete the memories that are ticked."""
    user_id = visit.form.require("user_id")
    ids = visit.form.many("ids")
    back = visit.form.one("back") or ""
    if not is_own_path(back, PREFIX):
        back = url(PATH, user_id=user_id)
    if not ids:
        raise InvalidRequestError("no memory is ticked; go back and tick those that are meant")
    action = visit.form.require("action")
    if action == "delete" and visit.form.one("confirmed") is None:
        return await visit.page("confirm_deletion.html", title="Delete for good?", user_id=user_id, ids=ids, back=back)
    if action == "delete":
        number = await visit.run(DeleteMany(user_id=user_id, ids=ids))
        if back.startswith(url("memory", id="")):
            back = url(PATH, user_id=user_id)
        return visit.redirect_to(_with_notice(back, "deleted", number))
    if action not in ("forget", "restore"):
        raise InvalidRequestError(f"action: {action[:40]!r} is not one of forget, restore, delete")
    end = datetime.now(UTC) if action == "forget" else None
    for id in ids:
        await visit.run(Update(id=id, user_id=user_id, valid_to=end))
    return visit.redirect_to(_with_notice(back, "forgotten" if action == "forget" else "restored", len(ids)))


def _with_notice(back: str, name: str, number: int) -> str:
    return f"{back}{'&' if '?' in back else '?'}done={name}&n={number}"


PAGES = (Page(PATH, show, change, Link("Memories", "user")),)
