"""What a database is like before openmem uses it, and whether openmem can. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from ...errors import ProviderError
from ...ports.errors import ReadOnlyDatabaseError
from ...ports.postgres import Row, Statement, Store

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

_INSTALL_HINT = (
    "install pgvector on the server (Debian and Ubuntu: apt install postgresql-18-pgvector, for your version; "
    "Docker: the image pgvector/pgvector), then run CREATE EXTENSION vector in this database "
    "as a role that may"
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
        """Why, for a message; None if the database takes changes."""
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
        has_schema, has_migrations: whether the schema is there, and its table with the version.
        may_create_schema, may_create_tables: what the role may; the latter means nothing without the schema.
        owns_tables: whether no other role owns the tables.
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
    owns_tables: bool
    lacks: frozenset[str]
    vector_schema: str | None
    vector_version: str | None
    vector_types: int
    vector_available: str | None


def inspect_database(schema: str) -> Statement[Database]:
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
            NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = s.oid
                AND c.relname IN ('migrations', 'memories') AND NOT pg_has_role(c.relowner, 'USAGE')),
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
        may_create_schema, may_create_tables, owns_tables, lacks, *vector = rest
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
            owns_tables,
            frozenset(lacks),
            *vector,
        )

    return Statement(sql, (), decode)


def read_only() -> Statement[ReadOnly]:
    """Ask whether the database takes changes."""
    return Statement(f"SELECT {_READ_ONLY}", (), lambda rows: ReadOnly(*rows[0]))


def check_server(database: Database) -> None:
    if database.version < MIN_SERVER:
        version = f"{database.version // 10_000}.{database.version % 10_000}"
        raise ProviderError(f"PostgreSQL {version} is too old; openmem needs 16 or newer: upgrade the server")
    if database.encoding != "UTF8":
        raise ProviderError(
            f"the database {database.name} has the encoding {database.encoding}, which cannot hold every text, and "
            "openmem needs UTF8; an encoding cannot be changed, so make another database and name it in url: "
            "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"
        )


def check_may_change(database: Database, state: str) -> None:
    if database.read_only.reason is not None:
        raise ReadOnlyDatabaseError(
            f"the database {database.name} {state}, and it is read-only: {database.read_only.reason}; open a client "
            "once where it takes changes, then it can be read here"
        )


def check_may_create(database: Database, schema: str, state: str) -> None:
    if not database.owns_tables:
        raise ProviderError(
            f"the database {database.name} {state}, and only the role that owns the tables may change them, which "
            f"{database.role} is not: open a client once as that role"
        )
    if database.has_schema:
        may, grant = database.may_create_tables, f"CREATE ON SCHEMA {schema}"
    else:
        may, grant = database.may_create_schema, f"CREATE ON DATABASE {database.name}"
    if not may:
        raise ProviderError(
            f"the database {database.name} {state}, and the role {database.role} may not make them: open a client "
            f"once as the role that owns the tables, or {grant_statements({grant}, database.role)}"
        )


def check_audit(store: Store, schema: str) -> bool:
    """Whether the role may add to the audit log.

    Raises:
        ProviderError: it may change memories, but not write to their log.
    """
    entry = f"INSERT ON {schema}.audit_log"
    if entry not in store.lacks:
        return True
    if any(f"{verb} ON {schema}.memories" not in store.lacks for verb in ("INSERT", "UPDATE", "DELETE")):
        raise ProviderError(
            f"the role {store.role} may change memories, but not add to their audit log: "
            f"{grant_statements({entry}, store.role)}; or open the client with audit='off'"
        )
    return False


def grant_statements(privileges: AbstractSet[str], role: str) -> str:
    return "; ".join(f"GRANT {privilege} TO {role}" for privilege in sorted(privileges))


def needed_privileges(schema: str, vector_schema: str) -> set[str]:
    """What a role must be allowed that only reads."""
    tables = {f"SELECT ON {schema}.{table}" for table in ("migrations", "memories")}
    return {f"USAGE ON SCHEMA {schema}", f"USAGE ON SCHEMA {vector_schema}", *tables}


def check_pgvector(database: Database) -> None:
    version = database.vector_version or "0"
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_PGVECTOR or database.vector_types < len(_TYPES):
        raise ProviderError(
            f"pgvector {version} is too old; openmem needs {'.'.join(map(str, MIN_PGVECTOR))}: "
            "upgrade the package, then run ALTER EXTENSION vector UPDATE in this database"
        )


def no_pgvector(reason: str) -> ProviderError:
    return ProviderError(f"the database has no pgvector, and it cannot be created here ({reason}): {_INSTALL_HINT}")
