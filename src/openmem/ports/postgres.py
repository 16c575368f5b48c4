"""A PostgreSQL server as the logic sees it: statements as values, and the pool that runs them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

R = TypeVar("R")

_TOKEN: Final = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<comment>--[^\n]*)|(?<![:\w]):(?P<parameter>[a-z][a-z0-9_]*)"""
)
T = TypeVar("T")

Row: TypeAlias = Sequence[Any]


class HalfVector(bytes):
    """A value of pgvector's ``halfvec``, in the binary format of its type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Statement(Generic[R]):
    """One SQL statement in ``$1`` style, its arguments, and what its rows mean."""

    sql: str
    args: tuple[object, ...]
    decode: Callable[[Sequence[Row]], R]


class _Numbered(NamedTuple):
    """A statement whose parameters have numbers, and what puts their values into this order."""

    sql: str
    parameters: tuple[str, ...]
    arguments: Callable[[Mapping[str, object]], tuple[object, ...]]


class Query:
    """A statement whose parameters have names.

    Args:
        text: SQL with ``:name`` where the value of a parameter goes, or a function that returns it and is called at the
            first use, since most programs use few of all statements.
    """

    __slots__ = ("_numbered", "_text")

    def __init__(self, text: str | Callable[[], str]) -> None:
        self._text = text
        self._numbered: _Numbered | None = None

    @property
    def text(self) -> str:
        """SQL with the names of the parameters."""
        text = self._text
        if not isinstance(text, str):
            # Threads that are here at once do the same work, and get the same text.
            text = self._text = text()
        return text

    @property
    def sql(self) -> str:
        """What the server is sent: without comments, and with ``$1`` for the parameter that is mentioned first."""
        return (self._numbered or self._number()).sql

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of their numbers."""
        return (self._numbered or self._number()).parameters

    def bind(self, values: Mapping[str, object], decode: Callable[[Sequence[Row]], R]) -> Statement[R]:
        """The statement with its arguments: of `values` those that the text mentions.

        Args:
            decode: what the rows mean.
        """
        numbered = self._numbered or self._number()
        return Statement(numbered.sql, numbered.arguments(values), decode)

    def _number(self) -> _Numbered:
        numbers: dict[str, int] = {}

        def sent(token: re.Match[str]) -> str:
            if token["comment"] is not None:
                return ""
            if token["parameter"] is None:
                return token[0]
            return f"${numbers.setdefault(token['parameter'], len(numbers) + 1)}"

        sql = _TOKEN.sub(sent, self.text)
        parameters = tuple(numbers)
        if len(parameters) > 1:
            self._numbered = _Numbered(sql, parameters, itemgetter(*parameters))
        else:
            self._numbered = _Numbered(sql, parameters, lambda values: tuple(values[name] for name in parameters))
        return self._numbered


@dataclass(frozen=True, slots=True, repr=False)
class Copy:
    """Rows for one table.

    Attributes:
        schema, table, columns: where they go; names that need no quotes.
        data: the rows in the binary format of COPY.
    """

    schema: str
    table: str
    columns: tuple[str, ...]
    data: bytes


class Transaction(Protocol):
    """One open transaction. What its methods raise ends it; they are not called at the same time."""

    async def execute(self, statement: Statement[R]) -> R:
        """Run one statement, and decode its rows."""
        ...

    async def copy(self, rows: Copy, meanwhile: Callable[[], Awaitable[R]]) -> R:
        """Store rows, and return the result of `meanwhile`, which runs while the server stores them."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class PostgresHost:
    """One of the servers to try.

    Attributes:
        name: its name, address, or the directory of its socket. What its certificate is held against.
        address: its IP address where the name is not to be looked up, else empty.
        port: its TCP port, or the number in the name of its socket.
        password: for this host; empty if there is none. Never shown.
    """

    name: str
    address: str
    port: int
    password: str

    @property
    def is_socket(self) -> bool:
        """Whether it is reached through a socket of this machine."""
        return not self.address and self.name.startswith(("/", "@"))


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionParameters:
    """What a URL and the environment say about a connection, read once for both drivers.

    Attributes:
        hosts: the servers to try in turn; at least one.
        values: libpq's other parameters by name, without those that have no value. Some are secret and never shown.
        ignores_environment: whether nothing but this counts: no variable, no service file.
    """

    hosts: tuple[PostgresHost, ...]
    values: tuple[tuple[str, str], ...]
    ignores_environment: bool = False

    def get(self, name: str, default: str = "") -> str:
        """The value of a parameter."""
        return dict(self.values).get(name, default)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What statements rely on, whatever a role, a database or the environment says otherwise.

    Attributes:
        on_connect: a script for a new connection.
        begin: begins a transaction of several statements.
        begin_snapshot: begins one that sees what is stored at one moment, and changes nothing.
        is_per_transaction: whether `begin` sets what statements rely on, so that a single statement needs it, too.
            Behind a pooler nothing may be set for a session.
    """

    on_connect: str
    begin: str
    begin_snapshot: str
    is_per_transaction: bool


