"""What one process holds of a client: its provider and ports, opened once, and the request ids of its calls."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ._ids import new_request_id
from ._text import MAX_NAME_CHARACTERS
from .call import Call
from .config import ClientConfig
from .errors import InvalidRequestError, OMPError, UnsupportedCapabilityError, copied
from .models import Capabilities, MemoryRecords, RestoredMemories
from .operations import List, Operation, Progress, add_many_of, read_records, restore_of
from .ports import Ports
from .ports.models import RerankerIO
from .providers import create_provider
from .providers.base import Provider
from .providers.sample import Sample
from .settings import Text

if TYPE_CHECKING:
    from ._reranked import Reranked

R = TypeVar("R")

logger = logging.getLogger("openmem")


class Run(Protocol):
    """Performs operations."""

    async def __call__(self, op: Operation[R], /) -> R: ...


class Session:
    """The provider of one process."""

    def __init__(self, provider: str, config: ClientConfig, ports: Ports) -> None:
        self._reranker: RerankerIO | None = None
        if config.reranker is not None:
            from .rerankers import reranker_for  # noqa: PLC0415 - few clients have one

            self._reranker = reranker_for(config.reranker, ports)
        self._config = config
        self._ports = ports
        self._opening = ports.lock()
        self._is_open = False
        self._is_closed = False
        self._attempts = 0
        self._failure: OMPError | None = None
        self._capabilities: Capabilities | None = None
        self._use(create_provider(provider, config, ports))

    def _use(self, provider: Provider) -> None:
        self.provider = provider
        self._verbs: Provider | Reranked = provider
        if self._reranker is not None:
            from ._reranked import Reranked  # noqa: PLC0415

            self._verbs = Reranked(provider, self._reranker)

    def bind(self) -> None:
        """Raise `RuntimeError` where earlier calls came from another event loop than the running one."""
        self._ports.bind()

    async def open(self) -> None:
        """Connect, once."""
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
            self._use(await self.provider.resolve())
            await self.provider.open()
            if self._reranker is not None:
                await self._reranker.load()
            self._is_open = True
        except OMPError as error:
            self._attempts += 1
            self._failure = copied(error)
            # The backend may have sent the id of the request that failed. It belongs to no other call.
            self._failure.request_id = None
            raise
        finally:
            if self._is_closed:
                await self.provider.close()

    def _call(self, idempotency_key: str | None = None) -> Call:
        request_id = new_request_id()
        if idempotency_key is not None:
            try:
                idempotency_key = Text(MAX_NAME_CHARACTERS).check(idempotency_key)
            except ValueError as error:
                raise InvalidRequestError(f"idempotency_key: {error}", request_id=request_id) from None
        return Call(request_id, self._config.app, self._config.grants, idempotency_key=idempotency_key)

    def _identify(self, error: OMPError, call: Call) -> None:
        """Give an error the call's request id and the provider's name, unless it has its own."""
        error.request_id = error.request_id or call.request_id
        error.provider = error.provider or self.provider.name

    @contextmanager
    def _identified(self, call: Call) -> Iterator[None]:
        """Within the block, errors are of this call."""
        try:
            yield
        except OMPError as error:
            self._identify(error, call)
            raise

    async def run(self, op: Operation[R], call: Call | None = None, idempotency_key: str | None = None) -> R:
        """Perform one operation. It is checked before anything is sent, and again by what opening found out."""
        call = call or self._call(idempotency_key)
        started, outcome = self._ports.monotonic(), "failed"
        try:
            self._check_key(call)
            if op.validate_in_thread:
                await self._ports.to_thread(self.provider.check, op, call)
            else:
                self.provider.check(op, call)
            if not self._is_open:
                await self._open()
                self.provider.check(op, call)
                self._check_key(call)
            result = await op.apply(self._verbs, _of_one_user(op, call))
            outcome = "ok"
            return result
        except OMPError as error:
            self._identify(error, call)
            outcome = error.code
            raise
        finally:
            milliseconds = (self._ports.monotonic() - started) * 1000
            logger.debug("verb=%s ms=%.1f outcome=%s request_id=%s", op.verb, milliseconds, outcome, call.request_id)

    def _check_key(self, call: Call) -> None:
        """Refuse an idempotency key that the backend would forget."""
        if call.idempotency_key is not None and not self.provider.remembers_keys:
            raise UnsupportedCapabilityError(
                f"idempotency_key: provider {self.provider.name!r} does not remember keys; leave it out"
            )

    async def add_many(
        self, records: Iterable[object], progress: Progress | None, idempotency_key: str | None
    ) -> MemoryRecords:
        """Make an operation of the records in a thread, and perform it."""
        call = self._call(idempotency_key)
        with self._identified(call):
            operation = await self._ports.to_thread(add_many_of, read_records(records), progress)
        return await self.run(operation, call)

    async def restore(self, records: Iterable[object], progress: Progress | None) -> RestoredMemories:
        """Make an operation of the records in a thread, and perform it."""
        call = self._call()
        with self._identified(call):
            operation = await self._ports.to_thread(restore_of, read_records(records), progress)
        return await self.run(operation, call)

    async def at_one_moment(self, work: Callable[[Run], Awaitable[R]], call: Call | None = None) -> R:
        """What `work` returns, with what runs operations on what is stored at one moment, where the backend can."""
        call = call or self._call()

        async def within(verbs: object) -> R:
            async def run(op: Operation[Any]) -> Any:
                self.provider.check(op, call)
                return await op.apply(verbs, _of_one_user(op, call))

            return await work(run)

        with self._identified(call):
            await self._open()
            return await self.provider.at_one_moment(within)

    async def sample(self, op: List, call: Call | None, size: int) -> Sample:
        """Memories from all of a list."""
        call = call or self._call()
        with self._identified(call):
            self.provider.check(op, call)
            if not self._is_open:
                await self._open()
                self.provider.check(op, call)
            return await self.provider.sample(op, _of_one_user(op, call), size)

    async def ping(self) -> None:
        """Connect if need be, and ask the backend."""
        with self._identified(self._call()):
            await self._open()
            await self.provider.ping()

    async def details(self) -> Mapping[str, str | int]:
        """What the provider says of itself."""
        with self._identified(self._call()):
            await self._open()
            return await self.provider.details()

    async def capabilities(self) -> Capabilities:
        """What the backend can do; the same object unless that has changed."""
        is_remote = self.provider.capabilities_are_remote
        if self._capabilities is not None and is_remote:
            return self._capabilities
        with self._identified(self._call()):
            if is_remote:
                await self._open()
            capabilities = await self.provider.capabilities()
        if self._capabilities is None or self._capabilities != capabilities:
            self._capabilities = capabilities
        return self._capabilities

    async def close(self) -> None:
        """Release everything, also after a failed `open`."""
        self._is_closed = True
        with self._identified(self._call()):
            try:
                await self.provider.close()
            finally:
                try:
                    if self._reranker is not None:
                        await self._reranker.close()
                finally:
                    await self._ports.close()


def _of_one_user(op: Operation, call: Call) -> Call:
    """The call, for which memories of other users do not exist if an operation on an id names a user."""
    fields = vars(op)
    if "id" not in fields or fields.get("user_id") is None:
        return call
    return replace(call, users=frozenset({fields["user_id"]}))
