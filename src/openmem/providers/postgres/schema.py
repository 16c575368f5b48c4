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
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from ..._text import quoted
from ...errors import InvalidRequestError, ProviderError
from ...ports.errors import ReadOnlyDatabaseError
from ...ports.postgres import PostgresIO, Row, Statement, Store

MIN_SERVER: Final = 14_0000
MIN_PGVECTOR: Final = (0, 7)
_TYPES: Final = ("halfvec", "sparsevec")

_READ_ONLY: Final = """
    pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only') = 'on',
    (SELECT r.source FROM pg_catalog.pg_settings r WHERE r.name = 'default_transaction_read_only')
"""
_SOURCES: Final = {
    "database": "by ALTER DATABASE",
    "user": "by ALTER ROLE",
    "database user": "by ALTER ROLE IN DATABASE",
    "global": "by ALTER ROLE ALL",
    "configuration file": "in the server's configuration",
    "command line": "on the server's command line",
    "client": "by options in url",
}
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_INSTALL_HINT = (
    "install pgvector on the server (Debian and Ubuntu: apt install postgresql-18-pgvector, for your version; "
    "Docker: the image pgvector/pgvector), then run CREATE EXTENSION vector in this database "
    "as a role that may"
)

# Queries share these with the tables: they are those of the migrations below, where they stand as literals.
TERM_NUMBERS: Final = 2**29
HEAD: Final = 1_000

# A migration that was released is never changed, since databases were made by it.
# A row is unpacked from its first column to the last one needed, so what a search reads comes first. What
# tables and indexes compute is in PL/pgSQL, whose plans a session keeps: a function in SQL, unless it can become
# a part of the expression, is read and planned anew for every statement.
MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE FUNCTION {schema}.term_number(term text) RETURNS bigint
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN (hashtextextended(term, 0) & (536870912 - 1)) + 1;

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
                WHERE term IS NOT NULL LIMIT 16000
            ), ':1,') || ':1}}/536870912')::{vector}.sparsevec;
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
        WITH (fastupdate = off) WHERE ordinal > 1000;
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
class ReadOnly:
    """Why a database takes no changes, if it does not.

    Attributes:
        is_standby: whether the server follows another one.
        is_on: whether transactions of this session change nothing, unless they say otherwise.
        source: where PostgreSQL has the setting from that says so, in its own words.
    """

    is_standby: bool
    is_on: bool
    source: str

    @property
    def reason(self) -> str | None:
        """What to tell people; None if the database takes changes."""
        if self.is_standby:
            return (
                "the server is a standby, which follows another one; write to the primary: url must name it, or all "
                "hosts and target_session_attrs=read-write"
            )
        if self.is_on:
            where = _SOURCES.get(self.source, f"the setting's source is {self.source!r}")
            return (
                f"default_transaction_read_only is on ({where}); hosted databases set it when their disk is nearly full"
            )
        return None


@dataclass(frozen=True, slots=True)
class Database:
    """The state of a database before openmem uses it.

    Attributes:
        version: the server's, as a number: 160003 for 16.3.
        encoding: the database's.
        read_only: whether it takes changes.
        name, role: quoted, of the database and of the role that asks.
        has_schema, has_migrations: whether the schema is there, and its table that tells the version.
        may_create_schema, may_create_tables: what the role may; the latter means nothing without the schema.
        lacks: what else the role may not, in the words of ``GRANT``, of what is there.
        vector_schema: quoted name of the schema pgvector lives in; None if the extension is missing.
        vector_version: pgvector's version.
        vector_types: how many of the types that are needed it has.
        vector_available: the version that could be installed; None if the extension is there, or the server has none.
    """

    version: int
    encoding: str
    read_only: ReadOnly
    name: str
    role: str
    has_schema: bool
    has_migrations: bool
    may_create_schema: bool
    may_create_tables: bool
    lacks: frozenset[str]
    vector_schema: str | None
    vector_version: str | None
    vector_types: int
    vector_available: str | None


