"""What providers may ask of the outside world, and how one text serves two colours.

A provider is written once, as plain ``async def``, and never touches a socket, a thread or a clock
itself. It asks the *ports* below, which exist in two colours:

* For `openmem.AsyncMemory` the ports are ordinary coroutines: they suspend on asyncpg, on
  ``httpx.AsyncClient``, on a thread pool, on ``asyncio.sleep``, and the event loop runs on.
* For `openmem.Memory` they are ``async def`` methods that *block and never suspend*: psycopg, a
  direct call, ``time.sleep``. A coroutine that only awaits such methods runs from start to end in a
  single ``send(None)``, so `run_blocking` can call it like a function, in any thread, also in one
  that has a running event loop (a notebook). No loop is started and none is needed.

So there is one provider, one text of each statement, one place for each rule, and ``await`` keeps
its meaning for the type checker. The price is a discipline: a blocking port must never suspend.
`run_blocking` raises if one does, and the blocking methods are not part of the public interface,
so that nobody awaits them on a loop by mistake. gel-python shares its client code the same way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

from .errors import ProviderError

R = TypeVar("R")
P = ParamSpec("P")

Row: TypeAlias = Sequence[Any]
Vectors: TypeAlias = Sequence[Sequence[float]]


def run_blocking(coroutine: Coroutine[Any, Any, R]) -> R:
    """The result of a coroutine whose ports block.

    Raises:
        RuntimeError: the coroutine suspended, which no blocking port may do.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: R = finished.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} suspended on a blocking port")


class HalfVector(bytes):
    """A value of pgvector's ``halfvec``, in the binary format of its type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Statement(Generic[R]):
    """One SQL statement in ``$1`` style, its arguments, and what its rows mean."""

    sql: str
    args: tuple[object, ...]
    decode: Callable[[Sequence[Row]], R]


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
        probe: asks for the values of the settings by which somebody else's session differs from what statements rely
            on. Behind a pooler nothing may be set for a session. Empty where all is set by `on_connect`.
        is_reliable: whether a row that `probe` gave is as statements need it.
        begin_pinned: begins a transaction that sets all this for itself, for sessions that are not reliable.
    """

    on_connect: str
    begin: str
    probe: str
    is_reliable: Callable[[Row], bool]
    begin_pinned: str


@dataclass(frozen=True, slots=True, repr=False)
class PostgresSettings:
    """How to reach a PostgreSQL server.

    Attributes:
        parameters: the server, the user and all that belongs to connecting.
        session: what a new connection is told.
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
class Learned:
    """What is known of a database, so that it need not be asked again.

    Attributes:
        stores: by the name of a schema with openmem's tables, what was found there.
        outgrown: users, each with such a schema, who have too many memories for the way small ones are searched.
        is_read_only: whether the database refused to write when it was asked last.
        asks_again: when a database that refused to write is to be asked again, on the clock of the ports.
    """

    stores: dict[str, Store] = field(default_factory=dict)
    outgrown: set[tuple[str, str]] = field(default_factory=set)
    is_read_only: bool = False
    asks_again: float = 0.0

    def forget(self) -> None:
        """Ask again."""
        self.stores.clear()
        self.outgrown.clear()


class PostgresIO(Protocol):
    """A pool of PostgreSQL connections.

    Every method raises `openmem.ProviderError` for what the server or the network did, never a
    driver's own exception.

    Attributes:
        learned: what its users found out about the database, for the next one. It is forgotten when
            the server misses a table, or may have become another one.
    """

    learned: Learned

    async def execute(self, statement: Statement[R]) -> R:
        """Run one statement as one transaction in one round trip, and decode its rows."""
        ...

    async def run_script(self, sql: str) -> None:
        """Run several statements without arguments as one transaction."""
        ...

    async def transact(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        """Run `work` with one transaction, which is committed if it returns and rolled back if it raises."""
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


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a value.

    Attributes:
        path: below the server's base URL, and quoted.
        body: what is sent as JSON; None for no body.
        timeout: seconds for all of it, up to the end of the reply; None for those of the settings.
        max_reply_bytes: most bytes of the reply's body, as sent and uncompressed.
        may_repeat: whether it may be sent again although the server may have performed it.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    timeout: float | None = None
    max_reply_bytes: int = 16 * 1024 * 1024
    may_repeat: bool = True


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response as a value; header names are in lower case.

    Attributes:
        is_repeated: whether the request was sent before, and the server may have performed it then.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    is_repeated: bool = False


class ConnectionFailedError(ProviderError):
    """The connection could not be made, or broke before a reply; another try may succeed.

    Attributes:
        nothing_done: whether it is certain that nothing was done of what was asked, so that it can be asked again.
    """

    default_code = "provider_unavailable"
    nothing_done = False


class DeadlockError(ProviderError):
    """Two transactions waited for each other, and the server gave this one up. Another try may succeed."""

    default_code = "provider_unavailable"


class ReadOnlyDatabaseError(ProviderError):
    """The database takes no changes, for the time being or for good. Nothing was changed."""

    default_code = "provider_unavailable"


@dataclass(frozen=True, slots=True, repr=False)
class HttpSettings:
    """How to reach an HTTP server.

    Attributes:
        base_url: prefix of all paths, without a trailing slash; it holds no credential.
        headers: sent with every request; they may hold a credential and are never shown.
        timeout: seconds a request may take in all: the wait for a connection, and the whole reply.
        connect_timeout: seconds to wait for a new connection.
        max_connections: connections open at most.
    """

    base_url: str
    headers: Mapping[str, str]
    timeout: float
    connect_timeout: float
    max_connections: int


class HttpIO(Protocol):
    """A pool of connections to one HTTP server. Redirects are not followed, cookies not kept."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one request and read the whole reply, whatever its status.

        Raises:
            ConnectionFailedError: no connection, or it broke before the reply was complete.
            ProviderError: the reply was not complete in time (``provider_unavailable``), or it is no
                HTTP, damaged or too long.
        """
        ...

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Work(Generic[R]):
    """A blocking function with what a log may tell of it.

    Attributes:
        function: what to call.
        what: what the call is for, as in ``"add on mem0"``.
        changes: whether it can change what is stored.
    """

    function: Callable[..., R]
    what: str
    changes: bool

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        return self.function(*args, **kwargs)


class EmbedderIO(Protocol):
    """An embedder that does not block its caller's loop."""

    model: str
    dim: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of ``dim`` numbers per text, checked."""
        ...

    async def load(self) -> None:
        """Load the model now if waiting for the first text would hold up others."""
        ...

    async def close(self) -> None:
        """Release what the embedder holds, unless it is the user's own object. Idempotent."""
        ...


