"""The core that `Memory` and `AsyncMemory` share: provider, life cycle, request ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from . import _reranking
from ._ids import new_request_id
from .config import ClientConfig
from .errors import OMPError, copied
from .models import Capabilities, MemoryRecords
from .operations import Context, Operation, Progress, Search, add_many_of, read_records
from .ports import Ports
from .providers import create_provider
from .providers.base import Call, Provider
from .rerankers import reranker_for

R = TypeVar("R")


class Client:
    """One provider, opened once, and the way every operation takes to it."""

    def __init__(self, provider: str, config: ClientConfig, ports: Ports) -> None:
        self._reranker = None if config.reranker is None else reranker_for(config.reranker, ports)
        self._provider: Provider = create_provider(provider, config, ports)
        self._config = config
        self._ports = ports
        self._opening = ports.lock()
        self._is_open = False
        self._is_closed = False
        self._attempts = 0
        self._failure: OMPError | None = None
        self._capabilities: Capabilities | None = None

    @property
    def provider(self) -> Provider:
        """The backend behind this client."""
        return self._provider

    def bind(self) -> None:
        """Raise `RuntimeError` where the calls of before came from an event loop other than the running one."""
        self._ports.bind()

    async def open(self) -> None:
        """Connect, once; later calls return at once.

        A failed attempt fails all the calls that waited for it, so that none waits for a dead
        backend more than once; the next call makes a new one.
        """
        with self._identified(self._call()):
            await self._open()

    async def _open(self) -> None:
        if not self._is_open:
            attempts = self._attempts
            async with self._opening:
                if not self._is_open:
                    await self._attempt(attempts)

    async def _attempt(self, attempts: int) -> None:
        if self._attempts > attempts and self._failure is not None:
            raise copied(self._failure) from self._failure.__cause__
        try:
            await self._provider.open()
            self._provider = self._provider.settled
            if self._reranker is not None:
                await self._reranker.load()
            self._is_open = True
        except OMPError as error:
            self._attempts += 1
            self._failure = copied(error)
            # The backend may have told the id of the request that failed, which is no other call's.
            self._failure.request_id = None
            raise
        finally:
            if self._is_closed:
                await self._provider.close()

    def _call(self) -> Call:
        return Call(request_id=new_request_id(), app=self._config.app, grants=self._config.grants)

    @contextmanager
    def _identified(self, call: Call) -> Iterator[None]:
        """Within the block, errors get the call's request id and the provider's name, unless they have their own."""
        try:
            yield
        except OMPError as error:
            error.request_id = error.request_id or call.request_id
            error.provider = error.provider or self._provider.name
            raise

    async def run(self, op: Operation[R], call: Call | None = None) -> R:
        """Perform one operation: checked, authorised, and with a request id on its errors."""
        call = call or self._call()
        with self._identified(call):
            await self._check(op, call)
            if not self._is_open:
                await self._open()
                await self._check(op, call)
            return await self._perform(op, call)

    async def _perform(self, op: Operation[R], call: Call) -> R:
        if self._reranker is not None:
            operation: object = op
            if isinstance(operation, Search):
                return cast(R, await _reranking.search(self._provider, self._reranker, operation, call))
            if isinstance(operation, Context):
                return cast(R, await _reranking.context(self._provider, self._reranker, operation, call))
        return await op.apply(self._provider, call)

    async def add_many(self, records: Iterable[object], progress: Progress | None) -> MemoryRecords:
        """Check the records where that may take its time, and store them."""
        call = self._call()
        with self._identified(call):
            operation = await self._ports.to_thread(add_many_of, read_records(records), progress)
        return await self.run(operation, call)

    async def _check(self, op: Operation, call: Call) -> None:
        if op.validate_in_thread:
            await self._ports.to_thread(self._provider.check, op, call)
        else:
            self._provider.check(op, call)

    async def ping(self) -> None:
        """Connect if need be, and raise `OMPError` unless the backend answers."""
        with self._identified(self._call()):
            await self._open()
            await self._provider.ping()

    async def capabilities(self) -> Capabilities:
        """What the backend can do; the same object unless that has changed. Another server is asked once."""
        is_remote = self._provider.capabilities_are_remote
        if self._capabilities is not None and is_remote:
            return self._capabilities
        with self._identified(self._call()):
            if is_remote:
                await self._open()
            capabilities = await self._provider.capabilities()
        if self._capabilities is None or self._capabilities != capabilities:
            self._capabilities = capabilities
        return self._capabilities

    async def close(self) -> None:
        """Release everything, also after a failed `open`."""
        self._is_closed = True
        with self._identified(self._call()):
            try:
                await self._provider.close()
            finally:
                try:
                    if self._reranker is not None:
                        await self._reranker.close()
                finally:
                    await self._ports.close()
