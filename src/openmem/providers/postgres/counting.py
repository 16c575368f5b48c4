"""What counts the selected memories of a user, in all or by the values of a field. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from ...filters import parse_path
from ...models import Facet
from ...models import Facets as FacetList
from ...operations import Count, DeleteMany, Facets
from ...ports.postgres import Row, Statement
from ..base import Call
from .json_paths import path_of
from .selection import Kind, candidates_of, selection_values
from .sql import Catalog, parts, read

CANDIDATES: Final[Mapping[Kind, str]] = {"all": "of_user", "ids": "with_ids", "keys": "with_keys"}
"""The parts that say which memories are looked at: those of the user, or those that are named."""

_METADATA: Final = "metadata."
_SAME: Final = {"values_held": "SELECT counted.held", "text_of_value": "value"}
_FIELDS: Final = {
    "scope": {"field": "m.scope", **_SAME},
    "app": {"field": "m.source ->> 'app'", **_SAME},
    "tag": {
        "field": "m.tags",
        "values_held": "SELECT DISTINCT unnest(counted.held)",
        "text_of_value": "value",
    },
    "metadata": {
        "field": "jsonb_path_query_first(m.metadata, :path::jsonpath, '{}', true)",
        # A field that is null has the same value as one that is missing.
        "values_held": "SELECT nullif(counted.held, 'null')",
        "text_of_value": "(value #>> '{}')",
    },
}


class Counting:
    """The statements of `count` and `facets`."""

    def __init__(self, catalog: Catalog) -> None:
        self._counts = {
            kind: catalog.query(
                "count" if kind == "all" else f"count_{part}",
                further={"candidates": read(parts.__name__, part)},
                file="count",
            )
            for kind, part in CANDIDATES.items()
        }
        self._facets = {
            field: catalog.query(f"facets_by_{field}", further=parts_of_field, file="facets")
            for field, parts_of_field in _FIELDS.items()
        }

    def count(self, op: Count | DeleteMany, call: Call) -> Statement[int]:
        """How many memories are selected; of a `delete_many`, how many it would remove."""
        kind, names, rest = candidates_of(op.selection(call.grants))
        values = {**selection_values(rest), "ids": names, "keys": names, **_values_of_call(op, call)}
        return self._counts[kind].bind(values, lambda rows: int(rows[0][0]))

    def facets(self, op: Facets, call: Call) -> Statement[FacetList]:
        """The values of a field among the selected memories, the most frequent first."""
        is_metadata = op.by.startswith(_METADATA)

        def value_of(text: str | None) -> object:
            return text if text is None or not is_metadata else json.loads(text)

        def decode(rows: Sequence[Row]) -> FacetList:
            return [Facet(value=value_of(text), count=count, newest=newest) for text, count, newest in rows]

        values = {
            **selection_values(op.selection(call.grants)),
            "path": path_of(parse_path(op.by.removeprefix(_METADATA))) if is_metadata else None,
            "limit": op.limit,
            **_values_of_call(op, call),
        }
        return self._facets["metadata" if is_metadata else op.by].bind(values, decode)


def _values_of_call(op: Count | DeleteMany | Facets, call: Call) -> dict[str, object]:
    return {"verb": op.verb, "scope": op.scope_text, "app": call.app, "request_id": call.request_id}
