"""The tables, as numbered migrations that run under an advisory lock.

JSON is kept as ``json``, not ``jsonb``: that would turn 1e23 into another number.

Every table has the bucket of its user (see `openmem._ids`), so that the tables can be partitioned or
sharded by it; `docs/scaling.md` does so. No index on memories can be searched by bucket alone: the planner
would combine it with those that find a few rows, at the cost of reading all of a bucket's entries. A user has one
bucket; without the statistics that say so the planner would multiply the two conditions and expect no rows.

A memory's ordinal tells its place among the memories of its user, in order of insertion. Deletions
leave gaps, and memories added at the same moment may share one. Only from the ``HEAD``-th on are the words of
a user's memories indexed; `.candidates` tells why.

A database at the current version needs no more than two reads. Otherwise one transaction takes the
lock, so that any number of processes may open a fresh database at the same moment, and applies what
is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ...errors import InvalidRequestError, ProviderError
from ...io import PostgresIO, Statement

MIN_PGVECTOR: Final = (0, 7)
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_INSTALL_HINT = (
    "install pgvector on the server (Debian and Ubuntu: apt install postgresql-18-pgvector, for your version; "
    "Docker: the image pgvector/pgvector), then run CREATE EXTENSION vector in this database "
    "as a role that may"
)

TERM_NUMBERS: Final = 2**29
MAX_TERMS: Final = 16_000
HEAD: Final = 1_000

# A row is unpacked from its first column to the last one needed, so what a search reads comes first. What
# tables and indexes compute is in PL/pgSQL, whose plans a session keeps: a function in SQL, unless it can become
# a part of the expression, is read and planned anew for every statement.
MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE FUNCTION {schema}.term_number(term text) RETURNS bigint
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN (hashtextextended(term, 0) & ({term_numbers} - 1)) + 1;

    CREATE FUNCTION {schema}.words(content text, at timestamptz) RETURNS text[]
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN tsvector_to_array(to_tsvector('pg_catalog.english', content)) || ARRAY[
            extract(day FROM at AT TIME ZONE 'UTC')::text,
            (ARRAY['januari', 'februari', 'march', 'april', 'may', 'june', 'juli', 'august', 'septemb', 'octob',
                'novemb', 'decemb'])[extract(month FROM at AT TIME ZONE 'UTC')::int],
            extract(year FROM at AT TIME ZONE 'UTC')::text
        ];

    CREATE FUNCTION {schema}.terms(content text, at timestamptz) RETURNS {vector}.sparsevec
        LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
        BEGIN
            RETURN ('{{' || array_to_string(ARRAY(
                SELECT DISTINCT {schema}.term_number(term)
                FROM unnest({schema}.words(content, at) || ARRAY[
                    CASE WHEN content ~ '\\?\\s*$' THEN '?' END,
                    CASE WHEN content ~ '^\\s*\\w+\\s*:\\s' THEN
                        (tsvector_to_array(to_tsvector('pg_catalog.english', split_part(content, ':', 1))))[1] || ':'
                    END
                ]) term
                WHERE term IS NOT NULL LIMIT {max_terms}
            ), ':1,') || ':1}}/{term_numbers}')::{vector}.sparsevec;
        END $body$;

    CREATE FUNCTION {schema}.word_key(user_id text, term_number bigint) RETURNS bigint
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN hashint8extended(term_number, hashtextextended(user_id, 0));

    CREATE FUNCTION {schema}.word_keys(user_id text, content text, at timestamptz) RETURNS bigint[]
        LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
        BEGIN
            RETURN ARRAY(
                SELECT {schema}.word_key(user_id, {schema}.term_number(word))
                FROM unnest({schema}.words(content, at)) word
            );
        END $body$;

    CREATE TABLE {schema}.memories (
        id text COLLATE "C" PRIMARY KEY,
        user_id text COLLATE "C" NOT NULL,
        bucket smallint NOT NULL,
        ordinal int NOT NULL,
        created_at timestamptz NOT NULL,
        valid_from timestamptz,
        valid_to timestamptz,
        scope text COLLATE "C",
        embedding_model text COLLATE "C",
        embedding {vector}.halfvec,
        terms {vector}.sparsevec NOT NULL
            GENERATED ALWAYS AS ({schema}.terms(content, coalesce(valid_from, created_at))) STORED,
        updated_at timestamptz,
        confidence float8,
        tags text[],
        content text NOT NULL,
        source json,
        supersedes text[],
        extensions json
    );
    ALTER TABLE {schema}.memories ALTER COLUMN embedding SET STORAGE MAIN;
    CREATE INDEX memories_newest ON {schema}.memories (user_id, created_at, id);
    CREATE INDEX memories_in_order ON {schema}.memories (user_id, ordinal) INCLUDE (bucket);
    CREATE INDEX memories_words ON {schema}.memories
        USING gin ({schema}.word_keys(user_id, content, coalesce(valid_from, created_at)))
        WITH (fastupdate = off) WHERE ordinal > {head};
    CREATE STATISTICS {schema}.memories_of_users (dependencies) ON user_id, bucket FROM {schema}.memories;

    CREATE TABLE {schema}.audit_log (
        id bigint GENERATED ALWAYS AS IDENTITY,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        bucket smallint NOT NULL,
        user_id text COLLATE "C" NOT NULL,
        app text,
        action text NOT NULL,
        memory_id text COLLATE "C",
        scope text COLLATE "C",
        request_id text,
        PRIMARY KEY (id, bucket)
    );
    CREATE INDEX audit_log_newest ON {schema}.audit_log (user_id, at);
    CREATE STATISTICS {schema}.audit_log_of_users (dependencies) ON user_id, bucket FROM {schema}.audit_log;
    """,
    """
    CREATE TABLE {schema}.idempotency_keys (
        bucket smallint NOT NULL,
        user_id text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        fingerprint text NOT NULL,
        memory_id text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (user_id, key, bucket)
    );
    CREATE INDEX idempotency_keys_oldest ON {schema}.idempotency_keys (bucket, at);
    """,
)


