"""The verbs that write to a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from ..._ids import new_memory_id, new_memory_ids
from ...analysis import MemoryTerms
from ...errors import InvalidRequestError
from ...models import MemoryRecord, MemoryRecords, RestoredMemories
from ...operations import Add, AddMany, Delete, DeleteMany, Operation, Put, Restore, RestoredMemory, Update
from ..base import Call
from ..conflicts import check_given_ids, key_in_use, other_version, other_version_of_key
from ..contents import check_new_content
from ..idempotency import hashed, key_reused, memory_deleted_since
from ..supersession import check_not_ended, unknown_superseded
from ..validity import check_order
from .backend import StoreProvider
from .store import NO_TERMS, RememberedAdd, Stored, end_of


class Read(NamedTuple):
    """What a search compares of a text, and the moment that it was read for."""

    moment: datetime
    terms: MemoryTerms = NO_TERMS
    vector: Sequence[float] | None = None


class Writes(StoreProvider):
    """`add`, `put`, `update`, `delete` and the like."""

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        # Before anything is awaited, so that memories that are added at once have ids in the order of the calls.
        id = new_memory_id(op.user_id)
        [read] = await self._read([op])
        with self._store.exclusive():
            if (before := self._added_before(op.user_id, op.fingerprint, call)) is not None:
                [stored] = before
                return self._shown(stored.record, call)
            now = self._store.now()
            self._check_key(op.user_id, op.scope, op.key)
            superseded = self._superseded(op, op.user_id, call)
            check_not_ended(op, (stored.record for stored in superseded), now)
            record = self._store_new(op, id, read, now)
            self._store.close_validity(superseded, op.valid_from or now, now)
            self._remember(op.user_id, op.fingerprint, [record], call)
            self._log_write("add", op.user_id, call, record=record)
            return self._shown(record, call)

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        if not op.records:
            return []
        reads = await self._read(op.records)
        added = await self._run(len(op.records), lambda: self._add_all(op, call, reads))
        if op.progress is not None:
            op.progress(len(added), len(added))
        return added

    def _add_all(self, op: AddMany, call: Call, reads: Sequence[Read]) -> MemoryRecords:
        store, first = self._store, op.records[0].user_id
        with store.exclusive():
            if (before := self._added_before(first, op.fingerprint, call)) is not None:
                return [self._shown(stored.record, call) for stored in before]
            now = store.now()
            superseded: dict[str, Stored] = {}
            ends: dict[str, datetime] = {}
            keys: set[tuple[str, str | None, str]] = set()

            def check(part: Operation[Any]) -> None:
                assert isinstance(part, Add)
                self._check_key(part.user_id, part.scope, part.key, taken=keys)
                found = self._superseded(part, part.user_id, call)
                check_not_ended(part, (stored.record for stored in found), now)
                for stored in found:
                    end = part.valid_from or now
                    superseded[stored.record.id] = stored
                    ends[stored.record.id] = min(end, ends.get(stored.record.id, end))

            op.check_each(check)
            ids = new_memory_ids([add.user_id for add in op.records])
            records = [
                self._store_new(add, id, read, now) for id, add, read in zip(ids, op.records, reads, strict=True)
            ]
            for record in records:
                self._log_write("add", record.user_id, call, record=record)
            for id, stored in superseded.items():
                store.close_validity([stored], ends[id], now)
            self._remember(first, op.fingerprint, records, call)
            readable = [self._readable(record, call) for record in records]
        return [record.model_copy(deep=True) for record in readable]

    async def put(self, op: Put, call: Call) -> MemoryRecord:
        id = new_memory_id(op.user_id)
        with self._store.exclusive():
            since = self._kept_since(op)
        while True:
            [read] = await self._read([op], since)
            with self._store.exclusive():
                # The words are of no use if another call has replaced the memory by one of another time.
                before, since = since, self._kept_since(op)
                if since == before:
                    return self._put(op, id, read, call)

    def _kept_since(self, op: Put) -> datetime | None:
        """When the memory was created that is replaced in its place; None for a new one."""
        old = None if op.keep_history else self._store.with_key(op.user_id, op.scope, op.key)
        return None if old is None else old.record.created_at

    def _put(self, op: Put, id: str, read: Read, call: Call) -> MemoryRecord:
        now, old = self._store.now(), self._store.with_key(op.user_id, op.scope, op.key)
        version = 0 if old is None else old.version
        if op.if_version not in (None, version):
            raise other_version_of_key(op.key, version, op.if_version or 0)
        superseded = self._superseded(op, op.user_id, call)
        check_not_ended(op, (stored.record for stored in superseded), now)
        if old is None or op.keep_history:
            record = self._replace_by_new(op, id, read, old, now)
        else:
            record = self._overwrite(op, read, old, now)
        self._store.close_validity(superseded, op.valid_from or now, now)
        self._log_write("put", op.user_id, call, record=record)
        return self._shown(record, call)

    def _replace_by_new(self, op: Put, id: str, read: Read, old: Stored | None, now: datetime) -> MemoryRecord:
        """Store a new memory under the key, which the one that has it gives up as it ends."""
        changes: dict[str, Any] = {}
        if old is not None:
            ended = end_of(old.record, op.valid_from or now, now)
            self._change(old, {"key": None} | ended, now)
            changes = {
                "supersedes": list(dict.fromkeys([*(op.supersedes or ()), old.record.id])),
                "version": old.version + 1,
            }
        return self._store_new(op, id, read, now, changes)

    def _overwrite(self, op: Put, read: Read, old: Stored, now: datetime) -> MemoryRecord:
        """Put a memory in the place of the one that has its key."""
        if old.record.id in (op.supersedes or ()):
            raise InvalidRequestError("supersedes: a memory cannot supersede itself")
        kept = {"created_at": old.record.created_at, "updated_at": now, "version": old.version + 1}
        record = self._record(op, old.record.id, now, kept)
        self._store.put(replace(old, record=record, moment=read.moment, terms=read.terms, vector=read.vector))
        return record

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        while True:
            with self._store.exclusive():
                before = self._find(op, call)
            read = await self._read_again(op, before)
            with self._store.exclusive():
                stored = self._find(op, call)
                # What was read is of no use if another call has changed what it was read from.
                if _what_is_read(stored) == _what_is_read(before):
                    return self._shown(self._update(op, stored, read, call), call)

    async def _read_again(self, op: Update, stored: Stored) -> Read:
        """What a search compares of a memory after an update."""
        record, vector, terms = stored.record, stored.vector, stored.terms
        check_new_content(op, self.features, is_indexed=record.indexed)
        content = op.content if "content" in op.changes else record.content
        moment = (op.valid_from or record.created_at) if "valid_from" in op.changes else stored.moment
        if record.indexed and "content" in op.changes:
            [vector] = await self._embedder.embed([content])
        if record.indexed and not op.changes.isdisjoint({"content", "valid_from"}):
            [terms] = await self._analysis.memories([content], [moment])
        return Read(moment, terms, vector)

    def _update(self, op: Update, stored: Stored, read: Read, call: Call) -> MemoryRecord:
        record, now = stored.record, self._store.now()
        if op.if_version not in (None, stored.version):
            raise other_version(record.id, stored.version, op.if_version or 0)
        named = record.supersedes or []
        superseded = self._superseded(op, record.user_id, call)
        check_not_ended(op, (other.record for other in superseded if other.record.id not in named), now)
        changes: dict[str, Any] = op.model_dump(include=set(op.changes) - {"supersedes"})
        if op.supersedes:
            changes["supersedes"] = list(dict.fromkeys([*named, *op.supersedes]))
        if "content" in op.changes and record.indexed:
            changes["embedding_model"] = self._embedder.model
        check_order(op, record.valid_from, record.valid_to)
        if "scope" in changes:
            self._check_key(record.user_id, op.scope, record.key, but_for=record.id)
        changed = self._change(replace(stored, moment=read.moment, terms=read.terms, vector=read.vector), changes, now)
        self._store.close_validity(superseded, now, now)
        self._log_write("update", record.user_id, call, record=changed)
        return changed

    async def delete(self, op: Delete, call: Call) -> None:
        with self._store.exclusive():
            stored = self._find(op, call)
            if op.if_version not in (None, stored.version):
                raise other_version(op.id, stored.version, op.if_version or 0)
            self._store.remove(stored)
            self._log_write("delete", stored.record.user_id, call, record=stored.record)

    async def delete_many(self, op: DeleteMany, call: Call) -> int:
        selection = op.selection(call.grants)

        def delete() -> int:
            with self._store.exclusive():
                selected = self._store.selected(selection)
                if op.dry_run:
                    self._log_read(op.verb, op.user_id, call, scope=op.scope_text)
                    return len(selected)
                for stored in selected:
                    self._store.remove(stored)
                self._log_write(op.verb, op.user_id, call, scope=op.scope_text)
                return len(selected)

        return await self._run(self._store.size_of(op.user_id), delete)

    async def restore(self, op: Restore, call: Call) -> RestoredMemories:
        check_given_ids(op)
        if not op.records:
            return RestoredMemories()
        reads = await self._read(op.records)
        restored = await self._run(len(op.records), lambda: self._restore_all(op, call, reads))
        if op.progress is not None:
            op.progress(len(restored), len(restored))
        return restored

    def _restore_all(self, op: Restore, call: Call, reads: Sequence[Read]) -> RestoredMemories:
        with self._store.exclusive():
            now = self._store.now()
            keys: set[tuple[str, str | None, str]] = set()
            new: dict[str, tuple[RestoredMemory, Read]] = {}
            for read, record in zip(reads, op.records, strict=True):
                if record.id not in new and self._store.find(record.id) is None:
                    new[record.id] = record, read

            def check(part: Operation[Any]) -> None:
                if isinstance(part, RestoredMemory) and part.id in new and new[part.id][0] is part:
                    self._check_key(part.user_id, part.scope, part.key, taken=keys)

            op.check_each(check)
            for id, (given, read) in new.items():
                stored = self._store_new(given, id, read, now)
                self._log_write("restore", stored.user_id, call, record=stored)
            found = {one.id: self._store.at(one.id).record for one in op.records}
        return RestoredMemories((found[one.id].model_copy(deep=True) for one in op.records), found.keys() - new.keys())

    async def _read(self, adds: Sequence[Add], since: datetime | None = None) -> Sequence[Read]:
        """What a search compares of new memories: nothing of those that none may find.

        Args:
            since: when they were created; None for now.
        """
        now = since or self.ports.now()
        moments = [add.valid_from or (add.created_at if isinstance(add, RestoredMemory) else now) for add in adds]
        found = [number for number, add in enumerate(adds) if add.indexed]
        contents = [adds[number].content for number in found]
        reads = [Read(moment) for moment in moments]
        if contents:
            vectors = await self._embedder.embed(contents)
            terms = await self._analysis.memories(contents, [moments[number] for number in found])
            for number, of_vector, of_terms in zip(found, vectors, terms, strict=True):
                reads[number] = Read(moments[number], of_terms, of_vector)
        return reads

    def _record(self, op: Add, id: str, now: datetime, changes: dict[str, Any]) -> MemoryRecord:
        """The record that an operation asks for."""
        given = {"created_at": now, "version": 1} | op.record_fields
        model = self._embedder.model if op.indexed else None
        return MemoryRecord.model_validate(given | {"id": id, "status": "stored", "embedding_model": model} | changes)

    def _store_new(
        self, op: Add, id: str, read: Read, now: datetime, changes: dict[str, Any] | None = None
    ) -> MemoryRecord:
        record = self._record(op, id, now, changes or {})
        self._store.add(record, op.valid_from or record.created_at, read.terms, read.vector)
        return record

    def _change(self, stored: Stored, changes: dict[str, Any], now: datetime) -> MemoryRecord:
        """Change a record, and count that."""
        counted = {"updated_at": now, "version": stored.version + 1}
        record = MemoryRecord.model_validate(stored.record.model_dump() | changes | counted)
        self._store.put(replace(stored, record=record))
        return record

    def _superseded(self, op: Add | Update, user_id: str, call: Call) -> Sequence[Stored]:
        """The memories that a write names, as far as the caller may write them.

        Raises:
            InvalidRequestError: there is no such memory.
        """
        granted, ids = call.grants.write, list(dict.fromkeys(op.supersedes or ()))
        found = self._store.of_user(user_id, ids)
        allowed = [stored for stored in found.values() if granted is None or granted.matches(stored.record.scope)]
        if unknown := set(ids) - {stored.record.id for stored in allowed}:
            raise unknown_superseded(unknown)
        return allowed

    def _check_key(
        self,
        user_id: str,
        scope: str | None,
        key: str | None,
        *,
        but_for: str | None = None,
        taken: set[tuple[str, str | None, str]] | None = None,
    ) -> None:
        """Raise `ConflictError` if another memory has a key.

        Args:
            but_for: the memory that may have it.
            taken: keys that are no longer free, to which this one is added.
        """
        if key is None:
            return
        holder, name = self._store.with_key(user_id, scope, key), (user_id, scope, key)
        if (holder is not None and holder.record.id != but_for) or (taken is not None and name in taken):
            raise key_in_use(key)
        if taken is not None:
            taken.add(name)

    def _added_before(self, user_id: str, fingerprint: str, call: Call) -> Sequence[Stored] | None:
        """The memories that were added with the idempotency key of the call; None if it has none, or a new one."""
        if call.idempotency_key is None:
            return None
        before = self._store.added_before(user_id, hashed(call.idempotency_key))
        if before is None:
            return None
        if before.fingerprint != fingerprint:
            raise key_reused()
        return [self._still_there(id) for id in before.memory_ids]

    def _still_there(self, id: str) -> Stored:
        stored = self._store.find(id)
        if stored is None:
            raise memory_deleted_since(id)
        return stored

    def _remember(self, user_id: str, fingerprint: str, records: Iterable[MemoryRecord], call: Call) -> None:
        """Remember what was added with the idempotency key of the call."""
        if call.idempotency_key is not None:
            ids = tuple(record.id for record in records)
            added = RememberedAdd(ids, fingerprint, self._store.now())
            self._store.remember_add(user_id, hashed(call.idempotency_key), added)


def _what_is_read(stored: Stored) -> tuple[str, datetime, str | None]:
    return stored.record.content, stored.moment, stored.record.embedding_model
