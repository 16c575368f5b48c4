"""A user's memories by scope, tag, application or a field of metadata: what there is, and how much of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from ...models import Facet
from ...wire.routes import FACETS
from ..navigation import Link
from ..page import Page
from ..scope_tree import scope_tree
from ..visit import Visit

MAX_VALUES: Final = 1000
_METADATA: Final = "metadata."


async def show(visit: Visit) -> Response:
    """The values of a field, the commonest first; scopes as a tree."""
    by = visit.query.one("by") or "scope"
    op = visit.query.operation(FACETS, visit.zone, limit=str(MAX_VALUES), by=by)
    facets = await visit.run(op)
    query = {name: texts for name, texts in visit.kept(FACETS, op).items() if name != "by"}
    tree = (
        scope_tree((facet.value, facet.count) for facet in facets if facet.value is not None) if by == "scope" else []
    )
    return await visit.page(
        "facets.html",
        title="Overview",
        user_id=query["user_id"][0],
        by=by,
        tree=tree,
        without=sum(facet.count for facet in facets if facet.value is None),
        values=[]
        if by == "scope"
        else [(facet, _link(by, facet, query)) for facet in facets if facet.value is not None],
        is_cut=len(facets) == MAX_VALUES,
        query=query,
    )


def _link(by: str, facet: Facet, query: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    """The query of the list of the memories that a facet counts."""
    if by.startswith(_METADATA):
        condition = {by.removeprefix(_METADATA): facet.value}
        [given] = query.get("where", [""])
        where = {"$and": [json.loads(given), condition]} if given else condition
        return {**query, "where": json.dumps(where, ensure_ascii=False)}
    return {**query, {"tag": "tags", "app": "app"}[by]: facet.value}


PAGES = (Page("facets", show, link=Link("Overview", "user")),)
