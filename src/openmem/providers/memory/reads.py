"""The verbs that read a store."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from ...config import ClientConfig
from ...errors import NotFoundError
from ...models import (
    AuditEntries,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    SearchResult,
    SearchResults,
    UserPage,
    UserSummary,
    construct_result,
)
from ...models import Facets as FacetList
from ...operations import Audit, Count, Facets, Get, GetByKey, History, List, ScopedQuery, Search, Users, WaitForIngest
from ...ports import Ports
from ...ports.models import Vectors
from ...ranking.calibration import reach
from ...ranking.evidence import Evidence, explained
from ...ranking.reference import Recency, rank_with_evidence
from ...selection import Position, Selection
from ..base import Call, no_such_key
from ..calibration import STOPPED_RETRY_SECONDS, learn
from ..facets import facets_of
from ..sample import Sample
from ..supersession import related
from .backend import StoreProvider


class Reads(StoreProvider):
    """`get`, `list`, `search` and the like."""

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._calibrates_at = 0.0

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        with self._store.exclusive():
            record = self._find(op, call).record
            self._log_read("get", record.user_id, call, record=record)
            return self._shown(record, call)

    async def get_by_key(self, op: GetByKey, call: Call) -> MemoryRecord:
        with self._store.exclusive():
            stored = self._store.with_key(op.user_id, op.scope, op.key)
            if stored is None:
                raise no_such_key(op.key)
            self._log_read("get_by_key", op.user_id, call, record=stored.record)
            return self._shown(stored.record, call)

    async def list(self, op: List, call: Call) -> MemoryPage:
        selection = op.selection(call.grants)
        first = heapq.nsmallest if op.order == "oldest" else heapq.nlargest

        def page() -> MemoryPage:
            with self._store.exclusive():
                records = [stored.record for stored in self._store.selected(selection)]
                ordered = first(op.limit + 1, records, key=lambda record: Position.of(record, op.order))
                readable = [self._readable(record, call) for record in ordered[: op.limit]]
                self._log_read("list", op.user_id, call, scope=op.scope_text)
            items = [record.model_copy(deep=True) for record in readable]
            return MemoryPage(items=items, next_cursor=op.cursor_after(items[-1]) if len(ordered) > op.limit else None)

        return await self._run(self._store.size_of(op.user_id), page)

    async def sample(self, op: List, call: Call, size: int) -> Sample:
        selection, model = op.selection(call.grants), self._embedder.model

        def sample() -> Sample:
            with self._store.exclusive():
                selected = sorted(self._store.selected(selection), key=lambda stored: stored.sequence_no)
                step = -(-len(selected) // size) or 1
                records = [self._shown(stored.record, call) for stored in selected[::step]]
                self._log_read("list", op.user_id, call, scope=op.scope_text)
            vectors = {
                stored.record.id: stored.vector
                for stored in selected[::step]
                if stored.vector is not None and stored.record.embedding_model == model
            }
            return Sample(records, vectors, is_whole=step == 1, is_spread=True)

        return await self._run(self._store.size_of(op.user_id), sample)

    async def count(self, op: Count, call: Call) -> int:
        return len(await self._selected(op, call))

    async def facets(self, op: Facets, call: Call) -> FacetList:
        records = await self._selected(op, call)
        return await self._run(len(records), lambda: facets_of(records, op.by)[: op.limit])

    async def _selected(self, op: ScopedQuery, call: Call) -> Sequence[MemoryRecord]:
        """The memories that a query reads. They are those of the store, and nobody may change them."""
        selection = op.selection(call.grants)

        def selected() -> Sequence[MemoryRecord]:
            with self._store.exclusive():
                self._log_read(op.verb, op.user_id, call, scope=op.scope_text)
                return [stored.record for stored in self._store.selected(selection)]

        return await self._run(self._store.size_of(op.user_id), selected)

    async def search(self, op: Search, call: Call) -> SearchResults:
        vector = await self._embedder.embed_query(await self._analysis.asked(op.query))
        selection, model = op.selection(call.grants), self._embedder.model

        words = await self._analysis.query(op.query, op.timezone)
        spelled = await self._analysis.spelled(op.query, words, op.timezone) if op.explain else None
        baselines = await self._baselines()
        recency = None if op.recency is None else Recency(op.recency, self.ports.now())

        def ranked() -> SearchResults:
            with self._store.exclusive():
                selected = self._store.selected(selection)
                self._log_read(op.verb, op.user_id, call, scope=op.scope_text)
            candidates = [stored.candidate(model) for stored in selected]
            records = {one.id: stored.record for one, stored in zip(candidates, selected, strict=True)}
            best = rank_with_evidence(
                candidates, words, vector, op.limit, op.min_score or 0.0, reach(vector, baselines), recency
            )

            def named(evidence: Evidence) -> Evidence:
                seed = records.get(evidence.seed_id or "")
                return evidence if seed is None else replace(evidence, seed_id=seed.id)

            with self._store.exclusive():
                shown = {found.id: self._shown(records[found.id], call) for found, _ in best}
            if spelled is None:
                return [SearchResult(memory=shown[id], score=score) for (id, score), _ in best]
            return [
                construct_result(shown[id], score, explained(named(why), spelled, score).extension)
                for (id, score), why in best
            ]

        return await self._run(self._store.size_of(op.user_id), ranked)

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

    async def history(self, op: History, call: Call) -> MemoryRecords:
        granted = call.grants.read
        with self._store.exclusive():
            first = self._find(op, call).record
            self._log_read("history", first.user_id, call, record=first)
            own = {stored.record.id: stored.record for stored in self._store.selected(Selection(first.user_id))}
            chain = [record for record in related(first, own) if granted is None or granted.matches(record.scope)]
            return [self._shown(record, call) for record in sorted(chain, key=Position.of)]

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        granted, behind = call.grants.read, op.behind
        with self._store.exclusive():
            entries = [
                (number, entry)
                for number, entry in self._store.audit_log(op.user_id)
                if (op.app is None or entry.app == op.app)
                and (op.since is None or entry.timestamp >= op.since)
                and (behind is None or number < behind[1])
                and (granted is None or granted.matches(entry.scope))
            ]
        return op.page(entries)

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        """Writes can be searched as soon as they return, so only the ids are checked."""
        with self._store.exclusive():
            missing = set(op.ids) - set(self._store.of_user(op.user_id, op.ids))
        if missing:
            raise NotFoundError(f"ids: user {op.user_id!r} has no memory {', '.join(map(repr, sorted(missing)))}")

    async def users(self, op: Users, call: Call) -> UserPage:
        after = op.after

        def page() -> UserPage:
            with self._store.exclusive():
                users = [user for user in self._store.users() if user > after and user.startswith(op.prefix or "")]
                summaries = (
                    UserSummary(user_id=user, count=len(times), newest=max(times))
                    for user in sorted(users)
                    if (times := [one.record.created_at for one in self._store.selected(Selection(user))])
                )
                found = list(islice(summaries, op.limit + 1))
            items = found[: op.limit]
            return UserPage(
                items=items, next_cursor=op.cursor_after(items[-1].user_id) if len(found) > op.limit else None
            )

        return await self.ports.run_cpu(page)
