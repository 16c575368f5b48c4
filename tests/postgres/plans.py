"""What the server does to run a statement."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Any

import psycopg
from psycopg.sql import Literal

from openmem.ports.postgres import HalfVector, Statement


def nodes(admin: psycopg.Connection[Any], statement: Statement[Any]) -> Iterator[dict[str, Any]]:
    """The nodes of the plan by which a statement runs; nothing of what it does remains."""
    values = ", ".join(Literal(written(value)).as_string(admin) for value in statement.args)
    with admin.transaction(force_rollback=True):
        admin.execute(f"PREPARE verb AS {statement.sql}".encode())
        row = admin.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE verb ({values})".encode()).fetchone()
        admin.execute("DEALLOCATE verb")
    assert row is not None
    [plan] = row[0]
    return _below(plan["Plan"])


def rows_fetched(admin: psycopg.Connection[Any], statement: Statement[Any]) -> dict[str, int]:
    """How many rows a statement reads of each table, also in functions; nothing of what it does remains."""
    values = ", ".join(Literal(written(value)).as_string(admin) for value in statement.args)
    counts = """
        SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0),
            coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
        FROM pg_stat_xact_user_tables
    """
    with admin.transaction(force_rollback=True):
        admin.execute(f"PREPARE verb AS {statement.sql}".encode())
        before = {name: (scans, rows) for name, scans, rows in admin.execute(counts)}
        admin.execute(f"EXECUTE verb ({values})".encode())
        after = {name: (scans, rows) for name, scans, rows in admin.execute(counts)}
        admin.execute("DEALLOCATE verb")
    return {
        name: rows - before.get(name, (0, 0))[1]
        for name, (scans, rows) in after.items()
        if scans > before.get(name, (0, 0))[0]
    }


def rows_read(
    admin: psycopg.Connection[Any], statement: Statement[Any], tables: Collection[str] | None = None
) -> float:
    """How many rows the scans of a statement return or throw away.

    Args:
        tables: only scans of these.
    """
    kept = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    rows = 0.0
    for node in nodes(admin, statement):
        if tables is not None and node.get("Relation Name") not in tables:
            continue
        if "Scan" in node["Node Type"] or "Rows Removed by Join Filter" in node:
            rows += node["Actual Loops"] * sum(node.get(name, 0) for name in kept)
    return rows


def written(value: object) -> object:
    """A vector as text, and everything else as it is."""
    if isinstance(value, HalfVector):
        return str([number for (number,) in struct.iter_unpack(">e", value[4:])])
    return value


def _below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _below(child)
