"""The memories of a user: filtered, a page at a time, and what can be done with several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from ...errors import ConflictError, InvalidRequestError, NotFoundError, OMPError, ScopeDeniedError
from ...operations import DeleteMany, Update
from ...selection import is_valid
from ...wire.routes import LIST
from ..navigation import Link
from ..notices import UNDONE_BY
from ..page import Page
from ..rendering import url
from ..safety import is_own_path
from ..static_files import PREFIX
from ..visit import Visit, status_of

PAGE_SIZE: Final = "50"
PATH: Final = "memories"

MAX_UNDO_CHARACTERS: Final = 4000
"""Of the ids that an address carries, so that the page of a notice can offer to undo it."""

NAMES: Final = {"forget": "forgotten", "restore": "restored"}
"""What has become of memories, by the action."""

VALIDITY: Final = {"": "At any time", "now": "Now", "then": "At the time below"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of changing several memories, where not all of them were changed.

    Attributes:
        name: what was to become of them, such as ``forgotten``.
        done: the ids of those that were changed.
        failed: why the others were not, by their ids.
        back: the address of the page that asked for it.
    """

    name: str
    done: Sequence[str]
    failed: Mapping[str, OMPError]
    back: str

    @property
    def undone_by(self) -> str:
        """The action that undoes it."""
        return UNDONE_BY[self.name]


async def show(visit: Visit) -> Response:
    """A page of the list."""
    return await _list(visit)


async def _list(visit: Visit, error: OMPError | None = None, **values: Any) -> Response:
    fixed = {"as_of": datetime.now(UTC).isoformat()} if visit.query.one("valid") == "now" else {}
    op = visit.query.operation(LIST, visit.zone, limit=PAGE_SIZE, **fixed)
    page = await visit.run(op)
    query = visit.kept(LIST, op)
    return await visit.page(
        "memories.html",
        title="Memories",
        user_id=query["user_id"][0],
        error=error,
        status=200 if error is None else status_of(error),
        memories=page,
        query=query,
        op=op,
        now=datetime.now(UTC),
        is_valid=is_valid,
        valid=visit.query.one("valid") or ("then" if "as_of" in query else ""),
        validity=VALIDITY,
        is_filtered=bool(query.keys() - {"user_id", "order", "cursor"}),
        back=url(PATH, **query),
        add=url("add", user_id=query["user_id"], scope=[path for path in query.get("scope", ()) if "*" not in path]),
        **values,
    )


async def change(visit: Visit) -> Response:
    """Forget, restore or delete the memories that are ticked."""
    user_id = visit.form.require("user_id")
    back = visit.form.one("back") or ""
    if not is_own_path(back, PREFIX):
        back = url(PATH, user_id=user_id)
    try:
        return await _change(visit, user_id, back)
    except OMPError as error:
        return await _failure(visit, user_id, back, visit.shown(error))


async def _change(visit: Visit, user_id: str, back: str) -> Response:
    ids = tuple(dict.fromkeys(visit.form.many("ids")))
    if not ids:
        raise InvalidRequestError("no memory is ticked; tick those that are meant")
    action = visit.form.require("action")
    if action == "delete" and visit.form.one("confirmed") is None:
        return await visit.page("confirm_deletion.html", title="Delete for good?", user_id=user_id, ids=ids, back=back)
    if action == "delete":
        number = await visit.run(DeleteMany(user_id=user_id, ids=ids))
        if back.startswith(url("memory", id="")):
            back = url(PATH, user_id=user_id)
        return visit.redirect_to(_with_notice(back, done="deleted", n=number))
    if action not in NAMES:
        raise InvalidRequestError(f"action: {action[:40]!r} is not one of forget, restore, delete")
    name = NAMES[action]
    end = datetime.now(UTC) if action == "forget" else None
    failed: dict[str, OMPError] = {}
    for number, id in enumerate(ids):
        try:
            await visit.run(Update(id=id, user_id=user_id, valid_to=end))
        except (NotFoundError, ConflictError, ScopeDeniedError) as error:
            failed[id] = visit.shown(error)
        except OMPError as error:
            # It is not about this memory, so that the others would fail alike, each after a while.
            failed |= dict.fromkeys(ids[number:], visit.shown(error))
            break
    done = [id for id in ids if id not in failed]
    if not failed:
        undo = ids if sum(map(len, ids)) <= MAX_UNDO_CHARACTERS else ()
        return visit.redirect_to(_with_notice(back, done=name, n=len(ids), undo=undo))
    first = next(iter(failed.values()))
    if not done:
        raise first
    are, rest = "is" if len(done) == 1 else "are", "1 is" if len(failed) == 1 else f"{len(failed):,} are"
    text = f"{len(done):,} of {len(ids):,} memories {are} {name}; {rest} not"
    outcome = Outcome(name, done, failed, back)
    return await _failure(visit, user_id, back, OMPError(text, code=first.code, type=first.type), outcome)


async def _failure(visit: Visit, user_id: str, back: str, error: OMPError, outcome: Outcome | None = None) -> Response:
    """The error above the list that the form was on; if there is none, or it cannot be shown, a page of the error."""
    if back.partition("?")[0] == url(PATH):
        try:
            return await _list(visit.at(back), error, outcome=outcome)
        except OMPError:
            # The first error is the one to tell; that of the list is likely to have the same cause.
            pass
    return await visit.failure(error, back=back, user_id=user_id, outcome=outcome)


def _with_notice(back: str, **notice: Any) -> str:
    return f"{back}{'&' if '?' in back else '?'}{url('', **notice).partition('?')[2]}"


PAGES = (Page(PATH, show, change, Link("Memories", "user")),)