@dataclass(frozen=True, slots=True, repr=False)
class PostgresSettings:
    """How to reach a PostgreSQL server.

    Attributes:
        parameters: the server, the user and all that belongs to connecting.
        session: the settings of a new connection.
        pooled: whether a pooler stands between, such as PgBouncer in transaction mode, that may hand
            each transaction to another connection of the server. Then nothing may be left in a session.
        pool_min_size, pool_max_size: connections opened ahead, and at most.
        pool_timeout: seconds to wait for a free connection.
        connect_timeout: seconds to wait for a new connection.
        timeout: seconds a statement may take before its connection is given up.
    """

    parameters: ConnectionParameters
    session: SessionSettings
    pooled: bool
    pool_min_size: int
    pool_max_size: int
    pool_timeout: float
    connect_timeout: float
    timeout: float


@dataclass(frozen=True, slots=True)
class Store:
    """A schema with openmem's tables.

    Attributes:
        vector_schema: the quoted name of pgvector's schema.
        lacks: what the role may not do with the tables, in the words of ``GRANT``.
        role: the quoted name of the role.
    """

    vector_schema: str
    lacks: frozenset[str]
    role: str


@dataclass(slots=True)
class ServerCache:
    """What is known of a database, so that it need not be asked again.

    Attributes:
        stores: by the name of a schema with openmem's tables, what was found there.
        is_read_only: whether the database refused to write when it was asked last.
        asks_again: when a database that refused to write is to be asked again, on the clock of the ports.
    """

    stores: dict[str, Store] = field(default_factory=dict)
    is_read_only: bool = False
    asks_again: float = 0.0
    _parts: dict[type, object] = field(default_factory=dict)

    def forget(self) -> None:
        """Ask again."""
        self.stores.clear()
        self._parts.clear()

    def of(self, kind: type[T]) -> T:
        """What a part of the logic has found out, as an object of a class of its own; made when first asked for."""
        part = self._parts.setdefault(kind, kind())
        assert isinstance(part, kind)
        return part


class PostgresIO(Protocol):
    """A pool of PostgreSQL connections.

    Every method raises `openmem.ProviderError` for what the server or the network did, never a
    driver's own exception.

    Attributes:
        cache: what its users found out about the database, for the next one. It is forgotten when
            the server misses a table, or may have become another one.
    """

    cache: ServerCache

    async def execute(self, statement: Statement[R]) -> R:
        """Run one statement as one transaction in one round trip, and decode its rows."""
        ...

    async def run_script(self, sql: str) -> None:
        """Run several statements without arguments as one transaction."""
        ...

    async def run_outside_transaction(self, sql: str) -> None:
        """Run one statement that PostgreSQL allows in no transaction. It must mean the same for every setting."""
        ...

    async def transact(self, work: Callable[[Transaction], Awaitable[R]], *, is_snapshot: bool = False) -> R:
        """Run `work` with one transaction, which is committed if it returns and rolled back if it raises.

        Args:
            is_snapshot: whether its statements see what is stored at one moment, and change nothing.
        """
        ...

    async def fill(self) -> None:
        """Open connections until ``pool_min_size`` are there."""
        ...

    def usage(self) -> tuple[int, int]:
        """How many connections are busy, and how many idle."""
        ...

    async def close(self) -> None:
        """Close every connection, within a bound also on a dead network. Idempotent."""
        ...
