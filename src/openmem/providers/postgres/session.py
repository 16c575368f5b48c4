"""The settings of a session, so that statements mean the same for every role and database. Pure.

``ALTER ROLE … SET``, ``ALTER DATABASE … SET``, ``PGOPTIONS`` and ``options`` in the URL change what statements do. A
setting is pinned here if statements rely on it. Those that are an administrator's bounds or choices stay as they are:
`statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout`, `default_transaction_read_only`,
`synchronous_commit`, `row_security`, `work_mem`, tablespaces and logging.

All is sent as a statement, since connection poolers refuse start-up parameters that they do not know.
"""

from __future__ import annotations

from typing import Final

from ...ports.postgres import SessionSettings

# What a pooler such as PgBouncer hands on with each transaction. In zones other than UTC psycopg cannot read the first
# and the last hours of the calendar.
_HANDED_ON: Final = (
    ("TimeZone", "'UTC'"),
    ("DateStyle", "'ISO, MDY'"),
    ("standard_conforming_strings", "on"),
)

# What changes results, or makes statements fail. Under another isolation level those that run at the same moment fail
# instead of waiting for each other. The search path keeps functions and operators of other schemas from being taken for
# PostgreSQL's own. `gin_fuzzy_search_limit` leaves matches out at random.
_MEANING: Final = (
    ("search_path", "pg_catalog, pg_temp"),
    ("default_transaction_isolation", "'read committed'"),
    ("default_transaction_deferrable", "off"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("bytea_output", "hex"),
    ("gin_fuzzy_search_limit", "0"),
)

# Compiling a statement of a few milliseconds takes PostgreSQL longer than running it, and so does planning
# it anew for each call. A plan for all calls must not scan the table because most of it is one user's, nor read and
# sort all memories of a user, of whom it expects a few, where an index has them in order.
_PLANNING: Final = (
    ("jit", "off"),
    ("enable_seqscan", "off"),
    ("enable_sort", "off"),
)


# Citus has to know the values to see where a statement belongs; its catalog is there if it is in this database.
def _plan_for_all_calls(*, is_local: bool) -> str:
    return f"""
        SELECT pg_catalog.set_config('plan_cache_mode', CASE
            WHEN pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN 'force_generic_plan' ELSE 'auto'
        END, {is_local})
    """


# Without it, a query that waits for a lock outlives a client that is gone. Servers before version 14 and on Windows do
# not have it.
def _watch_the_client(*, is_local: bool) -> str:
    return f"""
        SELECT pg_catalog.set_config('client_connection_check_interval', '500ms', {is_local})
        WHERE pg_catalog.current_setting('server_version_num')::int >= 140000
            AND pg_catalog.version() !~* 'windows|mingw|msvc|visual'
    """


def _conditional(*, is_local: bool) -> str:
    """What depends on the server."""
    return "; ".join((_plan_for_all_calls(is_local=is_local), _watch_the_client(is_local=is_local)))


_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def _set(settings: tuple[tuple[str, str], ...], scope: str) -> str:
    return "; ".join(f"SET {scope} {name} = {value}" for name, value in settings)


DIRECT: Final = SessionSettings(
    on_connect="; ".join((_set((*_MEANING, *_HANDED_ON, *_PLANNING), "SESSION"), _conditional(is_local=False))),
    begin=_BEGIN,
    begin_snapshot=_BEGIN_SNAPSHOT,
    is_per_transaction=False,
)

_PER_TRANSACTION: Final = "; ".join((_set((*_MEANING, *_PLANNING), "LOCAL"), _conditional(is_local=True)))

# Behind a pooler in transaction mode, a session belongs to another client in the next moment.
POOLED: Final = SessionSettings(
    on_connect=_set(_HANDED_ON, "SESSION"),
    begin="; ".join((_BEGIN, _PER_TRANSACTION)),
    begin_snapshot="; ".join((_BEGIN_SNAPSHOT, _PER_TRANSACTION)),
    is_per_transaction=True,
)
