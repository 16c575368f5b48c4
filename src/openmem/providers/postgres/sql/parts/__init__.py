"""Parts of SQL that several statements include."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from ....._scopes import ScopeFilter

Scopes = Literal["selected", "granted", "readable"]

RECORD: Final = (
    "id", "content", "user_id", "created_at", "scope", "tags", "source", "confidence",
    "valid_from", "valid_to", "supersedes", "embedding_model", "updated_at", "extensions",
)  # fmt: skip
"""The columns of a record, in the order in which statements return them."""

_AS_TEXT: Final = frozenset({"source", "extensions"})


def columns(**instead: str) -> str:
    """The columns of a record, from a row ``m``.

    Args:
        instead: expressions in place of columns.
    """
    return ",\n".join(
        f"{instead[name]} AS {name}" if name in instead else f"m.{name}{'::text' if name in _AS_TEXT else ''}"
        for name in RECORD
    )


def scope_condition(scopes: Scopes) -> Callable[[str], str]:
    """Whether a column is one of these scopes; every value is, NULL too, where there is no filter."""

    def condition(column: str) -> str:
        return (
            f"(:{scopes}_paths::text[] IS NULL OR {column} = ANY (:{scopes}_paths::text[])"
            f" OR {column} ^@ ANY (:{scopes}_prefixes::text[]))"
        )

    return condition


def scope_values(scopes: Scopes, filter: ScopeFilter | None) -> dict[str, list[str] | None]:
    """The values of the parameters that `scope_condition` mentions.

    Args:
        filter: None for every scope.
    """
    if filter is None:
        return {f"{scopes}_paths": None, f"{scopes}_prefixes": None}
    return {f"{scopes}_paths": list(filter.paths), f"{scopes}_prefixes": list(filter.prefixes)}
