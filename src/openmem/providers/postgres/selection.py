"""Selections as values of parameters. Pure.

``{is_selected(m)}`` is the one condition that all statements share; see `.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

from ..._ids import bucket_of
from ...selection import Selection
from .json_paths import predicate_of, split_filter
from .rows import metadata_json, to_list
from .sql.parts import scope_values

Kind: TypeAlias = Literal["all", "ids", "keys"]


class Candidates(NamedTuple):
    """Which memories are looked at, and what is asked of them.

    Attributes:
        kind: all of the user, or those that are named by ids or keys.
        names: the ids or keys, each once.
        rest: the selection without them.
    """

    kind: Kind
    names: Sequence[str]
    rest: Selection


def candidates_of(selection: Selection) -> Candidates:
    """Which memories a statement has to look at for a selection."""
    if selection.ids is not None:
        return Candidates("ids", list(dict.fromkeys(selection.ids)), replace(selection, ids=None))
    if selection.keys is not None:
        return Candidates("keys", list(dict.fromkeys(selection.keys)), replace(selection, keys=None))
    return Candidates("all", (), selection)


def selection_values(selection: Selection) -> dict[str, object]:
    """The values of the parameters that ``{is_selected(m)}`` mentions, and those of ``:bucket`` and ``:user_id``."""
    tags = (*selection.tags, *(() if selection.tag is None else (selection.tag,)))
    contained, where = (None, None) if selection.where is None else split_filter(selection.where)
    filters: dict[str, object] = {
        "selected_contained": None if contained is None else metadata_json(contained),
        "selected_where": None if where is None else predicate_of(where),
        "selected_since": selection.since,
        "selected_until": selection.until,
        "selected_tags": list(tags) or None,
        "selected_any_tags": list(selection.any_tags) or None,
        "selected_app": selection.app,
        "selected_ids": to_list(selection.ids),
        "selected_keys": to_list(selection.keys),
    }
    return {
        "bucket": bucket_of(selection.user_id),
        "user_id": selection.user_id,
        "only_indexed": selection.only_indexed,
        "at_any_time": not selection.only_valid and selection.as_of is None,
        "as_of": selection.as_of,
        "is_filtered": any(value is not None for value in filters.values()),
        **filters,
        **scope_values("selected", selection.scopes),
    }
