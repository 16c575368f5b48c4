"""Backends that take memories: as they were where the backend can, else as new ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from ..client import Client
from ..errors import (
    OMPError,
    ProviderError,
    RateLimitedError,
    ScopeDeniedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
)
from ..models import Capabilities, MemoryRecord, RestoredMemories
from ..operations import Add, Restore, RestoredMemory, Users
from ..operations.vectors import StoredVector
from .exporting import memory_pages
from .known import Knowledge, Known
from .preparing import EXTENSION, Addition, Prepared, as_added, as_restored, comparable, differing, wire_of
from .records import Loss, Problem
from .reports import ImportReport

R = TypeVar("R")

DELAYS_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Between the tries of a call to a backend that is not available or asks to slow down."""
LONGEST_DELAY_SECONDS: Final = 120.0
FAILURES_IN_A_ROW: Final = 10
"""After so many records that the backend refuses one after the other, a transfer stops."""


class StoppedError(Exception):
    """The target takes no more.

    Attributes:
        cause: why.
    """

    def __init__(self, cause: OMPError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class Target:
    """What all targets have in common.

    Attributes:
        client: the backend.
        capabilities: what it can do.
        known: what it has already.
    """

    ignored: tuple[str, ...] = ()
    """Fields that are not compared."""

    def __init__(self, client: Client, capabilities: Capabilities, known: Knowledge) -> None:
        self.client = client
        self.capabilities = capabilities
        self.known = known
        self._failures = 0

    def key_of(self, record: MemoryRecord) -> str | None:
        """The key by which a memory of the backend is known; None if it was not imported."""
        raise NotImplementedError

    def key(self, prepared: Prepared) -> str:
        """The key by which a record is known."""
        raise NotImplementedError

    def wanted(self, prepared: Prepared, now: datetime) -> Any | Problem:
        """What the backend is asked for; or why it cannot be asked."""
        raise NotImplementedError

    def operation(self, wanted: Any) -> Add:
        """The operation of what `wanted` returned."""
        raise NotImplementedError

    async def store(self, records: Sequence[tuple[Prepared, Any]], report: ImportReport) -> None:
        """Store records that the backend does not have."""
        raise NotImplementedError

    def pretend(self, records: Sequence[tuple[Prepared, Any]], report: ImportReport, now: datetime) -> None:
        """Count records as if they were stored now."""
        for prepared, wanted in records:
            memory = wire_of(self.operation(wanted))
            self.known.note(prepared.user_id, [(self.key(prepared), prepared.id, memory)], is_new=True)
            self._stored(prepared, prepared.id, report)

    async def load(self, user_id: str, *, again: bool = False) -> None:
        """Find out what the backend has of a user, once.

        Raises:
            StoppedError: the backend is not available.
        """
        if again or not self.known.has_user(user_id):
            await self._persistently(lambda: self._load(user_id))

    async def _load(self, user_id: str) -> None:
        ports = self.client.provider.ports
        async with aclosing(memory_pages(self.client.run, user_id)) as pages:
            async for page in pages:
                await ports.to_thread(self._note, user_id, page.items, is_new=False)
        self.known.add_user(user_id)

    def difference(self, prepared: Prepared, operation: Add, found: Known) -> tuple[str, ...]:
        """The names of the fields of a memory that the backend has and whose values are others."""
        ignored = self.ignored if prepared.has_time else (*self.ignored, "created_at")
        return differing(wire_of(operation), found.memory, ignored)

    def embedded_anew(self, prepared: Prepared) -> Loss:
        """That a memory has another vector than its record."""
        return Loss("vector", f"{self.capabilities.provider} embeds the memory anew", prepared.source.place)

    def found(self, prepared: Prepared, operation: Add, found: Known, report: ImportReport) -> None:
        """Count a record whose memory the backend had."""
        names = self.difference(prepared, operation, found)
        if names:
            report.note_changed(prepared.source.place, names)
        else:
            report.equal += 1

    def _note(self, user_id: str, records: Sequence[MemoryRecord], *, is_new: bool) -> None:
        keyed = [(self.key_of(record), record) for record in records]
        rows = [(key, record.id, self._comparable(record)) for key, record in keyed if key is not None]
        self.known.note(user_id, rows, is_new=is_new)

    def _comparable(self, record: MemoryRecord) -> dict[str, Any]:
        return comparable(record)

    async def _persistently(self, call: Callable[[], Awaitable[R]]) -> R:
        """The result of a call, which is tried again while the backend is not available.

        Raises:
            StoppedError: it stays so, or the credentials are refused.
        """
        delays = iter(DELAYS_SECONDS)
        while True:
            try:
                return await call()
            except UnauthorizedError as error:
                raise StoppedError(error) from error
            except (RateLimitedError, ProviderError) as error:
                asked = error.retry_after if isinstance(error, RateLimitedError) else None
                if isinstance(error, ProviderError) and error.code != "provider_unavailable":
                    raise
                delay = next(delays, None)
                if delay is None or (asked or 0.0) > LONGEST_DELAY_SECONDS:
                    raise StoppedError(error) from error
            await self.client.provider.ports.sleep(max(delay, asked or 0.0))

    def _refused(self, prepared: Prepared, error: OMPError, report: ImportReport) -> None:
        """Note a record that the backend refused.

        Raises:
            StoppedError: it has refused many, one after the other.
        """
        reason = error.message.removeprefix("records[0].").removeprefix("records[0]: ")
        report.note_failed(Problem(reason, prepared.source.place, source_id=prepared.source.source_id))
        self._failures += isinstance(error, ProviderError)
        if self._failures >= FAILURES_IN_A_ROW:
            raise StoppedError(error) from error

    def _stored(self, prepared: Prepared, id: str, report: ImportReport) -> None:
        """Count a record that is stored with an id."""
        self._failures = 0
        report.written += 1
        report.renamed += id != prepared.source.source_id


class RestoringTarget(Target):
    """A backend that stores memories as they were, many at a time."""

    def key_of(self, record: MemoryRecord) -> str | None:
        return record.id

    def key(self, prepared: Prepared) -> str:
        return prepared.id

    def wanted(self, prepared: Prepared, now: datetime) -> RestoredMemory | Problem:
        return as_restored(prepared, now)

    def operation(self, wanted: Any) -> Add:
        assert isinstance(wanted, Add)
        return wanted

    async def store(self, records: Sequence[tuple[Prepared, Any]], report: ImportReport) -> None:
        if not records:
            return
        vectors = await self.client.provider.ports.run_cpu(self._vectors, records)
        operation = Restore(records=tuple(wanted for _, wanted in records), vectors=vectors)
        tries = 0

        async def restore() -> RestoredMemories:
            nonlocal tries
            tries += 1
            return await self.client.run(operation)

        try:
            stored = await self._persistently(restore)
        except (ScopeDeniedError, UnsupportedCapabilityError) as error:
            raise StoppedError(error) from error
        except OMPError as error:
            if len(records) == 1:
                self._refused(records[0][0], error, report)
                return
            middle = len(records) // 2
            await self.store(records[:middle], report)
            await self.store(records[middle:], report)
            return
        await self.client.provider.ports.to_thread(self._note_stored, stored)
        for (prepared, wanted), record in zip(records, stored, strict=True):
            found = Known(record.id, self._comparable(record), is_new=False)
            is_there = stored.existing is None or prepared.id in stored.existing
            # A backend may not tell what was there, and a try whose answer was lost may have stored what was.
            is_unsure = stored.existing is None or tries > 1
            if is_there and not (is_unsure and not self.difference(prepared, wanted, found)):
                # Somebody else has stored it since the target was asked what it has.
                self.found(prepared, wanted, found, report)
            else:
                self._stored(prepared, prepared.id, report)
                is_kept = prepared.id in stored.unembedded or (is_there and tries > 1)
                if prepared.source.vector is not None and record.indexed and not is_kept:
                    report.note_loss(self.embedded_anew(prepared))

    def pretend(self, records: Sequence[tuple[Prepared, Any]], report: ImportReport, now: datetime) -> None:
        super().pretend(records, report, now)
        vectors = self._vectors(records)
        for prepared, wanted in records:
            if prepared.source.vector is not None and prepared.id not in vectors and wanted.indexed:
                report.note_loss(self.embedded_anew(prepared))

    def _vectors(self, records: Sequence[tuple[Prepared, Any]]) -> dict[str, StoredVector]:
        """The vectors of records that the backend may use, by the ids of the memories."""
        model = self.client.vector_model
        vectors = {}
        for prepared, _ in records:
            packed = prepared.source.vector
            if model is not None and packed is not None and packed.model == model:
                with suppress(ValueError):
                    vectors[prepared.id] = StoredVector(model, packed.values())
        return vectors

    def _note_stored(self, records: Sequence[MemoryRecord]) -> None:
        by_user: dict[str, list[MemoryRecord]] = {}
        for record in records:
            by_user.setdefault(record.user_id, []).append(record)
        for user_id, own in by_user.items():
            self._note(user_id, own, is_new=True)


class AddingTarget(Target):
    """A backend that stores memories as new ones, one at a time."""

    ignored = ("id", "created_at", "updated_at", "version")

    def key_of(self, record: MemoryRecord) -> str | None:
        origin = record.extensions.get(EXTENSION)
        key = origin.get("key") if isinstance(origin, Mapping) else None
        return key if isinstance(key, str) else None

    def key(self, prepared: Prepared) -> str:
        return prepared.key

    def wanted(self, prepared: Prepared, now: datetime) -> Addition | Problem:
        ids = {}
        for name, key in prepared.superseded.items():
            found = self.known.find(prepared.user_id, key)
            if found is not None:
                ids[name] = found.id
        return as_added(prepared, self.capabilities.features, self.capabilities.provider, ids)

    def operation(self, wanted: Any) -> Add:
        assert isinstance(wanted, Addition)
        return wanted.operation

    async def store(self, records: Sequence[tuple[Prepared, Any]], report: ImportReport) -> None:
        for prepared, planned in records:
            # What it supersedes may have been stored since it was planned.
            addition = self.wanted(prepared, datetime.min) if prepared.superseded else planned
            assert isinstance(addition, Addition)
            try:
                record = await self._persistently(partial(self._add, prepared, addition))
            except OMPError as error:
                self._refused(prepared, error, report)
                continue
            self._note(prepared.user_id, [record], is_new=True)
            self._stored(prepared, record.id, report)
            report.queued += record.status == "queued"
            for loss in self.losses(prepared, addition, record):
                report.note_loss(loss)

    def pretend(self, records: Sequence[tuple[Prepared, Any]], report: ImportReport, now: datetime) -> None:
        features = self.capabilities.features
        for prepared, _ in records:
            addition = self.wanted(prepared, now)
            assert isinstance(addition, Addition)
            set_there = {"id": prepared.key, "created_at": now, "version": 1 if features.versions else None}
            record = MemoryRecord.model_validate(addition.operation.record_fields | set_there)
            self._note(prepared.user_id, [record], is_new=True)
            self._stored(prepared, record.id, report)
            for loss in self.losses(prepared, addition, record):
                report.note_loss(loss)

    async def _add(self, prepared: Prepared, addition: Addition) -> MemoryRecord:
        """The new memory. A try whose answer was lost may have stored it."""
        try:
            return await self.client.run(addition.operation)
        except ProviderError as error:
            if error.code != "provider_unavailable":
                raise
            await self.load(prepared.user_id, again=True)
            found = self.known.find(prepared.user_id, prepared.key)
            if found is None:
                raise
            return MemoryRecord.model_validate(found.memory)

    def losses(self, prepared: Prepared, addition: Addition, record: MemoryRecord) -> Sequence[Loss]:
        """What the new memory does not have of the record."""
        provider, place = self.capabilities.provider, prepared.source.place
        whole = as_restored(prepared, record.created_at)
        if isinstance(whole, Problem):
            return ()
        wanted, found = wire_of(whole), self._comparable(record)
        ignored = ["id", EXTENSION]
        if not prepared.has_time:
            ignored.append("created_at")
        if "supersedes" not in addition.left_out:
            ignored.append("supersedes")
        return [
            *([self.embedded_anew(prepared)] if prepared.source.vector is not None else []),
            *(
                Loss(name, addition.left_out.get(name, f"{provider} has another value"), place)
                for name in differing(wanted, found, ignored)
            ),
            *(Loss("valid_to", f"{provider} ends what is superseded", place) for _ in self._ended(prepared, addition)),
        ]

    def _ended(self, prepared: Prepared, addition: Addition) -> Iterator[str]:
        """The ids of the memories that the new one ends, though they have no end in the source, or a later one."""
        if not addition.operation.supersedes:
            return
        begin = addition.operation.valid_from
        for key in prepared.superseded.values():
            found = self.known.find(prepared.user_id, key)
            if found is not None:
                end = found.memory.get("valid_to")
                if end is None or (begin is not None and datetime.fromisoformat(end) > begin):
                    yield found.id

    def _comparable(self, record: MemoryRecord) -> dict[str, Any]:
        own = f"x-{self.capabilities.provider}"
        return {name: value for name, value in comparable(record).items() if name != own}


async def target_of(client: Client, known: Knowledge) -> Target:
    """How memories are taken to a backend."""
    capabilities = await client.capabilities()
    kind = RestoringTarget if await _may_restore(client, capabilities) else AddingTarget
    return kind(client, capabilities, known)


async def takes_vectors(target: Client, source: Client) -> bool:
    """Whether a backend stores the vectors of another one as they are, since it has the same embedder."""
    is_same = target.vector_model is not None and target.vector_model == source.vector_model
    return is_same and await _may_restore(target, await target.capabilities())


async def _may_restore(client: Client, capabilities: Capabilities) -> bool:
    """Whether the backend stores memories as they were, and the client may have it do so."""
    if Restore.verb not in capabilities.verbs:
        return False
    if Users.verb not in capabilities.verbs:
        return True
    try:
        # Those who may list users are those who may restore; only the server knows what its keys grant.
        await client.run(Users(limit=1))
    except ScopeDeniedError:
        return False
    return True
