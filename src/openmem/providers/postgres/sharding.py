"""What it takes to spread openmem's tables over the nodes of a Citus cluster. Pure.

Everything follows from the state of the database: which table is distributed already, which function is known on the
nodes. So it can be stopped and run again at any time, and run again after an upgrade that adds a table or a function: a
table with a ``bucket`` is divided by it, where the memories of that bucket are, and any other one is on every node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...errors import ProviderError
from ...ports.postgres import Row, Statement

MIN_CITUS: Final = 14
"""The oldest major version of Citus that this was tried with."""

DATABASE_SETTINGS: Final = ("jit", "enable_seqscan", "enable_sort")
"""What is off in openmem's sessions, and in those that Citus opens on the nodes only if the database says so."""

_NESTED: Final = "citus.allow_nested_distributed_execution"


@dataclass(slots=True)
class Sharding:
    """Whether the tables of a database are divided over several nodes; None until it was asked."""

    is_sharded: bool | None = None


class Table(NamedTuple):
    """A table of openmem.

    Attributes:
        is_distributed: whether Citus knows it.
        has_bucket: whether it has the column.
        has_local_rows: whether rows from before it was distributed are still on the disk of the coordinator.
    """

    name: str
    is_distributed: bool
    has_bucket: bool
    has_local_rows: bool


class Function(NamedTuple):
    """A function of openmem.

    Attributes:
        signature: as PostgreSQL writes it.
        is_known: whether the nodes have it.
        has_bucket: whether it takes a bucket.
        is_delegated: whether Citus runs it where the rows of the bucket are, also in a transaction of several
            statements, as each call behind a pooler is.
        may_nest: whether it may store rows while Citus runs a statement that calls it.
    """

    signature: str
    is_known: bool
    has_bucket: bool
    is_delegated: bool
    may_nest: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """The state of a database that Citus is in.

    Attributes:
        version: Citus' version.
        is_coordinator: whether this is the node that others were added to.
        data_nodes: how many nodes may have shards.
        database: quoted name.
        is_owner: whether the role owns the database and the tables.
        has_bucket_in_key: whether the primary key of memories has the bucket.
        settings: those of `DATABASE_SETTINGS` that the database has off.
        tables, functions: those of openmem.
    """

    version: str
    is_coordinator: bool
    data_nodes: int
    database: str
    is_owner: bool
    has_bucket_in_key: bool
    settings: frozenset[str]
    tables: Sequence[Table]
    functions: Sequence[Function]


class Step(NamedTuple):
    """A script that is yet to be run as one transaction, and what it does."""

    text: str
    sql: str


def has_citus() -> Statement[bool]:
    """Ask whether Citus is in this database."""
    sql = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL"
    return Statement(sql, (), lambda rows: bool(rows[0][0]))


def inspect_cluster(schema: str) -> Statement[Cluster]:
    """Ask for the state of a database that Citus is in."""
    settings = ", ".join(f"'{name}=off'" for name in DATABASE_SETTINGS)
    sql = f"""
        SELECT
            (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'),
            (SELECT groupid = 0 FROM pg_catalog.pg_dist_local_group),
            (SELECT count(*) FROM pg_catalog.pg_dist_node
                WHERE isactive AND shouldhaveshards AND noderole = 'primary'),
            quote_ident(d.datname),
            pg_has_role(d.datdba, 'USAGE') AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_class c
                WHERE c.relnamespace = s.oid AND NOT pg_has_role(c.relowner, 'USAGE')
            ),
            EXISTS (
                SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
                JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::smallint[])
                WHERE c.relnamespace = s.oid AND c.relname = 'memories' AND i.indisprimary AND a.attname = 'bucket'
            ),
            ARRAY(
                SELECT split_part(setting, '=', 1)
                FROM pg_catalog.pg_db_role_setting r CROSS JOIN unnest(r.setconfig) setting
                WHERE r.setdatabase = d.oid AND r.setrole = 0 AND setting IN ({settings})
            ),
            ARRAY(
                SELECT ARRAY[c.relname::text, (p.logicalrelid IS NOT NULL)::text, EXISTS (
                    SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'bucket'
                )::text, (pg_relation_size(c.oid) > 0)::text]
                FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = c.oid
                WHERE c.relnamespace = s.oid AND c.relkind = 'r' AND NOT relation_is_a_known_shard(c.oid)
                ORDER BY c.relname <> 'memories', c.relname
            ),
            ARRAY(
                SELECT ARRAY[f.oid::regprocedure::text, (o.objid IS NOT NULL)::text,
                    coalesce('p_bucket' = ANY (f.proargnames), false)::text,
                    coalesce(o.force_delegation, false)::text,
                    coalesce('{_NESTED}=on' = ANY (f.proconfig), false)::text]
                FROM pg_catalog.pg_proc f LEFT JOIN pg_catalog.pg_dist_object o
                    ON o.classid = 'pg_catalog.pg_proc'::regclass AND o.objid = f.oid
                WHERE f.pronamespace = s.oid AND f.prokind = 'f' ORDER BY f.proname
            )
        FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = '{schema}'
        WHERE d.datname = current_database()
    """

    def decode(rows: Sequence[Row]) -> Cluster:
        version, is_coordinator, data_nodes, database, is_owner, has_bucket, settings, tables, functions = rows[0]
        return Cluster(
            version,
            is_coordinator,
            data_nodes,
            database,
            is_owner,
            has_bucket,
            frozenset(settings),
            [Table(name, *_flags(flags)) for name, *flags in tables],
            [Function(signature, *_flags(flags)) for signature, *flags in functions],
        )

    return Statement(sql, (), decode)


