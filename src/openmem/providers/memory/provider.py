"""The verbs over memories in this process, with the behaviour of PostgreSQL."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from ..._ids import new_memory_id, new_memory_ids
from ...analysis import MemoryTerms
from ...config import ClientConfig
from ...embedders import embedder_for
from ...errors import InvalidRequestError, NotFoundError
from ...models import (
    AuditEntries,
    AuditEntry,
    CapabilityFeatures,
    CapabilityLimits,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    SearchResult,
    SearchResults,
)
from ...operations import (
    Add,
    AddMany,
    Audit,
    Delete,
    Get,
    List,
    Operation,
    Reembed,
    Reindex,
    Search,
    Update,
    WaitForIngest,
)
from ...ports import Ports
from ...ports.models import EmbedderIO, Vectors
from ...ranking.calibration import reach
from ...ranking.reference import Recency, rank
from ...selection import Position
from ..analyzing import Analysis
from ..base import Call, Provider, no_such_memory
from ..calibration import STOPPED_RETRY_SECONDS, learn
from ..idempotency import hashed, key_reused, memory_deleted_since
from ..supersession import check_not_ended, unknown_superseded, without_names
from .store import MemoryStore, RememberedAdd, Stored

R = TypeVar("R")

MAX_CONTENT_CHARACTERS: Final = 65_536
QUICK_MEMORIES: Final = 20
"""More memories are stored, listed or ranked in a thread, and fewer in the calling one."""


class MemoryProvider(Provider):
    """Memories that live in a `MemoryStore`: by default one of this client's own, which ends with it."""

    name = "memory"
    settings = frozenset({"audit", "embedder", "language", "timezone"})
    remembers_keys = True
    options = frozenset({"store"})
    features = CapabilityFeatures(
        vector_search=True,
        keyword_search=True,
        temporal=True,
        scopes="native",
        max_content_length=MAX_CONTENT_CHARACTERS,
        supports_audit=True,
        supports_supersession=True,
        scores="similarity",
        atomic_supersession=True,
        audits_reads=True,
        timezones=True,
        recency=True,
    )
    limits = CapabilityLimits(max_search_results=100)

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        store = config.options.get("store")
        if store is not None and not isinstance(store, MemoryStore):
            raise InvalidRequestError(
                f"store: it is of type {type(store).__name__}; pass a MemoryStore, from openmem.providers.memory"
            )
        self._store = MemoryStore() if store is None else store
        self._embedder: EmbedderIO = embedder_for("hashing" if config.embedder is None else config.embedder, ports)
        self._analysis = Analysis(config, ports)
        self._calibrates_at = 0.0
        if config.audit == "off":
            self.features = self.features.model_copy(update={"supports_audit": False})
        if config.audit != "all":
            self.features = self.features.model_copy(update={"audits_reads": False})

    async def open(self) -> None:
        await self._analysis.load()
        await self._embedder.load()

    async def close(self) -> None:
        await self._embedder.close()

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        # Before anything is awaited, so that memories that are added at once have ids in the order of the calls.
        id = new_memory_id(op.user_id)
        [vector], [terms] = await self._read([op])
        store, key = self._store, None if call.idempotency_key is None else hashed(call.idempotency_key)
        with store.exclusive():
            before = None if key is None else store.added_before(op.user_id, key)
            if before is not None:
                return self._repeated(op, call, before)
            now = store.now()
            superseded = self._superseded(op, op.user_id, call)
            check_not_ended(op, (stored.record for stored in superseded), now)
            record = self._new_record(id, op, now)
            store.add(record, op.valid_from or now, terms, vector)
            store.close_validity(superseded, op.valid_from or now, now)
            if key is not None:
                store.remember_add(op.user_id, key, RememberedAdd(record.id, op.fingerprint, now))
            self._log_write("add", record, call)
            return self._shown(record, call)

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        if not op.records:
            return []
        vectors, terms = await self._read(op.records)
        added = await self._run(len(op.records), lambda: self._add_all(op, call, vectors, terms))
        if op.progress is not None:
            op.progress(len(added), len(added))
        return added

    def _add_all(
        self, op: AddMany, call: Call, vectors: Sequence[Sequence[float]], terms: Sequence[MemoryTerms]
    ) -> MemoryRecords:
        store = self._store
        with store.exclusive():
            now = store.now()
            superseded: dict[str, Stored] = {}
            ends: dict[str, datetime] = {}

            def check(part: Operation[Any]) -> None:
                assert isinstance(part, Add)
                found = self._superseded(part, part.user_id, call)
                check_not_ended(part, (stored.record for stored in found), now)
                for stored in found:
                    end = part.valid_from or now
                    superseded[stored.record.id] = stored
                    ends[stored.record.id] = min(end, ends.get(stored.record.id, end))

            op.check_each(check)
            ids = new_memory_ids([add.user_id for add in op.records])
            records = [self._new_record(id, add, now) for id, add in zip(ids, op.records, strict=True)]
            for record, add, found, vector in zip(records, op.records, terms, vectors, strict=True):
                store.add(record, add.valid_from or now, found, vector)
                self._log_write("add", record, call)
            for id, stored in superseded.items():
                store.close_validity([stored], ends[id], now)
            readable = [self._readable(record, call) for record in records]
        return [record.model_copy(deep=True) for record in readable]

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        with self._store.exclusive():
            record = self._find(op, call).record
            self._log_read("get", record.user_id, call, record=record)
            return self._shown(record, call)

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        store = self._store
        read: tuple[Sequence[float], MemoryTerms] | None = None
        if "content" in op.changes:
            with store.exclusive():
                moment = self._find(op, call).moment
            [vector] = await self._embedder.embed([op.content])
            [terms] = await self._analysis.memories([op.content], [moment])
            read = vector, terms
        with store.exclusive():
            stored, now = self._find(op, call), store.now()
            record = stored.record
            named = record.supersedes or []
            superseded = self._superseded(op, record.user_id, call)
            check_not_ended(op, (other.record for other in superseded if other.record.id not in named), now)
            if op.valid_to is not None and record.valid_from is not None and op.valid_to < record.valid_from:
                raise InvalidRequestError(
                    f"valid_to: {op.valid_to.isoformat()} is before the memory's valid_from "
                    f"{record.valid_from.isoformat()}"
                )
            changes: dict[str, Any] = op.model_dump(include=set(op.changes) - {"supersedes"}) | {"updated_at": now}
            if op.supersedes:
                changes["supersedes"] = list(dict.fromkeys([*named, *op.supersedes]))
            if read is not None:
                changes["embedding_model"] = self._embedder.model
                stored = replace(stored, vector=read[0], terms=read[1])
            record = MemoryRecord.model_validate(record.model_dump() | changes)
            store.put(replace(stored, record=record))
            store.close_validity(superseded, now, now)
            self._log_write("update", record, call)
            return self._shown(record, call)

    async def delete(self, op: Delete, call: Call) -> None:
        with self._store.exclusive():
            stored = self._find(op, call)
            self._store.remove(stored)
            self._log_write("delete", stored.record, call)

    async def list(self, op: List, call: Call) -> MemoryPage:
        selection = op.selection(call.grants)

        def page() -> MemoryPage:
            with self._store.exclusive():
                records = [stored.record for stored in self._store.selected(selection)]
                newest = heapq.nlargest(op.limit + 1, records, key=Position.of)
                readable = [self._readable(record, call) for record in newest[: op.limit]]
                self._log_read("list", op.user_id, call, scope=op.scope_text)
            items = [record.model_copy(deep=True) for record in readable]
            return MemoryPage(items=items, next_cursor=op.cursor_after(items[-1]) if len(newest) > op.limit else None)

        return await self._run(self._store.count(op.user_id), page)

    async def search(self, op: Search, call: Call) -> SearchResults:
        vector = await self._embedder.embed_query(await self._analysis.asked(op.query))
        selection, model = op.selection(call.grants), self._embedder.model

        words = await self._analysis.query(op.query, op.timezone)
        baselines = await self._baselines()
        recency = None if op.recency is None else Recency(op.recency, self.ports.now())

        def ranked() -> SearchResults:
            with self._store.exclusive():
                selected = self._store.selected(selection)
                self._log_read(op.verb, op.user_id, call, scope=op.scope_text)
            candidates = [stored.candidate(model) for stored in selected]
            records = {one.id: stored.record for one, stored in zip(candidates, selected, strict=True)}
            best = rank(candidates, words, vector, op.limit, op.min_score or 0.0, reach(vector, baselines), recency)
            with self._store.exclusive():
                return [SearchResult(memory=self._shown(records[id], call), score=score) for id, score in best]

        return await self._run(self._store.count(op.user_id), ranked)

    async def _baselines(self) -> Vectors:
        """Those of the model; none if it could not embed the notes. That is not tried again."""
        known, model = self._store.baselines, self._embedder.model
        if model not in known and self.ports.monotonic() >= self._calibrates_at:
            known[model] = ()
            try:
                known[model] = await learn(self._embedder, self.ports) or ()
            except BaseException:
                del known[model]
                self._calibrates_at = self.ports.monotonic() + STOPPED_RETRY_SECONDS
                raise
        return known.get(model, ())

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        granted = call.grants.read
        with self._store.exclusive():
            entries = [
                entry
                for entry in self._store.audit_log(op.user_id)
                if (op.app is None or entry.app == op.app)
                and (op.since is None or entry.timestamp >= op.since)
                and (granted is None or granted.matches(entry.scope))
            ]
        return entries[: op.limit]

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        """Writes can be searched as soon as they return, so only the ids are checked."""
        with self._store.exclusive():
            missing = set(op.ids) - set(self._store.of_user(op.user_id, op.ids))
        if missing:
            raise NotFoundError(f"ids: user {op.user_id!r} has no memory {', '.join(map(repr, sorted(missing)))}")

    async def reembed(self, op: Reembed, call: Call) -> int:
        """Batch by batch, but for memories that are changed meanwhile."""
        store, model, done, last_id = self._store, self._embedder.model, 0, ""
        with store.exclusive():
            total = store.count_stale(model)
            batch = store.stale(model, last_id, op.batch_size)
        while batch:
            vectors = await self._embedder.embed([stored.record.content for stored in batch])
            with store.exclusive():
                for stored, vector in zip(batch, vectors, strict=True):
                    if store.find(stored.record.id) is stored:
                        record = stored.record.model_copy(update={"embedding_model": model})
                        store.put(replace(stored, record=record, vector=vector))
                        done += 1
                last_id = batch[-1].record.id
                batch = store.stale(model, last_id, op.batch_size)
            if op.progress is not None:
                op.progress(done, max(done, total))
        return done

    async def reindex(self, op: Reindex, call: Call) -> int:
        """Nothing: a store has been analysed by the process that it lives in."""
        return 0

    async def _run(self, memories: int, function: Callable[[], R]) -> R:
        """The result of `function`, called in a thread if it goes through more than a few memories."""
        return function() if memories <= QUICK_MEMORIES else await self.ports.run_cpu(function)

    async def _read(self, adds: Sequence[Add]) -> tuple[Sequence[Sequence[float]], Sequence[MemoryTerms]]:
        """The vectors of new memories, and their words."""
        contents, now = [add.content for add in adds], self.ports.now()
        vectors = await self._embedder.embed(contents)
        return vectors, await self._analysis.memories(contents, [add.valid_from or now for add in adds])

    def _new_record(self, id: str, op: Add, now: datetime) -> MemoryRecord:
        given = {"id": id, "created_at": now, "status": "stored", "embedding_model": self._embedder.model}
        return MemoryRecord.model_validate(op.record_fields | given)

    def _find(self, op: Get | Update | Delete, call: Call) -> Stored:
        stored = self._store.find(op.id)
        if stored is None or not call.may_act_for(stored.record.user_id):
            raise no_such_memory(op.id)
        call.grants.require(op.access, stored.record.scope)
        return stored

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

    def _repeated(self, op: Add, call: Call, before: RememberedAdd) -> MemoryRecord:
        """The memory that was added with the same idempotency key."""
        if before.fingerprint != op.fingerprint:
            raise key_reused()
        stored = self._store.find(before.memory_id)
        if stored is None:
            raise memory_deleted_since(before.memory_id)
        return self._shown(stored.record, call)

    def _shown(self, record: MemoryRecord, call: Call) -> MemoryRecord:
        """A copy of a record, without the names of what the caller may not read."""
        return self._readable(record, call).model_copy(deep=True)

    def _readable(self, record: MemoryRecord, call: Call) -> MemoryRecord:
        """The record itself, or one without the names of what the caller may not read."""
        granted = call.grants.read
        if granted is not None and record.supersedes:
            found = self._store.of_user(record.user_id, record.supersedes)
            record = without_names(record, {id: granted.matches(named.record.scope) for id, named in found.items()})
        return record

    def _log_write(self, action: str, record: MemoryRecord, call: Call) -> None:
        if self.config.audit != "off":
            self._log(action, record.user_id, call, record=record, scope=record.scope)

    def _log_read(
        self, action: str, user_id: str, call: Call, *, record: MemoryRecord | None = None, scope: str | None = None
    ) -> None:
        if self.config.audit == "all":
            self._log(action, user_id, call, record=record, scope=scope if record is None else record.scope)

    def _log(self, action: str, user_id: str, call: Call, *, record: MemoryRecord | None, scope: str | None) -> None:
        source = None if record is None or record.source is None else record.source.app
        entry = AuditEntry(
            timestamp=self._store.now(),
            app=source if call.app is None else call.app,
            action=action,
            memory_id=None if record is None else record.id,
            scope=scope,
            request_id=call.request_id,
        )
        self._store.log(user_id, entry)