@dataclass(frozen=True, slots=True)
class Database:
    """The state of a database before openmem uses it.

    Attributes:
        is_set_up: whether some migration was applied already.
        vector_schema: quoted name of the schema pgvector lives in; None if the extension is missing.
        vector_version: pgvector's version.
    """

    is_set_up: bool
    vector_schema: str | None
    vector_version: str | None


def check_schema_name(name: str) -> str:
    """`name` if it can be a schema's name without quoting, else `InvalidRequestError`."""
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) or name.startswith("pg_"):
        raise InvalidRequestError(
            f"schema: {name!r} is not a lower-case identifier of at most 63 letters, digits and underscores"
        )
    return name


async def ensure(io: PostgresIO, schema: str) -> str:
    """Bring the tables in `schema` to the current version, unless that was done over these connections.

    Returns:
        The quoted name of the schema that pgvector lives in.

    Raises:
        ProviderError: pgvector is missing or too old, the role may not create what is missing, or
            the database was made by a newer openmem.
    """
    if schema in io.learned.vector_schemas:
        return io.learned.vector_schemas[schema]
    database = await io.execute(_inspect(schema))
    if database.vector_schema is None:
        await _create_extension(io, schema)
        database = await io.execute(_inspect(schema))
    assert database.vector_schema is not None
    assert database.vector_version is not None
    _check_pgvector(database.vector_version)
    version = await io.execute(_applied(schema)) if database.is_set_up else 0
    if version > len(MIGRATIONS):
        raise ProviderError(
            f"schema {schema!r} is at version {version}, made by a newer openmem; this one knows "
            f"version {len(MIGRATIONS)}: pip install --upgrade openmem"
        )
    if version < len(MIGRATIONS):
        await io.run_script(_script(schema, database.vector_schema))
    io.learned.vector_schemas[schema] = database.vector_schema
    return database.vector_schema


def _check_pgvector(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_PGVECTOR:
        raise ProviderError(
            f"pgvector {version} is too old; openmem needs {'.'.join(map(str, MIN_PGVECTOR))}: "
            "upgrade the package, then run ALTER EXTENSION vector UPDATE in this database"
        )


async def _create_extension(io: PostgresIO, schema: str) -> None:
    """Make the extension in ``public``, or, where that was dropped, beside the tables."""
    script = f"""
        {_lock("openmem")}
        DO $extension$ BEGIN
            IF to_regnamespace('public') IS NOT NULL THEN
                CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
            ELSE
                CREATE SCHEMA IF NOT EXISTS {schema};
                CREATE EXTENSION IF NOT EXISTS vector SCHEMA {schema};
            END IF;
        END $extension$;
    """
    try:
        await io.run_script(script)
    except ProviderError as error:
        if error.code == "provider_unavailable":
            raise
        raise ProviderError(
            f"the database has no pgvector, and it cannot be created here ({error.message}): {_INSTALL_HINT}"
        ) from error


def _inspect(schema: str) -> Statement[Database]:
    sql = """
        SELECT to_regclass($1::text) IS NOT NULL, quote_ident(n.nspname), e.extversion
        FROM (SELECT) AS always
        LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    """
    return Statement(sql, (f"{schema}.migrations",), lambda rows: Database(*rows[0]))


def _applied(schema: str) -> Statement[int]:
    sql = f"SELECT coalesce(max(version), 0) FROM {schema}.migrations"
    return Statement(sql, (), lambda rows: int(rows[0][0]))


def _script(schema: str, vector_schema: str) -> str:
    steps = [
        _lock(schema),
        # Reading the catalog makes the session forget that there was no such schema before it waited for the lock.
        "SELECT FROM pg_catalog.pg_namespace LIMIT 0;",
        f"CREATE SCHEMA IF NOT EXISTS {schema};",
        f"CREATE TABLE IF NOT EXISTS {schema}.migrations "
        "(version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());",
    ]
    for version, migration in enumerate(MIGRATIONS, start=1):
        body = migration.format(
            schema=schema, vector=vector_schema, term_numbers=TERM_NUMBERS, max_terms=MAX_TERMS, head=HEAD
        )
        steps.append(
            f"DO $migration$ BEGIN "
            f"IF NOT EXISTS (SELECT FROM {schema}.migrations WHERE version = {version}) THEN {body} "
            f"INSERT INTO {schema}.migrations (version) VALUES ({version}); "
            f"END IF; END $migration$;"
        )
    return "\n".join(steps)


def _lock(name: str) -> str:
    return f"SELECT pg_advisory_xact_lock(hashtextextended('openmem:{name}', 0));"
