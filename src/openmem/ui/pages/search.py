"""The bench of searches: what a query finds and why, the prompt that `context` makes of it, and both calls as code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from ...drivers.tasks import task_group
from ...errors import InvalidRequestError, OMPError
from ...models import ContextBlock, SearchResults
from ...operations import Context, Search
from ...selection import is_valid
from ...wire.parameters import decode
from ...wire.routes import SEARCH
from ..calls import Examples, examples_of
from ..navigation import Link
from ..page import Page
from ..visit import Visit

DEFAULT_BUDGET: Final = "500"
_EXPLAIN: Final = {"explain": "true"}
_OF_SEARCH_ONLY: Final = {"limit", "min_score", "explain"}


async def show(visit: Visit) -> Response:
    """The form; with a query, the results and the prompt."""
    user_id = visit.query.require("user_id")
    query = {name: visit.query.many(name) for name in SEARCH.parameters}
    results: SearchResults | None = None
    block: ContextBlock | None = None
    examples: Examples | None = None
    error: OMPError | None = None
    budget = visit.query.one("token_budget") or DEFAULT_BUDGET
    if visit.query.one("q") is not None:
        features = (await visit.capabilities()).features
        try:
            op = visit.query.operation(SEARCH, visit.zone, **(_EXPLAIN if features.explanations else {}))
            assert isinstance(op, Search)
            context = Context(**op.model_dump(exclude=_OF_SEARCH_ONLY), token_budget=_budget(budget))
            # Both search, so that a user of many memories would wait twice as long for one after the other.
            async with task_group() as group:
                searching, building = group.create_task(visit.run(op)), group.create_task(visit.run(context))
            results, block = searching.result(), building.result()
            examples = examples_of(visit, op, context)
        except InvalidRequestError as wrong:
            error, results = wrong, None
    return await visit.page(
        "search.html",
        title="Search",
        user_id=user_id,
        error=error,
        status=200 if error is None else 400,
        query=query,
        budget=budget,
        results=results,
        block=block,
        examples=examples,
        parts=PARTS,
        now=datetime.now(UTC),
        is_valid=is_valid,
        is_filtered=any(query[name] for name in query.keys() - {"q", "user_id", "limit"}),
    )


def _budget(text: str) -> Any:
    return decode("token_budget", "integer", [text])


PARTS: Final = (
    ("meaning", "meaning"),
    ("words", "words"),
    ("dates", "dates"),
    ("neighbor", "a memory beside it"),
)
"""The parts of a score, and how they are called."""

PAGES = (Page("search", show, link=Link("Search", "user")),)
