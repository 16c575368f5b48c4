"""The core that `Memory` and `AsyncMemory` share: provider, life cycle, request ids."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import TypeVar, cast

from . import _reranking
from ._ids import new_request_id
from .config import ClientConfig
from .errors import OMPError
from .io import Ports
from .models import Capabilities, MemoryRecords
from .operations import AddMany, Context, Operation, Progress, Search, Verb, read_records
from .providers import create_provider
from .providers.base import Call, Provider

R = TypeVar("R")


class Client:
    """One provider, opened once, and the way every operation takes to it."""

    def __init__(self, provider: str, config: ClientConfig, ports: Ports) -> None:
        self._reranker = None if config.reranker is None else ports.reranker(config.reranker)
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

    async def open(self) -> None:
        """Connect, once; later calls return at once.

        A failed attempt fails all the calls that waited for it, so that none waits for a dead
        backend more than once; the next call makes a new one.
        """
        if not self._is_open:
            attempts = self._attempts
            async with self._opening:
                if not self._is_open:
                    await self._open(attempts)

    async def _open(self, attempts: int) -> None:
        if self._attempts > attempts and self._failure is not None:
            raise copy(self._failure) from self._failure.__cause__
        try:
            await self._provider.open()
            self._provider = self._provider.settled
            if self._reranker is not None:
                await self._reranker.load()
            self._is_open = True
        except OMPError as error:
            self._attempts += 1
            self._failure = error
            raise
        finally:
            if self._is_closed:
                await self._provider.close()

    async def run(self, verb: Verb[R], call: Call | None = None) -> R:
        """Perform one operation: checked, authorised, and with a request id on its errors."""
        call = call or Call(request_id=new_request_id(), app=self._config.app, grants=self._config.grants)
        try:
            await self._check(cast(Operation, verb), call)
            if not self._is_open:
                await self.open()
                await self._check(cast(Operation, verb), call)
            return await self._perform(verb, call)
        except OMPError as error:
            error.request_id = error.request_id or call.request_id
            error.provider = error.provider or self._provider.name
            raise

    async def _perform(self, verb: Verb[R], call: Call) -> R:
        if self._reranker is not None:
            operation = cast(Operation, verb)
            if isinstance(operation, Search):
                return cast(R, await _reranking.search(self._provider, self._reranker, operation, call))
            if isinstance(operation, Context):
                return cast(R, await _reranking.context(self._provider, self._reranker, operation, call))
        return await verb.on(self._provider, call)

    async def add_many(self, records: Iterable[object], progress: Progress | None) -> MemoryRecords:
        """Check the records where that may take its time, and store them."""
        read = read_records(records)
        return await self.run(await self._ports.call(AddMany.of, read, progress))

    async def _check(self, op: Operation, call: Call) -> None:
        if op.is_large:
            await self._ports.call(self._provider.check, op, call)
        else:
            self._provider.check(op, call)

    async def ping(self) -> None:
        """Connect if need be, and raise `OMPError` unless the backend answers."""
        await self.open()
        await self._provider.ping()

    async def capabilities(self) -> Capabilities:
        """What the backend can do, asked once."""
        if self._capabilities is None:
            if self._provider.capabilities_are_remote:
                await self.open()
            self._capabilities = await self._provider.capabilities()
        return self._capabilities

    async def close(self) -> None:
        """Release everything, also after a failed `open`."""
        self._is_closed = True
        try:
            await self._provider.close()
        finally:
            try:
                if self._reranker is not None:
                    await self._reranker.close()
            finally:
                await self._ports.close()