class RerankerIO(Protocol):
    """A reranker that does not block its caller's loop."""

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score from 0 to 1 per text, checked."""
        ...

    async def load(self) -> None:
        """Load the model now if waiting for the first query would hold up others."""
        ...

    async def close(self) -> None:
        """Release what the reranker holds, unless it is the user's own object. Idempotent."""
        ...


class Ports(Protocol):
    """The outside world in one colour."""

    async def postgres(self, settings: PostgresSettings) -> PostgresIO:
        """A pool for this server. Makes no connection yet."""
        ...

    async def connection_parameters(self, url: str, setting: str, *, ignores_environment: bool) -> ConnectionParameters:
        """What libpq makes of a URL here. Makes no connection.

        Args:
            setting: the argument that holds the URL, for messages.
            ignores_environment: whether variables, service files and files in the user's home do not count.

        Raises:
            InvalidRequestError: a parameter is out of its range, or cannot be honoured in this mode.
        """
        ...

    async def http(self, settings: HttpSettings) -> HttpIO:
        """A client for this server. Makes no connection yet."""
        ...

    def embedder(self, spec: Any) -> EmbedderIO:
        """The embedder of a client's settings, made safe to call from a provider."""
        ...

    def reranker(self, spec: Any) -> RerankerIO:
        """The reranker of a client's settings, made safe to call."""
        ...

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a blocking function, called where it may block, in the caller's context.

        A cancelled caller is free at once, while the function goes on to its end, which is logged.
        """
        ...

    async def compute(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `call`, for a function that keeps the processor busy for a moment: clients share the threads for it."""
        ...

    async def release(self, function: Callable[[], object]) -> None:
        """Call a function that gives up what running calls use, after the last of them; without waiting."""
        ...

    async def load(self, module: str) -> ModuleType:
        """Import a module where importing may block."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that nobody sets; only differences mean something."""
        ...

    async def within(self, seconds: float, function: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """The result of a coroutine function, if it comes in time. One that is late ends unheard.

        Raises:
            TimeoutError: it took longer.
        """
        ...

    def bind(self) -> None:
        """Belong to the running event loop, if calls need one.

        Raises:
            RuntimeError: they belong to another one already.
        """
        ...

    def lock(self) -> AbstractAsyncContextManager[object, bool | None]:
        """A new mutual exclusion lock."""
        ...

    async def close(self) -> None:
        """Release threads. Idempotent."""
        ...
