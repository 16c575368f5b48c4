"""What Citus asks of the statements, and what is done to spread the tables, without a server."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from openmem import ProviderError
from openmem.ports.postgres import Query
from openmem.providers.postgres.migrations import MIGRATIONS
from openmem.providers.postgres.sharding import DATABASE_SETTINGS, Cluster, Function, Table, check_cluster, steps
from openmem.providers.postgres.statements import Statements

QUERIES = [
    pytest.param(query, id=name) for name, query in Statements("openmem", "public", "all").catalog.queries.items()
]
OF_ALL_NODES = {"store_baselines"}
BODIES = {
    name: body
    for step in MIGRATIONS[7:]
    for name, body in re.findall(r"CREATE FUNCTION \{schema\}\.(\w+)\(.*?AS \$body\$(.*?)\$body\$;", step.text(), re.S)
}
NEW = Cluster(
    version="14.0-1",
    is_coordinator=True,
    data_nodes=2,
    database="omp",
    is_owner=True,
    has_bucket_in_key=False,
    settings=frozenset(),
    tables=[
        Table("memories", False, True, True),
        Table("audit_log", False, True, False),
        Table("notes", False, False, False),
    ],
    functions=[
        Function("openmem.words(text)", False, False, False, False),
        Function("openmem.log_read(smallint)", True, True, False, False),
    ],
)
DONE = replace(
    NEW,
    has_bucket_in_key=True,
    settings=frozenset(DATABASE_SETTINGS),
    tables=[
        Table("memories", True, True, False),
        Table("audit_log", True, True, False),
        Table("notes", True, False, False),
    ],
    functions=[
        Function("openmem.words(text)", True, False, False, False),
        Function("openmem.log_read(smallint)", True, True, True, True),
    ],
)


@pytest.mark.parametrize("query", QUERIES)
def test_no_cte_inserts(query: Query, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.id not in OF_ALL_NODES:
        assert not re.search(r"AS\s*(?:NOT MATERIALIZED|MATERIALIZED)?\s*\(\s*INSERT", query.sql)


@pytest.mark.parametrize("name", BODIES)
def test_each_statement_of_a_function_is_about_one_bucket(name: str) -> None:
    code = re.sub(r"--[^\n]*", "", BODIES[name])
    for statement in code.split(";"):
        for alias in re.findall(
            r"(?:FROM|UPDATE) \{schema\}\.(?:memories|audit_log|idempotency_keys) (\w+)", statement
        ):
            assert re.search(rf"\b{alias}\.bucket = [pv]_bucket\b", statement), statement
        for columns in re.findall(r"INSERT INTO \{schema\}\.\w+ (?:AS \w+ )?\(([^)]*)\)", statement):
            assert "bucket" in re.split(r",\s*", columns.strip()), statement


@pytest.mark.parametrize("name", BODIES)
def test_what_a_function_writes_depends_on_no_clock(name: str) -> None:
    """Citus takes only immutable functions where it cannot compute them itself."""
    code = re.sub(r"--[^\n]*", "", BODIES[name])
    for statement in re.findall(r"(?:INSERT INTO|UPDATE \{schema\}|DELETE FROM)[^;]*", code):
        assert not re.search(r"\bnow\(\)|clock_timestamp", statement), statement


@pytest.mark.parametrize("query", QUERIES)
def test_what_a_statement_deletes_is_not_chosen_by_a_clock_in_a_case(query: Query) -> None:
    for deleting in re.findall(r"DELETE FROM.*?RETURNING", query.sql, re.S):
        assert "CASE" not in deleting
        assert not re.search(r"coalesce\([^()]*now\(\)", deleting)


def test_the_tables_are_divided_where_the_memories_are() -> None:
    done = [step.sql for step in steps(NEW, "openmem", 32)]
    assert done[0] == "ALTER TABLE openmem.memories DROP CONSTRAINT memories_pkey, ADD PRIMARY KEY (id, bucket)"
    assert done[1] == "SELECT create_distributed_function('openmem.words(text)')"
    assert "create_distributed_table('openmem.memories', 'bucket', shard_count := 32" in done[2]
    assert done[3] == "SELECT truncate_local_data_after_distributing_table('openmem.memories')"
    assert (
        done[4] == "SELECT create_distributed_table('openmem.audit_log', 'bucket', colocate_with := 'openmem.memories')"
    )
    assert done[5] == "SELECT create_reference_table('openmem.notes')"
    assert "create_distributed_function('openmem.log_read(smallint)', 'p_bucket'" in done[6]
    assert "force_delegation := true" in done[6]
    assert done[7].startswith("ALTER FUNCTION openmem.log_read(smallint) SET ")
    assert done[8:] == [f"ALTER DATABASE omp SET {name} = off" for name in DATABASE_SETTINGS]


def test_tables_that_are_not_there_are_made() -> None:
    [step] = steps(replace(NEW, tables=[], functions=[]), "openmem", 32)
    assert step.text == "make openmem's tables in schema 'openmem', and divide them"


def test_what_was_done_is_not_done_again() -> None:
    assert list(steps(DONE, "openmem", 32)) == []


def test_a_table_that_an_upgrade_brings_is_divided_later() -> None:
    later = replace(DONE, tables=[*DONE.tables, Table("links", False, True, False)])
    [step] = steps(later, "openmem", 64)
    assert step.sql == "SELECT create_distributed_table('openmem.links', 'bucket', colocate_with := 'openmem.memories')"


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        (replace(NEW, version="12.1-1"), "Citus 12.1-1 is too old"),
        (replace(NEW, is_coordinator=False), "name the coordinator"),
        (replace(NEW, data_nodes=0), "citus_add_node"),
        (replace(NEW, is_owner=False), "the role that owns both"),
    ],
)
def test_a_prerequisite_that_is_missing(cluster: Cluster, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        check_cluster(cluster, "openmem")
