"""After `forget_user` nothing in the schema has the user's id or a text of them."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
from psycopg.sql import SQL, Identifier

from openmem import Memory
from openmem.providers.postgres.deletions import BATCH_ROWS

USER = "maya-8c1f"
TEXT = "the violet umbrella"
KEY = "maya-key"


def traces(admin: psycopg.Connection, *texts: str) -> dict[str, int]:
    """How many rows of each table of the schema have one of some texts."""
    tables = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'openmem'").fetchall()
    assert {"memories", "audit_log", "idempotency_keys"} <= {name for (name,) in tables}
    found = {}
    for (name,) in tables:
        query = SQL("SELECT count(*) FROM openmem.{} t WHERE t::text LIKE ANY (%s)").format(Identifier(name))
        row = admin.execute(query, [[f"%{text}%" for text in texts]]).fetchone()
        assert row is not None
        found[name] = row[0]
    return found


def test_nothing_is_left_of_a_user(database: str) -> None:
    with Memory(url=database, embedder="hashing", app="desk") as memory, psycopg.connect(database) as admin:
        admin.autocommit = True
        first = memory.add(content=TEXT, user_id=USER, metadata={"note": TEXT}, tags=[TEXT], scope="a/b")
        memory.add(content=TEXT, user_id=USER, supersedes=[first.id])
        memory.add(content=TEXT, user_id=USER, idempotency_key=KEY)
        memory.add(content=TEXT, user_id=USER, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        memory.add(content="", user_id=USER, indexed=False, metadata={"note": TEXT})
        memory.put(key=KEY, content=TEXT, user_id=USER)
        memory.search(TEXT, USER)
        memory.list(USER)
        other = memory.add(content="tea", user_id="tom", idempotency_key=KEY)
        admin.execute(
            "INSERT INTO openmem.audit_log (bucket, user_id, action) SELECT bucket, user_id, 'get' "
            "FROM openmem.audit_log, generate_series(1, %s) WHERE user_id = %s AND action = 'list'",
            [2 * BATCH_ROWS, USER],
        )
        before = traces(admin, USER, TEXT)
        assert all(before[table] for table in ("memories", "audit_log", "idempotency_keys"))
        erased = memory.forget_user(USER)
        assert (erased.memories, erased.audit_entries) == (before["memories"], before["audit_log"])
        assert not any(traces(admin, USER, TEXT).values())
        assert memory.get(other.id).content == "tea"
        assert memory.add(content="tea", user_id="tom", idempotency_key=KEY).id == other.id
        assert memory.forget_user(USER).memories == 0
