"""The steps that make and change the tables, each in a file.

A step that was released is never changed, since databases were made by it; a change is a new step. A step is text of
its own: it shares no constant with code that may change later. In a file, ``{schema}`` is the schema of the tables and
``{vector}`` the schema of pgvector.

All steps that are missing run in one transaction, but for those that PostgreSQL allows in none, such as ``CREATE INDEX
CONCURRENTLY``, with which a large table stays in use meanwhile. The statements of such a step end with ``;`` at the end
of a line, and each is a transaction of its own. A crash may come between any two of them, and then all of them run
again. So each must bear to be repeated: an index is dropped ``IF EXISTS`` before it is made, since a failed attempt
leaves an invalid one. They say ``{concurrently}``: a database without tables gets all steps in one transaction, and
PostgreSQL builds no index of a partitioned table concurrently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..sql import Name, read, render


@dataclass(frozen=True, slots=True)
class Migration:
    """One step.

    Attributes:
        version: the number of the step, from 1.
        name: what it brings.
        is_transactional: whether it runs in a transaction with the steps around it.
    """

    version: int
    name: str
    is_transactional: bool = True

    def text(self) -> str:
        """What is in the file."""
        return read(__name__, f"{self.version:04}_{self.name}")

    def script(self, schema: str, vector_schema: str, *, concurrently: bool = False) -> str:
        """The step as statements for one database.

        Args:
            schema: name of the schema of the tables, checked to need no quotes.
            vector_schema: quoted name of the schema of pgvector.
            concurrently: whether indexes are built and dropped while the table stays in use.
        """
        names = {"schema": schema, "vector": vector_schema, "concurrently": "CONCURRENTLY" if concurrently else ""}
        return render(self.text(), {name: Name(value) for name, value in names.items()})

    def statements(self, schema: str, vector_schema: str, *, concurrently: bool) -> list[str]:
        """The same, one by one, for a step that is not transactional."""
        script = self.script(schema, vector_schema, concurrently=concurrently)
        return [statement for statement in re.split(r";\s*$", script, flags=re.M) if statement]


MIGRATIONS: Final = (
    Migration(1, "memories"),
    Migration(2, "idempotency_keys"),
    Migration(3, "analysis"),
    Migration(4, "lexemes", is_transactional=False),
    Migration(5, "baselines"),
    Migration(6, "records"),
    Migration(7, "record_indexes", is_transactional=False),
    Migration(8, "writing"),
    Migration(9, "bulk_writing"),
    Migration(10, "purging"),
    Migration(11, "changed_memories", is_transactional=False),
)