def check_schema_name(name: str) -> str:
    """`name` if it can be a schema's name without quoting, else `InvalidRequestError`."""
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) or name.startswith("pg_"):
        raise InvalidRequestError(
            f"schema: {quoted(name)} is not a lower-case identifier of at most 63 letters, digits and underscores"
        )
    return name


async def ensure(io: PostgresIO, schema: str) -> Store:
    """Bring the tables in `schema` to the current version, unless that was done over these connections.

    Raises:
        ProviderError: the server or pgvector is missing something or too old, the database is not in UTF8, the role may
            not read or create what it must, the database takes no changes and is not set up, or it was made by a
            newer openmem.
    """
    if schema in io.learned.stores:
        return io.learned.stores[schema]
    database = await io.execute(_inspect(schema))
    _check_server(database)
    if database.vector_schema is None:
        _check_may_change(database, f"has no pgvector, which openmem needs in it, and no tables in schema {schema!r}")
        if database.vector_available is None:
            raise _no_pgvector("the server does not have it installed")
        await _create_extension(io, schema)
        database = await io.execute(_inspect(schema))
    assert database.vector_schema is not None
    _check_pgvector(database)
    if missing := database.lacks & _needed(schema, database.vector_schema):
        raise ProviderError(f"the role {database.role} may not read what is stored: {_grants(missing, database.role)}")
    version = await io.execute(_applied(schema)) if database.has_migrations else 0
    if version > len(MIGRATIONS):
        raise ProviderError(
            f"schema {schema!r} is at version {version}, made by a newer openmem; this one knows "
            f"version {len(MIGRATIONS)}: pip install --upgrade openmem"
        )
    if version < len(MIGRATIONS):
        state = f"is at version {version} of openmem's tables in schema {schema!r}, and {len(MIGRATIONS)} is needed"
        _check_may_change(database, state if version else f"has no tables of openmem in schema {schema!r}")
        _check_may_create(database, schema, state)
        await io.run_script(_script(schema, database.vector_schema))
        database = await io.execute(_inspect(schema))
    store = Store(database.vector_schema or "", database.lacks, database.role)
    io.learned.stores[schema] = store
    io.learned.is_read_only = database.read_only.reason is not None
    return store


def check_audit(store: Store, schema: str) -> bool:
    """Whether the role may add to the audit log.

    Raises:
        ProviderError: it may change memories, and may not tell so in the log.
    """
    entry = f"INSERT ON {schema}.audit_log"
    if entry not in store.lacks:
        return True
    if any(f"{verb} ON {schema}.memories" not in store.lacks for verb in ("INSERT", "UPDATE", "DELETE")):
        raise ProviderError(
            f"the role {store.role} may change memories, but not add to their audit log: "
            f"{_grants({entry}, store.role)}; or open the client with audit='off'"
        )
    return False


def read_only() -> Statement[ReadOnly]:
    """Ask whether the database takes changes."""
    return Statement(f"SELECT {_READ_ONLY}", (), lambda rows: ReadOnly(*rows[0]))


def _check_server(database: Database) -> None:
    if database.version < MIN_SERVER:
        version = f"{database.version // 10_000}.{database.version % 10_000}"
        raise ProviderError(f"PostgreSQL {version} is too old; openmem needs 16 or newer: upgrade the server")
    if database.encoding != "UTF8":
        raise ProviderError(
            f"the database {database.name} has the encoding {database.encoding}, which cannot hold every text, and "
            "openmem needs UTF8; an encoding cannot be changed, so make another database and name it in url: "
            "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"
        )


def _check_may_change(database: Database, state: str) -> None:
    if database.read_only.reason is not None:
        raise ReadOnlyDatabaseError(
            f"the database {database.name} {state}, and it is read-only: {database.read_only.reason}; open a client "
            "once where it takes changes, then it can be read here"
        )


