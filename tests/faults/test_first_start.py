"""Clients that make the tables of a new database at the same moment."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from openmem import Memory

WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


def test_a_client_that_waited_for_another_sees_the_schema_made_meanwhile(database: str) -> None:
    memory = Memory(url=database, schema="late", embedder="hashing")
    with (
        psycopg.connect(database) as other,
        psycopg.connect(database, autocommit=True) as observer,
        ThreadPoolExecutor(1) as executor,
    ):
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('openmem:late', 0))")
        other.execute("CREATE SCHEMA late")
        adding = executor.submit(memory.add, content="after all", user_id="u")
        while observer.execute(WAITING).rowcount == 0:
            assert not adding.done(), adding.result()
            time.sleep(0.005)
        other.commit()
        assert adding.result().content == "after all"
    memory.close()
