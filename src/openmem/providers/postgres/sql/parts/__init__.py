"""Parts of SQL that several statements include."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import Final, Literal

from ....._scopes import ScopeFilter

Scopes = Literal["selected", "granted", "readable"]

RECORD: Final = (
    "id", "content", "user_id", "created_at", "scope", "tags", "source", "confidence",
    "valid_from", "valid_to", "supersedes", "embedding_model", "updated_at", "metadata", "key", "version", "expires_at",
    "indexed", "extensions",
)  # fmt: skip
"""The columns of a record, in the order in which statements return them."""

_UNFILTERED: Final[Mapping[Scopes, Mapping[str, None]]] = {
    "selected": {"selected_paths": None, "selected_prefixes": None},
    "granted": {"granted_paths": None, "granted_prefixes": None},
    "readable": {"readable_paths": None, "readable_prefixes": None},
}
_AS_TEXT: Final = frozenset({"source", "metadata", "extensions"})


def columns(supersedes: str | None = None) -> str:
    """The columns of a record, from a row ``m``, in lines.

    Args:
        supersedes: an expression in place of the column of this name.
    """
    position = RECORD.index("supersedes")
    if supersedes is None:
        return _of_m(RECORD)
    return f"{_of_m(RECORD[:position])},\n{supersedes} AS supersedes,\n{_of_m(RECORD[position + 1 :])}"


def _of_m(names: Sequence[str]) -> str:
    return fill(", ".join(f"m.{name}{'::text' if name in _AS_TEXT else ''}" for name in names), 100)


def of_row(name: str, text: str) -> Callable[[str], str]:
    """The part with another row in place of the include point `name`."""
    return lambda row: text.replace(f"{{{name}}}", row)


def scope_condition(scopes: Scopes) -> Callable[[str], str]:
    """Whether a column is one of these scopes; every value is, NULL too, where there is no filter."""

    def condition(column: str) -> str:
        return (
            f"(:{scopes}_paths::text[] IS NULL OR {column} = ANY (:{scopes}_paths::text[])\n"
            f"    OR {column} ^@ ANY (:{scopes}_prefixes::text[]))"
        )

    return condition


def scope_values(scopes: Scopes, filter: ScopeFilter | None) -> Mapping[str, list[str] | None]:
    """The values of the parameters that `scope_condition` mentions.

    Args:
        filter: None for every scope.
    """
    if filter is None:
        return _UNFILTERED[scopes]
    paths, prefixes = _UNFILTERED[scopes]
    return {paths: list(filter.paths), prefixes: list(filter.prefixes)}


def has_key(row: str) -> str:
    """Whether a memory has the key ``:key`` among those of ``:user_id`` in ``:scope``."""
    return (
        f"{row}.user_id = :user_id::text AND {row}.key IS NOT NULL\n"
        f"    AND {{schema}}.key_digest({row}.key) = {{schema}}.key_digest(:key::text)\n"
        f"    AND coalesce({{schema}}.key_digest({row}.scope), '') = coalesce({{schema}}.key_digest(:scope::text), '')"
    )


def not_expired(row: str) -> str:
    """Whether a memory is still there for the verbs."""
    return f"({row}.expires_at IS NULL OR {row}.expires_at > now())"


def app_of(source: str) -> str:
    """The app of an audit entry: the caller's name, else what the column `source` of the memory says."""
    return f"coalesce(:app::text, {source}::json ->> 'app')"
