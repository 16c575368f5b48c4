"""The core behind every edge: `Memory`, `AsyncMemory` and the HTTP server all run their verbs here.

An edge makes operations of what it is given, and a `Call` that says for whom, and shows what comes back::

    record = await memory.client.run(Get(id=id), Call(request_id, grants=grants))

The client of a `openmem.Memory` blocks and never suspends; its coroutines are run by `openmem.ports.run_blocking`.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from ._forking import PerProcess
from ._session import Run, Session
from .call import Call
from .config import ClientConfig
from .models import Capabilities, MemoryRecords, RestoredMemories
from .operations import List, Operation, Progress
from .ports import Ports
from .providers.base import Provider
from .providers.sample import Sample

__all__ = ["ITERATED_PAGE", "Client"]

ITERATED_PAGE = 200
"""Memories that `iterate` asks for at a time."""

R = TypeVar("R")


class Client:
    """One provider, and the way that every operation takes to it.

    Connects at the first operation, once. A process that was forked from one that used the client has its own
    connections. All methods but `pool_usage` raise `RuntimeError` after `close`, and on another event loop than
    the first one, where the ports belong to a loop.

    Args:
        provider: name of the provider.
        config: its settings.
        make_ports: makes the ports of one mode.
        owner: what the error for a closed client calls it.

    Raises:
        InvalidRequestError: a setting is missing or wrong.
        UnsupportedProviderError: there is no such provider.
        ImportError: an extra is not installed; the message has the command.
    """

    def __init__(self, provider: str, config: ClientConfig, make_ports: Callable[[], Ports], owner: str) -> None:
        self._sessions = PerProcess(lambda: Session(provider, config, make_ports()))
        self._sessions.get()
        self._owner = owner
        self._name = provider
        self._is_closed = False
        self._call: Call | None = None

    def __repr__(self) -> str:
        """The owner, the provider and whether it is closed; no settings, since they hold credentials."""
        return f"<{self._owner}, provider {self._name!r}{', closed' if self._is_closed else ''}>"

    @property
    def provider(self) -> Provider:
        """The backend of this process; one that is found out by asking a server is known once the client is open."""
        return self._sessions.get().provider

    @property
    def remembers_keys(self) -> bool:
        """Whether the backend honours `Call.idempotency_key`, so that nobody else need do so."""
        return self.provider.remembers_keys

    def on_behalf_of(self, call: Call) -> Client:
        """This client, but with `call` for what is performed without a call of its own."""
        client = copy.copy(self)
        client._call = call
        return client

    def pool_usage(self) -> tuple[int, int] | None:
        """Connections to the backend, as (busy, idle); None where there is no pool."""
        return self.provider.pool_usage()

    def run(
        self, op: Operation[R], call: Call | None = None, *, idempotency_key: str | None = None
    ) -> Coroutine[Any, Any, R]:
        """Perform one operation: checked, authorised, and with a request id on its errors.

        Args:
            op: what to do.
            call: on whose behalf; by default that of `on_behalf_of`, else of the client's own settings.
            idempotency_key: see `Call`; only without `call`.

        Raises:
            OMPError: the operation was refused or failed; it has the call's request id.
        """
        return self._usable().run(op, call or self._call, idempotency_key)

    def add_many(
        self, records: Iterable[object], progress: Progress | None, idempotency_key: str | None
    ) -> Coroutine[Any, Any, MemoryRecords]:
        """Make an `AddMany` of mappings where that may take its time, and perform it."""
        return self._usable().add_many(records, progress, idempotency_key)

    def restore(self, records: Iterable[object], progress: Progress | None) -> Coroutine[Any, Any, RestoredMemories]:
        """Make a `Restore` of records where that may take its time, and perform it."""
        return self._usable().restore(records, progress)

    def capabilities(self) -> Coroutine[Any, Any, Capabilities]:
        """What the backend can do; the same object unless that has changed. Another server is asked once."""
        return self._usable().capabilities()

    def sample(self, op: List, call: Call | None = None, *, size: int) -> Coroutine[Any, Any, Sample]:
        """Memories from all of a list, about `size` at most, and their vectors as far as the backend tells them.

        Where a backend cannot choose them, these are the first of the list.

        Args:
            op: the list; its order, limit and cursor do not matter.
            call: as in `run`.

        Raises:
            OMPError: as for the list itself.
        """
        return self._usable().sample(op, call, size)

    @property
    def has_snapshots(self) -> bool:
        """Whether `at_one_moment` sees what is stored at one moment; of a server, once the client is open."""
        return self.provider.has_snapshots

    @property
    def vector_model(self) -> str | None:
        """The model of the vectors that a backend keeps, and hands out to `at_one_moment`; None if it does not."""
        return self.provider.vector_model

    @property
    def infers(self) -> bool:
        """Whether a language model of the backend makes memories of what is added, which is not stored as it is."""
        return self.provider.infers

    def at_one_moment(self, work: Callable[[Run], Awaitable[R]]) -> Coroutine[Any, Any, R]:
        """What `work` returns, called with what performs `List`, `Users` and `Audit`.

        Where `has_snapshots`, these see what is stored at one moment, and leave no audit entries. A connection is held
        until `work` returns.

        Raises:
            OMPError: an operation was refused or failed.
        """
        return self._usable().at_one_moment(work, self._call)

    def ping(self) -> Coroutine[Any, Any, None]:
        """Connect if need be, and raise `OMPError` unless the backend answers."""
        return self._usable().ping()

    def details(self) -> Coroutine[Any, Any, Mapping[str, str | int]]:
        """What those who run a backend ask of it first, as far as the backend says it.

        By name: ``server`` and ``pgvector``, with their versions; the ``directory`` of the data; the model of the
        ``embedder``; and how many memories there are ``to_reembed`` and ``to_reindex``.
        """
        return self._usable().details()

    def open(self) -> Coroutine[Any, Any, None]:
        """Connect, once; later calls return at once.

        A failed attempt fails all the calls that waited for it, so that none waits for a dead
        backend more than once; the next call makes a new one.
        """
        return self._usable().open()

    async def close(self) -> None:
        """Release everything, also after a failed `open`. Idempotent."""
        session = self._sessions.peek()
        if self._is_closed or session is None:
            self._is_closed = True
            return
        session.bind()
        self._is_closed = True
        await session.close()

    def _usable(self) -> Session:
        if self._is_closed:
            raise RuntimeError(f"{self._owner} is closed")
        session = self._sessions.get()
        session.bind()
        return session