def _check_may_create(database: Database, schema: str, state: str) -> None:
    if database.has_schema:
        may, grant = database.may_create_tables, f"CREATE ON SCHEMA {schema}"
    else:
        may, grant = database.may_create_schema, f"CREATE ON DATABASE {database.name}"
    if not may:
        raise ProviderError(
            f"the database {database.name} {state}, and the role {database.role} may not make them: open a client "
            f"once as the role that owns the tables, or {_grants({grant}, database.role)}"
        )


def _grants(privileges: AbstractSet[str], role: str) -> str:
    return "; ".join(f"GRANT {privilege} TO {role}" for privilege in sorted(privileges))


def _needed(schema: str, vector_schema: str) -> set[str]:
    """What a role must be allowed that only reads."""
    tables = {f"SELECT ON {schema}.{table}" for table in ("migrations", "memories")}
    return {f"USAGE ON SCHEMA {schema}", f"USAGE ON SCHEMA {vector_schema}", *tables}


def _check_pgvector(database: Database) -> None:
    version = database.vector_version or "0"
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_PGVECTOR or database.vector_types < len(_TYPES):
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
        raise _no_pgvector(error.message) from error


def _no_pgvector(reason: str) -> ProviderError:
    return ProviderError(f"the database has no pgvector, and it cannot be created here ({reason}): {_INSTALL_HINT}")


def _inspect(schema: str) -> Statement[Database]:
    def table(name: str, *verbs: str) -> list[str]:
        found = (
            "(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE n.nspname = '{schema}' AND c.relname = '{name}')"
        )
        return [f"('{verb} ON {schema}.{name}', has_table_privilege({found}, '{verb}'))" for verb in verbs]

    privileges = [
        f"('USAGE ON SCHEMA {schema}', has_schema_privilege(s.oid, 'USAGE'))",
        "('USAGE ON SCHEMA ' || quote_ident(n.nspname), has_schema_privilege(n.oid, 'USAGE'))",
        *table("migrations", "SELECT"),
        *table("memories", "SELECT", "INSERT", "UPDATE", "DELETE"),
        *table("audit_log", "INSERT"),
    ]
    sql = f"""
        SELECT
            {_READ_ONLY},
            current_setting('server_version_num')::int, current_setting('server_encoding'),
            quote_ident(current_database()), quote_ident(current_user), s.oid IS NOT NULL,
            EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = s.oid AND c.relname = 'migrations'),
            has_database_privilege(current_database(), 'CREATE'),
            coalesce(has_schema_privilege(s.oid, 'CREATE'), false),
            ARRAY(SELECT privilege FROM (VALUES {", ".join(privileges)}) p (privilege, granted) WHERE NOT granted),
            quote_ident(n.nspname), e.extversion,
            (SELECT count(*) FROM pg_catalog.pg_type t
                WHERE t.typnamespace = n.oid AND t.typname = ANY (ARRAY{list(_TYPES)})),
            CASE WHEN e.oid IS NULL THEN
                (SELECT a.default_version FROM pg_catalog.pg_available_extensions a WHERE a.name = 'vector')
            END
        FROM (SELECT) AS always
        LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = '{schema}'
        LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    """

    def decode(rows: Sequence[Row]) -> Database:
        [row] = rows
        is_standby, is_on, source, version, encoding, name, role, has_schema, has_migrations, *rest = row
        may_create_schema, may_create_tables, lacks, *vector = rest
        return Database(
            version,
            encoding,
            ReadOnly(is_standby, is_on, source),
            name,
            role,
            has_schema,
            has_migrations,
            may_create_schema,
            may_create_tables,
            frozenset(lacks),
            *vector,
        )

    return Statement(sql, (), decode)


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
        body = migration.format(schema=schema, vector=vector_schema)
        steps.append(
            f"DO $migration$ BEGIN "
            f"IF NOT EXISTS (SELECT FROM {schema}.migrations WHERE version = {version}) THEN {body} "
            f"INSERT INTO {schema}.migrations (version) VALUES ({version}); "
            f"END IF; END $migration$;"
        )
    return "\n".join(steps)


def _lock(name: str) -> str:
    return f"SELECT pg_advisory_xact_lock(hashtextextended('openmem:{name}', 0));"
