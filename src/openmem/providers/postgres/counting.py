"""What counts the selected memories of a user, in all or by the values of a field. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

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

Filters: TypeAlias = Literal["every", "in_view", "filtered", "within"]

# The parts that look at the memories of a user. Where there are no filters, the columns of filters are not read. The
# index in the order of time takes longer for each memory, so only bounds of time are looked for there.
_OF_USER: Final[Mapping[Filters, str]] = {
    "every": "every_of_user",
    "in_view": "of_user_in_view",
    "filtered": "of_user",
    "within": "of_user_within",
}
_READ_HIDDEN: Final = frozenset({"every", "in_view"})

_METADATA: Final = "metadata."
_SAME: Final = {"values_held": "SELECT counted.held", "text_of_value": "value"}
# A field that is null has the same value as one that is missing.
_OF_JSON: Final = {"values_held": "SELECT nullif(counted.held, 'null')::jsonb", "text_of_value": "(value #>> '{}')"}
_FIELDS: Final = {
    "scope": {"field": "m.scope", **_SAME},
    "app": {"field": "m.source ->> 'app'", **_SAME},
    "tag": {
        "field": "m.tags",
        "values_held": "SELECT DISTINCT unnest(counted.held)",
        "text_of_value": "value",
    },
    # Texts are grouped in less time than JSON. Equal numbers of different texts meet in the second grouping.
    "metadata": {"field": '(m.metadata -> :name::text)::text COLLATE "C"', **_OF_JSON},
    "nested_metadata": {
        "field": "jsonb_path_query_first(m.metadata, :path::jsonpath, '{}', true)::text COLLATE \"C\"",
        **_OF_JSON,
    },
}


class Counting:
    """The statements of `count` and `facets`."""

    def __init__(self, catalog: Catalog) -> None:
        def query(file: str, name: str, part: str, *, hidden: bool = False, **further: str) -> Query:
            first = "{hidden},\n" if hidden else ""
            included = {
                "candidates": read(parts.__name__, part),
                "hidden_first": first,
                "number": "count(*)",
                **further,
            }
            return catalog.query(name, further=included, file=file)

        # An index says how many memories there are, and none of them is read.
        every = {"number": "count(*) - (SELECT count(*) FROM hidden)"}
        self._counts = {
            filters: query(
                "count",
                f"count_{filters}",
                part,
                hidden=filters in _READ_HIDDEN,
                **(every if filters == "every" else {}),
            )
            for filters, part in _OF_USER.items()
        }
        self._counts_of_named = {kind: query("count", f"count_{part}", part) for kind, part in NAMED.items()}
        self._facets = {
            (field, filters): query(
                "facets", f"facets_by_{field}_{filters}", part, hidden=filters in _READ_HIDDEN, **parts_of_field
            )
            for field, parts_of_field in _FIELDS.items()
            for filters, part in _OF_USER.items()
            if filters != "every"
        }

    def count(self, op: Count | DeleteMany, call: Call) -> Statement[int]:
        """How many memories are selected; of a `delete_many`, how many it would remove."""
        kind, names, rest = candidates_of(op.selection(call.grants))
        values = {**selection_values(rest), "ids": names, "keys": names, **_values_of_call(op, call)}
        query = self._counts_of_named.get(kind) or self._counts[_filters_of(rest, values)]
        return query.bind(values, lambda rows: int(rows[0][0]))

    def facets(self, op: Facets, call: Call) -> Statement[FacetList]:
        """The values of a field among the selected memories, the most frequent first."""
        is_metadata = op.by.startswith(_METADATA)
        names = parse_path(op.by.removeprefix(_METADATA)) if is_metadata else ()
        field = op.by if not is_metadata else "metadata" if len(names) == 1 else "nested_metadata"

        def value_of(text: str | None) -> object:
            return text if text is None or not is_metadata else json.loads(text)

        def decode(rows: Sequence[Row]) -> FacetList:
            return [Facet(value=value_of(text), count=count, newest=newest) for text, count, newest in rows]

        selection = op.selection(call.grants)
        values = {
            **selection_values(selection),
            "name": names[0] if names else None,
            "path": path_of(names) if names else None,
            "limit": op.limit,
            **_values_of_call(op, call),
        }
        filters = _filters_of(selection, values)
        if filters == "every":
            filters = "in_view"
        return self._facets[field, filters].bind(values, decode)


def _values_of_call(op: Count | DeleteMany | Facets, call: Call) -> dict[str, object]:
    return {"verb": op.verb, "scope": op.scope_text, "app": call.app, "request_id": call.request_id}


def _filters_of(selection: Selection, values: Mapping[str, object]) -> Filters:
    if selection.since is not None or selection.until is not None:
        return "within"
    if values["is_filtered"]:
        return "filtered"
    return "every" if values["at_any_time"] and selection.scopes is None else "in_view"