def check_cluster(cluster: Cluster, schema: str) -> None:
    """Refuse a cluster over which the tables cannot be spread.

    Raises:
        ProviderError: why, and what to do.
    """
    if int(cluster.version.split(".")[0].split("-")[0]) < MIN_CITUS:
        raise ProviderError(f"Citus {cluster.version} is too old: upgrade it to {MIN_CITUS}.0 or newer on every node")
    if not cluster.is_coordinator:
        raise ProviderError("url names a worker: name the coordinator, on which citus_add_node was run")
    if not cluster.data_nodes:
        raise ProviderError(
            "the cluster has no node that may have shards: on the coordinator run "
            "SELECT citus_set_coordinator_host('HOST', 5432), and SELECT citus_add_node('HOST', 5432) for each worker"
        )
    if not cluster.is_owner:
        raise ProviderError(
            f"the role of url does not own both the database {cluster.database} and the tables in schema {schema!r}: "
            "run this as the role that owns both, or as a superuser"
        )


def steps(cluster: Cluster, schema: str, shards: int) -> Iterator[Step]:
    """What is left to do, in this order.

    Args:
        shards: into how many parts the tables are divided, if they are not divided yet.
    """
    memories = f"{schema}.memories"
    if not any(table.name == "memories" for table in cluster.tables):
        # Opening a client makes them; only a dry run comes here without.
        yield Step(f"make openmem's tables in schema {schema!r}, and divide them", "")
        return
    if not cluster.has_bucket_in_key:
        yield Step(
            "add bucket to the primary key of memories",
            f"ALTER TABLE {memories} DROP CONSTRAINT memories_pkey, ADD PRIMARY KEY (id, bucket)",
        )
    for function in cluster.functions:
        if not function.is_known:
            call = f"SELECT create_distributed_function('{function.signature}')"
            yield Step(f"make the function {function.signature} on every node", call)
    for table in cluster.tables:
        name = f"{schema}.{table.name}"
        if not table.is_distributed:
            if not table.has_bucket:
                yield Step(f"put {table.name} on every node", f"SELECT create_reference_table('{name}')")
            elif name == memories:
                call = f"create_distributed_table('{name}', 'bucket', shard_count := {shards}, colocate_with := 'none')"
                # Its trigger looks at nothing but the row.
                allow = "SET LOCAL citus.enable_unsafe_triggers = on"
                yield Step(f"divide memories into {shards} shards by bucket", f"{allow}; SELECT {call}")
            else:
                call = f"create_distributed_table('{name}', 'bucket', colocate_with := '{memories}')"
                yield Step(f"divide {table.name} like memories", f"SELECT {call}")
        if table.has_local_rows:
            call = f"SELECT truncate_local_data_after_distributing_table('{name}')"
            yield Step(f"remove what the coordinator kept of {table.name} from before", call)
    for function in cluster.functions:
        if function.has_bucket and not function.is_delegated:
            call = (
                f"create_distributed_function('{function.signature}', 'p_bucket', colocate_with := '{memories}', "
                "force_delegation := true)"
            )
            yield Step(f"run {function.signature.partition('(')[0]} where its bucket is", f"SELECT {call}")
        if "log_read(" in function.signature and not function.may_nest:
            # It stores its entry in the shard beside the one that the statement reads.
            alter = f"ALTER FUNCTION {function.signature} SET {_NESTED} = on"
            yield Step("let reads write their audit entry where they run", alter)
    for setting in DATABASE_SETTINGS:
        if setting not in cluster.settings:
            alter = f"ALTER DATABASE {cluster.database} SET {setting} = off"
            yield Step(f"switch {setting} off for the database, on every node", alter)


def _flags(texts: Sequence[str]) -> list[bool]:
    return [text == "true" for text in texts]
