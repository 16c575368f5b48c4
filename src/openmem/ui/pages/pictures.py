"""A user's memories as pictures: over time, and by what they mean."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from ...models import MemoryRecord
from ...operations import List
from ...providers.sample import Sample
from ...wire.routes import LIST
from ..calendar import OTHERS, chart_of
from ..charts import SERIES, points
from ..navigation import Link
from ..page import Page
from ..projection import MAX_VECTORS, places_of
from ..rendering import excerpt, url, visible_text
from ..visit import Visit

SAMPLE: Final = 400
NO_SCOPE: Final = "no scope"
_NAME_CHARACTERS: Final = 120


class Drawn(NamedTuple):
    """A memory in the map: where it is, and in which color."""

    record: MemoryRecord
    series: int


async def show(visit: Visit) -> Response:
    """Both pictures, of a sample of the memories."""
    op = visit.query.operation(LIST, visit.zone)
    assert isinstance(op, List)
    sample = await visit.sample(op, SAMPLE)
    names = [_top(record.scope) for record in sample.records]
    chart = chart_of(
        ((record.created_at, name) for record, name in zip(sample.records, names, strict=True)), visit.zone, SERIES
    )
    series = {} if chart is None else {name: index for index, name in enumerate(chart.names)}
    drawn, picture = await asyncio.to_thread(_map, op.user_id, sample, series)
    query = visit.kept(LIST, op)
    return await visit.page(
        "pictures.html",
        title="Pictures",
        user_id=op.user_id,
        sample=sample,
        chart=chart,
        drawn=drawn,
        picture=picture,
        query=query,
        is_filtered=bool(query.keys() - {"user_id"}),
    )


def _top(scope: str | None) -> str:
    """The first part of a scope's path."""
    return NO_SCOPE if scope is None else scope.partition("/")[0]


def _map(user_id: str, sample: Sample, series: dict[str, int]) -> tuple[list[Drawn], Any]:
    """The memories in the map, and the map; None without vectors."""
    known = [record for record in sample.records if record.id in sample.vectors]
    known = known[:: -(-len(known) // MAX_VECTORS) or 1]
    if len(known) < 3:
        return [], None
    places = places_of([sample.vectors[record.id] for record in known])
    others = series.get(OTHERS, 0)
    drawn = [Drawn(record, series.get(_top(record.scope), others)) for record in known]
    picture = points(
        "map",
        "Memories by meaning",
        f"{len(drawn)} memories as points. Those that are alike in meaning are near each other. Each point is a link; "
        "the list below has the same memories.",
        (
            (x, y, one.series, url("memory", id=one.record.id, user_id=user_id), _name(one.record))
            for (x, y), one in zip(places, drawn, strict=True)
        ),
    )
    return drawn, picture


def _name(record: MemoryRecord) -> str:
    return visible_text(excerpt(record.content)[:_NAME_CHARACTERS])


PAGES = (Page("pictures", show, link=Link("Pictures", "user")),)
