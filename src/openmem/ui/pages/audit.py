"""What was done with a user's memories, by whom and when."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from ...errors import InvalidRequestError
from ...operations import VERBS, Audit
from ...wire.routes import AUDIT
from ..calendar import chart_of
from ..charts import SERIES
from ..navigation import Link
from ..page import Page
from ..visit import Visit

ENTRIES: Final = 1000
"""How many entries are read for a page, its chart and its filters."""
SHOWN: Final = 100


async def show(visit: Visit) -> Response:
    """The newest entries that pass the filters, and how many there were over time."""
    op = visit.query.operation(AUDIT, visit.zone, limit=str(ENTRIES))
    assert isinstance(op, Audit)
    until, action = visit.query.moment("until", visit.zone), visit.query.one("action")
    skipped = _skipped(visit.query.one("skip"))
    found = await visit.run(op)
    entries = [
        entry
        for entry in found
        if (action is None or entry.action == action) and (until is None or entry.timestamp < until)
    ]
    chart = chart_of(((entry.timestamp, entry.action) for entry in entries), visit.zone, SERIES)
    query = {
        name: texts
        for name in (*AUDIT.parameters, "action", "until")
        if name != "limit" and (texts := visit.query.many(name))
    }
    return await visit.page(
        "audit.html",
        title="Audit",
        user_id=query["user_id"][0],
        entries=entries[skipped : skipped + SHOWN],
        number=len(entries),
        is_cut=len(found) == ENTRIES or op.cursor is not None,
        older=found.next_cursor,
        is_older=op.cursor is not None,
        most=ENTRIES,
        chart=chart,
        query=query,
        skipped=skipped,
        following=skipped + SHOWN if skipped + SHOWN < len(entries) else None,
        verbs=sorted({verb.verb for verb in VERBS if verb.is_wire_verb} - {AUDIT.verb}),
        is_filtered=bool(query.keys() - {"user_id", "cursor"}),
    )


def _skipped(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 5):
        raise InvalidRequestError("skip: it is not a number of entries")
    return int(text)


PAGES = (Page("audit", show, link=Link("Audit", "user")),)
