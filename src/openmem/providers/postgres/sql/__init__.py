"""SQL in files: whole statements with named parameters and a few include points.

A file holds a statement as psql takes it. ``:user_id::text`` is a parameter. ``{schema}`` is an include point, replaced
by a name or by another part of SQL when the statement is rendered; ``{is_readable(m.scope)}`` is one with an argument.
Comments stay in the rendered text, which ``docs/sql`` shows, and are left out of what is sent.

`Catalog` renders the statements over one schema. Its ``parts`` are what every statement may include:

* ``{schema}``: the schema of the tables. ``{vector}``: the schema of pgvector, quoted.
* ``{not_expired(m)}``: whether the memory in a row ``m`` is still there: whether it has no end, or this is to come.
* ``{has_key(m)}``: whether the memory in a row ``m`` is the one of the user ``:user_id`` with the key ``:key`` in
  ``:scope``.
* ``{is_selected(m)}``: whether a row of ``memories`` passes all filters of a selection but for the user and the cursor.
  The row is the argument. `openmem.providers.postgres.selection` gives the values of the parameters that it mentions.
* ``{is_in_view(m)}``: the first part of that: whether the row is in a scope that is asked for, and valid.
* ``{hidden}``: the CTE ``hidden``: the memories of the user that have expired, or are not indexed and therefore not
  selected.
* ``{is_not_hidden(m)}``: the same as ``{is_selected(m)}`` for a selection without filters, in a statement with the CTE
  ``hidden``. It does not read the columns of filters: PostgreSQL takes a row apart up to the last column that a
  condition mentions, also where the condition is not reached.
* ``{created_within}``: the bounds of time of a selection, for statements that read ``m`` in the order of time.
* ``{is_granted(m.scope)}``, ``{is_readable(m.scope)}``: whether a scope is among those that the caller may do this
  with, and those that it may read. The column is the argument. They mention ``:granted_paths``,
  ``:granted_prefixes`` and so on, whose values `scope_values` gives.
* ``{columns}``: the columns of a record, from a row ``m`` of ``memories``.
* ``{readable_columns}``: the same, without the ids of superseded memories that the caller may not read. It mentions
  ``:bucket``, ``:readable_paths`` and ``:readable_prefixes``.
* ``{app_of(m.source)}``: the app that an audit entry of a memory names.
* ``{new_memory}``: the arguments of a function that stores a memory. ``{logs_writes}``: whether it logs that.
* ``{is_logged}``: a condition that is always true. It stores the rows of the CTE ``audit_entry (bucket, user_id, app,
  action, memory_id, scope)`` in the audit log, if the client's ``audit`` says so, and mentions ``:request_id``::

      WITH page AS (...),
      audit_entry AS (
          SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'list' AS action,
              NULL AS memory_id, :scope::text AS scope
      )
      SELECT * FROM page WHERE {is_logged}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Final, TypeAlias, TypeVar

from ....config import AuditMode
from ....ports.postgres import Query
from . import parts

R = TypeVar("R")


class Name(str):
    """A part that is included as it is: a name, quoted where it must be."""

    __slots__ = ()


Part: TypeAlias = str | Callable[[str], str]

KEY_LIFETIME: Final = "interval '24 hours'"
_INCLUDE: Final = re.compile(r"\{(?P<name>[a-z][a-z_]*)(?:\((?P<argument>[\w.]+)\))?\}")


class Catalog:
    """The statements over one schema, each rendered once, when it is first used.

    Args:
        schema: name of the schema that holds the tables, checked to need no quotes.
        vector_schema: quoted name of the schema that holds pgvector.
        audit: which verbs leave an audit entry.

    Attributes:
        schema, audit: the same.
        parts: what every statement may include, by name.
        queries: the statements asked for so far, by name.
    """

    def __init__(self, schema: str, vector_schema: str, audit: AuditMode) -> None:
        self.schema = schema
        self.audit = audit
        self.parts: Mapping[str, Part] = {
            "schema": Name(schema),
            "vector": Name(vector_schema),
            "columns": parts.columns(),
            "readable_columns": parts.columns(supersedes=read(parts.__name__, "readable_supersedes")),
            "is_in_view": parts.of_row("m", read(parts.__name__, "is_in_view")),
            "is_selected": parts.of_row("m", read(parts.__name__, "is_selected")),
            "is_not_hidden": parts.of_row("m", read(parts.__name__, "is_not_hidden")),
            "hidden": read(parts.__name__, "hidden"),
            "created_within": read(parts.__name__, "created_within"),
            "is_granted": parts.scope_condition("granted"),
            "is_readable": parts.scope_condition("readable"),
            "not_expired": parts.not_expired,
            "app_of": parts.app_of,
            "has_key": parts.has_key,
            "new_memory": read(parts.__name__, "new_memory"),
            "key_lifetime": KEY_LIFETIME,
            "logs_writes": "false" if audit == "off" else "true",
            "is_logged": read(parts.__name__, "is_logged") if audit == "all" else "true",
        }
        self.queries: dict[str, Query] = {}

    def query(
        self,
        name: str,
        package: str = __name__,
        further: Mapping[str, Part] | None = None,
        file: str | None = None,
    ) -> Query:
        """The statement in the file ``<file>.sql``, by default ``<name>.sql``.

        Args:
            name: its key in `queries`.
            package: where the file is.
            further: what this statement includes besides `parts`.
        """
        self.queries[name] = Query(lambda: render(read(package, file or name), {**self.parts, **(further or {})}))
        return self.queries[name]


@cache
def read(package: str, name: str) -> str:
    """The text of the file ``<name>.sql`` in a package."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()


def render(text: str, parts: Mapping[str, Part]) -> str:
    """`text` with its include points replaced, also those in what replaces them, other than in a `Name`.

    The lines of a part are indented as the line is that includes it.

    Raises:
        KeyError: there is no part of such a name.
    """

    def included(point: re.Match[str]) -> str:
        part, argument = parts[point["name"]], point["argument"]
        if isinstance(part, Name):
            return part
        replacement = render(part if isinstance(part, str) else part(argument), parts)
        line = point.string[point.string.rfind("\n", 0, point.start()) + 1 :]
        indent = line[: len(line) - len(line.lstrip(" "))]
        return replacement.replace("\n", f"\n{indent}")

    return _INCLUDE.sub(included, text)
