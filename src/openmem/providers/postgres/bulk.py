"""What `add_many` and `restore` do: batch by batch in one transaction, all of it or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from ...errors import ConflictError
from ...models import MemoryRecords, RestoredMemories
from ...operations import Add, AddMany, InRecord, Progress, Restore
from ...ports import Ports
from ...ports.errors import DuplicateKeyError
from ...ports.models import EmbedderIO
from ...ports.postgres import Transaction
from ..analyzing import Analysis
from ..base import Call
from ..conflicts import check_given_ids, key_in_use
from ..idempotency import memory_deleted_since
from ..supersession import without_names
from .batches import BATCH_MEMORIES, Batch, New, new_memories, restored_memories, slices
from .database import Database
from .given_vectors import Usable, candidates, usable

R = TypeVar("R")

TRIES: Final = 20
"""How often it is tried to store memories whose keys or ids others store at the same moment: each try may wait for one
of them."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """What it takes to store many memories.

    Attributes:
        is_audited: whether an audit entry is written for each.
    """

    db: Database
    embedder: EmbedderIO
    analysis: Analysis
    ports: Ports
    is_audited: bool

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        """Store new memories, unless the call's idempotency key stands for those of an equal call before."""
        if not op.records:
            return []
        records = await self._transact(lambda transaction: self._add_all(op, call, transaction))
        _tell(op.progress, len(records), len(op.records))
        return records

    async def restore(self, op: Restore, call: Call) -> RestoredMemories:
        """Store memories as they were. Those that are there stay as they are."""
        check_given_ids(op)
        if not op.records:
            return RestoredMemories()
        records = await self._transact(lambda transaction: self._restore_all(op, call, transaction))
        _tell(op.progress, len(records), len(op.records))
        return records

    async def _transact(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        """What `work` returns in a transaction. Where another one was first, the next try sees what that stored."""
        tries = TRIES
        while True:
            try:
                return await self.db.change(lambda io: io.transact(work))
            except DuplicateKeyError:
                tries -= 1
                if not tries:
                    raise

    async def _add_all(self, op: AddMany, call: Call, transaction: Transaction) -> MemoryRecords:
        created_at = await transaction.execute(self.db.sql.batches.transaction_time())
        last = await self._last_ordinals(op.records, transaction)
        memories = await self.ports.run_cpu(new_memories, op.records, last, created_at)
        if call.idempotency_key is not None:
            ids = [new.id for new in memories]
            statement = await self.ports.run_cpu(self.db.sql.batches.add_many_once, op, ids, call)
            known = await transaction.execute(statement)
            if known != ids:
                return await self._added_before(op, call, known, transaction)
        await self._check_keys(memories, range(len(memories)), transaction)
        added = await self._store(Add.verb, memories, call, op.progress, transaction)
        return await self._close_superseded(op, call, added, transaction)

    async def _close_superseded(
        self, op: AddMany, call: Call, added: MemoryRecords, transaction: Transaction
    ) -> MemoryRecords:
        if not any(add.supersedes for add in op.records):
            return added
        is_readable = await transaction.execute(self.db.sql.batches.close_superseded(op, call))
        return [without_names(record, is_readable) for record in added]

    async def _added_before(
        self, op: AddMany, call: Call, ids: Sequence[str], transaction: Transaction
    ) -> MemoryRecords:
        """The memories of an equal call before, as they are now."""
        found = await transaction.execute(self.db.sql.batches.find(ids))
        for id in ids:
            if id not in found:
                raise memory_deleted_since(id)
        records, granted = [found[id] for id in ids], call.grants.read
        if granted is None:
            return records
        named = {id for record in records for id in record.supersedes or ()}
        superseded = await transaction.execute(self.db.sql.batches.find(sorted(named)))
        is_readable = {id: granted.matches(record.scope) for id, record in superseded.items()}
        return [without_names(record, is_readable) for record in records]

    async def _restore_all(self, op: Restore, call: Call, transaction: Transaction) -> RestoredMemories:
        batches = self.db.sql.batches
        given = {record.id: record for record in op.records}
        await transaction.execute(batches.remove_expired(list(given)))
        found = await transaction.execute(batches.find(list(given)))
        numbers: dict[str, int] = {}
        for number, record in enumerate(op.records):
            if record.id not in found:
                numbers.setdefault(record.id, number)
            elif found[record.id].user_id != record.user_id:
                with InRecord(number):
                    raise ConflictError(f"id: another user has memory {record.id!r}; nothing was stored")
        records = [given[id] for id in numbers]
        last = await self._last_ordinals(records, transaction)
        memories = await self.ports.run_cpu(restored_memories, records, last)
        await self._check_keys(memories, list(numbers.values()), transaction)
        # In the order of ids, so that two calls with the same memories never wait for each other.
        memories.sort(key=lambda new: new.id)
        given_vectors = await self._given_vectors(op)
        stored = await self._store(op.verb, memories, call, op.progress, transaction, given_vectors)
        all_records = found | {record.id: record for record in stored}
        return RestoredMemories((all_records[record.id] for record in op.records), found, given_vectors.keys() - found)

    async def _given_vectors(self, op: Restore) -> Usable:
        """The vectors that came with memories and are what the embedder would make."""
        found = candidates(op, self.embedder.model)
        if not found:
            return {}
        first = next(record for record in op.records if record.id in found)
        [own] = await self.embedder.embed([first.content])
        return await self.ports.run_cpu(usable, found, first.id, own)

    async def _last_ordinals(self, records: Sequence[Add], transaction: Transaction) -> dict[str, int]:
        users = list(dict.fromkeys(record.user_id for record in records))
        last: dict[str, int] = {}
        for start in range(0, len(users), BATCH_MEMORIES):
            some = users[start : start + BATCH_MEMORIES]
            found = await transaction.execute(self.db.sql.batches.last_ordinals(some))
            last |= found
        return last

    async def _check_keys(self, memories: Sequence[New], numbers: Sequence[int], transaction: Transaction) -> None:
        """Refuse keys that other memories have, stored ones or new ones.

        Args:
            numbers: the number of each memory among the records of the call.
        """
        keyed = [(number, new) for number, new in zip(numbers, memories, strict=True) if new.op.key is not None]
        if not keyed:
            return
        in_use = await transaction.execute(self.db.sql.batches.free_keys([new for _, new in keyed]))
        known: set[tuple[str, str | None, str | None]] = set()
        for position, (number, new) in enumerate(keyed):
            name = new.op.user_id, new.op.scope, new.op.key
            if position in in_use or name in known:
                with InRecord(number):
                    raise key_in_use(new.op.key or "")
            known.add(name)

    async def _store(
        self,
        action: str,
        memories: Sequence[New],
        call: Call,
        progress: Progress | None,
        transaction: Transaction,
        given_vectors: Usable = MappingProxyType({}),
    ) -> MemoryRecords:
        """Batch by batch; the next one is embedded while the server stores the one before."""
        parts = slices([new.op for new in memories])

        async def prepare() -> Batch | None:
            """The next batch; none after the last."""
            part = next(parts, None)
            return part and await self._prepare(memories[part], given_vectors)

        stored: MemoryRecords = []
        following = await prepare()
        while following is not None:
            batch = following
            following = await transaction.copy(batch.rows, prepare)
            if self.is_audited:
                await transaction.copy(self.db.sql.batches.log(action, batch.records, call), _nothing)
            stored += batch.records
            if following is not None:
                _tell(progress, len(stored), len(memories))
        return stored

    async def _prepare(self, memories: Sequence[New], given_vectors: Usable) -> Batch:
        read = [new for new in memories if new.op.indexed]
        contents = [new.op.content for new in read]
        unknown = [new.op.content for new in read if new.id not in given_vectors]
        made = iter(await self.embedder.embed(unknown) if unknown else ())
        vectors = [given_vectors[new.id] if new.id in given_vectors else next(made) for new in read]
        terms = await self.analysis.memories(contents, [new.moment for new in read])
        return await self.ports.run_cpu(self.db.sql.batches.batch, memories, self.embedder.model, vectors, terms)


async def _nothing() -> None:
    """What is done while audit entries are stored."""


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
