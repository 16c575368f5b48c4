"""What counts the selected memories of a user, in all or by the values of a field. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from ...filters import parse_path
from ...models import Facet
from ...models import Facets as FacetList
from ...operations import Count, DeleteMany, Facets
from ...ports.postgres import Query, Row, Statement
from ...selection import Selection
from ..base import Call
from .json_paths import path_of
from .selection import Kind, candidates_of, selection_values
from .sql import Catalog, parts, read

NAMED: Final[Mapping[Kind, str]] = {"ids": "with_ids", "keys": "with_keys"}
"""The parts that look at the memories that are named."""

# Whether only those between bounds of time are read. The index in the order of time takes longer for each memory.
_OF_USER: Final = {False: "of_user", True: "of_user_within"}

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
        # Texts are grouped in less time than JSON. Equal numbers of different texts meet in the second grouping.
        "field": (
            "(CASE WHEN :path::jsonpath IS NULL THEN m.metadata -> :name::text "
            "ELSE jsonb_path_query_first(m.metadata, :path::jsonpath, '{}', true) END)::text COLLATE \"C\""
        ),
        # A field that is null has the same value as one that is missing.
        "values_held": "SELECT nullif(counted.held, 'null')::jsonb",
        "text_of_value": "(value #>> '{}')",
    },
}


class Counting:
    """The statements of `count` and `facets`."""

    def __init__(self, catalog: Catalog) -> None:
        def query(file: str, name: str, part: str, **further: str) -> Query:
            return catalog.query(name, further={"candidates": read(parts.__name__, part), **further}, file=file)

        self._counts = {within: query("count", f"count{_suffix(within)}", part) for within, part in _OF_USER.items()}
        self._counts_of_named = {kind: query("count", f"count_{part}", part) for kind, part in NAMED.items()}
        self._facets = {
            (field, within): query("facets", f"facets_by_{field}{_suffix(within)}", part, **parts_of_field)
            for field, parts_of_field in _FIELDS.items()
            for within, part in _OF_USER.items()
        }

    def count(self, op: Count | DeleteMany, call: Call) -> Statement[int]:
        """How many memories are selected; of a `delete_many`, how many it would remove."""
        kind, names, rest = candidates_of(op.selection(call.grants))
        values = {**selection_values(rest), "ids": names, "keys": names, **_values_of_call(op, call)}
        query = self._counts_of_named.get(kind) or self._counts[_has_bounds(rest)]
        return query.bind(values, lambda rows: int(rows[0][0]))

    def facets(self, op: Facets, call: Call) -> Statement[FacetList]:
        """The values of a field among the selected memories, the most frequent first."""
        is_metadata = op.by.startswith(_METADATA)
        names = parse_path(op.by.removeprefix(_METADATA)) if is_metadata else ()

        def value_of(text: str | None) -> object:
            return text if text is None or not is_metadata else json.loads(text)

        def decode(rows: Sequence[Row]) -> FacetList:
            return [Facet(value=value_of(text), count=count, newest=newest) for text, count, newest in rows]

        selection = op.selection(call.grants)
        values = {
            **selection_values(selection),
            "name": names[0] if names else None,
            "path": path_of(names) if len(names) > 1 else None,
            "limit": op.limit,
            **_values_of_call(op, call),
        }
        return self._facets["metadata" if is_metadata else op.by, _has_bounds(selection)].bind(values, decode)


def _values_of_call(op: Count | DeleteMany | Facets, call: Call) -> dict[str, object]:
    return {"verb": op.verb, "scope": op.scope_text, "app": call.app, "request_id": call.request_id}


def _has_bounds(selection: Selection) -> bool:
    return selection.since is not None or selection.until is not None


def _suffix(within: bool) -> str:
    return "_within" if within else ""
