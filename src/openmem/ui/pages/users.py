"""The users of a store."""

from __future__ import annotations

from starlette.responses import Response

from ...wire.routes import USERS
from ..navigation import Link
from ..page import Page
from ..visit import Visit

PAGE_SIZE = "50"


async def show(visit: Visit) -> Response:
    """The users with their counts; to whom may not see all of them, those whose memories may be read."""
    allowed = visit.principal.users
    if allowed is not None and len(allowed) == 1:
        return visit.redirect("memories", user_id=next(iter(allowed)))
    users, query = None, {}
    if visit.is_administrator and "users" in (await visit.capabilities()).verbs:
        op = visit.query.operation(USERS, visit.zone, limit=PAGE_SIZE)
        users, query = await visit.run(op), visit.kept(USERS, op)
        found = [user.user_id for user in users.items]
        if found == [visit.query.one("prefix")] and "cursor" not in query and not visit.is_partial:
            return visit.redirect("memories", user_id=found[0])
    return await visit.page(
        "users.html",
        title="Users",
        users=users,
        names=None if allowed is None else sorted(allowed),
        may_list=visit.is_administrator,
        prefix=visit.query.one("prefix") or "",
        query=query,
    )


PAGES = (Page("users", show, link=Link("Users")),)
