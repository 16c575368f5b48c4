"""The verbs over a vendor's SDK.

A vendor's backend knows texts, users and metadata; it does not know scopes, validity, filters or paging by
position. `VendorProvider` gives the verbs their meaning on top of the calls of a `VendorBackend`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from ..._ids import new_memory_id
from ...call import Call
from ...errors import UnsupportedCapabilityError
from ...models import CapabilityFeatures, MemoryPage, MemoryRecord, MemoryRecords, SearchResult, SearchResults
from ...models import Facets as FacetList
from ...operations import (
    Add,
    ContextSearch,
    Count,
    Delete,
    DeleteMany,
    Facets,
    Get,
    History,
    List,
    Search,
    Update,
    WaitForIngest,
)
from ...selection import Position, Selection
from ..facets import facets_of
from ..supersession import check_not_ended, related
from ..validity import check_order
from .backend import C, Candidate, VendorBackend
from .envelope import Stored
from .words import shared_letters, words_of

OVERFETCH: Final = 2
"""How many candidates are asked for at first, for each result that is wanted, …"""
SPARE_CANDIDATES: Final = 8
"""… and on top of these, since filters leave some out."""
CANDIDATES_GROWTH: Final = 4
"""How many times as many are asked for next, if too few pass the filters."""
FETCHED_AT_MOST: Final = 20
"""Memories that are named by their ids and looked up one by one; if there are more, all of the user are read."""
SCORE_DIGITS: Final = 6
"""Decimal places of scores: the last digits of vector arithmetic are not the same from call to call."""

FEATURES: Final = CapabilityFeatures(
    temporal=True,
    scopes="tags",
    metadata=True,
    filters=True,
    keys=False,
    versions=False,
    expiry=False,
    unindexed=False,
    explanations=False,
)
"""What all vendors' providers can do."""


class VendorProvider(VendorBackend[C]):
    """The verbs on top of a vendor's SDK, whose client is a `C`.

    A subclass sets `name`, `vendor`, `sdk_module`, `features` and `max_candidates`, and overrides `connect` and
    `insert`, `fetch`, `replace`, `remove`, `pages` and `candidates`. A verb that the backend cannot have is taken out
    with, for example, ``update = Provider.update`` in the class body.

    The verbs are not atomic: what takes two requests can fail between them. Where `supersedes` is
    supported, the targets are checked, then the new memory is written, then the targets are ended. Two
    clients that supersede the same memory at the same moment can therefore both succeed. No backend here can change a
    memory only if nobody else has, or keep two clients from storing the same key: there are no keys and no versions.
    None removes memories by itself when they expire, or hides some from its own search.
    """

    features = FEATURES

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        targets = await self.targets(op.supersedes or (), op.user_id, call)
        now = self.next_moment()
        check_not_ended(op, (target.record for target in targets), now)
        set_here = {"id": new_memory_id(op.user_id), "created_at": now}
        record = await self.insert(MemoryRecord.model_validate(op.record_fields | set_here))
        await self.end_validity(targets, op.valid_from or now)
        return await self.readable(record, call, targets)

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        return await self.readable((await self.required(op.id, op.access, call)).shown, call)

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        stored = await self.required(op.id, op.access, call)
        changes = op.model_dump(include=set(op.changes))
        check_order(op, stored.record.valid_from, stored.record.valid_to)
        targets = await self.targets(op.supersedes or (), stored.record.user_id, call)
        named, now = stored.record.supersedes or (), self.next_moment()
        check_not_ended(op, (target.record for target in targets if target.record.id not in named), now)
        if "supersedes" in changes:
            changes["supersedes"] = list(dict.fromkeys([*named, *(op.supersedes or ())]))
        changed = await self.write(stored, changes | {"updated_at": now})
        await self.end_validity(targets, now)
        return await self.readable(changed.shown, call, targets)

    async def delete(self, op: Delete, call: Call) -> None:
        await self.remove(await self.required(op.id, op.access, call))

    async def delete_many(self, op: DeleteMany, call: Call) -> int:
        """Finds the memories first, and then deletes them; a failure in between leaves the rest."""
        selected = await self._selected(op.selection(call.grants))
        return len(selected) if op.dry_run else await self.remove_many(selected)

    async def list(self, op: List, call: Call) -> MemoryPage:
        """Reads all memories of the user, since a vendor's order and paging are not ours."""
        selection, now = op.selection(call.grants), self.ports.now()
        by_id: dict[str, MemoryRecord] = {}
        if call.grants.read is not None:
            by_id = {stored.record.id: stored.shown async for stored in self.everything(op.user_id)}
            found = {id: record for id, record in by_id.items() if selection.matches(record, now)}
        else:
            found = {stored.record.id: stored.shown for stored in await self._selected(selection)}
        first = heapq.nsmallest if op.order == "oldest" else heapq.nlargest
        items = first(op.limit, found.values(), key=lambda record: Position.of(record, op.order))
        next_cursor = op.cursor_after(items[-1]) if len(found) > op.limit else None

        async def look_up(id: str) -> MemoryRecord | None:
            return by_id.get(id)

        return MemoryPage(items=list(await self.with_readable_names(items, call, look_up)), next_cursor=next_cursor)

    async def count(self, op: Count, call: Call) -> int:
        selection = op.selection(call.grants)
        if selection == Selection(op.user_id):
            return await self.total(op.user_id)
        return len(await self._selected(selection))

    async def facets(self, op: Facets, call: Call) -> FacetList:
        records = [stored.record for stored in await self._selected(op.selection(call.grants))]
        return facets_of(sorted(records, key=Position.of), op.by)[: op.limit]

    async def history(self, op: History, call: Call) -> MemoryRecords:
        first = await self.required(op.id, op.access, call)
        known = {stored.record.id: stored.shown async for stored in self.everything(first.record.user_id)} | {
            first.record.id: first.shown
        }
        granted = call.grants.read
        chain = [record for record in related(first.shown, known) if granted is None or granted.matches(record.scope)]

        async def look_up(id: str) -> MemoryRecord | None:
            return known.get(id)

        return list(await self.with_readable_names(sorted(chain, key=Position.of), call, look_up))

    async def search(self, op: Search, call: Call) -> SearchResults:
        """Asks the backend for more and more until enough of what it finds passes the filters.

        What lies beyond the most it can find is taken from the list of all memories and comes last, with the score 0:
        those with words of the query first. In a prompt only what answers belongs, so it has only those, and only if
        the backend could not filter.
        """
        selection = op.selection(call.grants)
        count = min(self.max_candidates, op.limit * OVERFETCH + SPARE_CANDIDATES)
        while True:
            answer = await self.candidates(op, selection, count)
            results = self._ranked(answer.found, selection)
            if answer.complete or len(results) >= op.limit or count >= self.max_candidates:
                break
            count = min(self.max_candidates, count * CANDIDATES_GROWTH)
        is_short = len(results) < op.limit and not answer.complete
        if isinstance(op, ContextSearch):
            results = [result for result in results if result.score > 0.0]
            if is_short and self._some_are_filtered(answer.found, selection):
                results += await self._rest(op.query, answer.found, selection, op.limit, only_answers=True)
            return results[: op.limit]
        lowest = op.min_score or 0.0
        if is_short:
            self._require_complete(answer.found, lowest)
            results += await self._rest(op.query, answer.found, selection, op.limit - len(results))
        results = [result for result in results if result.score >= lowest][: op.limit]
        return await self.with_readable_names_in(results, call, self.look_up)

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        """Asks again and again until none is queued."""
        await self.poll(op, lambda id: self.is_ingested(id, op.user_id))

    async def _selected(self, selection: Selection) -> Sequence[Stored]:
        """The selected memories, in any order."""
        now = self.ports.now()
        found: dict[str, Stored] = {}
        if selection.ids is not None and len(selection.ids) <= FETCHED_AT_MOST:
            for id in selection.ids:
                stored = await self.fetch_checked(id)
                if stored is not None and selection.matches(stored.record, now):
                    found[id] = stored
            return list(found.values())
        async for stored in self.everything(selection.user_id, selection.since, selection.until):
            if selection.matches(stored.record, now):
                found[stored.record.id] = stored
        return list(found.values())

    def _ranked(self, found: Iterable[Candidate], selection: Selection) -> SearchResults:
        """The candidates that are selected, once each and best first."""
        now = self.ports.now()
        results: dict[str, SearchResult] = {}
        for candidate in found:
            self.check_owner(candidate.stored, selection.user_id)
            record = candidate.stored.shown
            if record.id not in results and selection.matches(record, now):
                rank = len(results) + 1
                score = 1 / rank if candidate.score is None else min(1.0, max(0.0, candidate.score))
                score = round(score, SCORE_DIGITS)
                details = {f"x-{self.name}": dict(candidate.details)} if candidate.details else {}
                results[record.id] = SearchResult.model_validate({"memory": record, "score": score, **details})
        return sorted(results.values(), key=lambda result: -result.score)

    def _some_are_filtered(self, found: Iterable[Candidate], selection: Selection) -> bool:
        """Whether the backend found memories that the query's filters leave out, but for those that are not valid."""
        filters, now = replace(selection, only_valid=False), self.ports.now()
        return any(not filters.matches(candidate.stored.record, now) for candidate in found)

    def _require_complete(self, found: Sequence[Candidate], lowest: float) -> None:
        """Refuse to tell which memories have a score, if some that have it were not reached."""
        last = found[-1].score if found else None
        if lowest > 0.0 and last is not None and last >= lowest:
            raise UnsupportedCapabilityError(
                f"min_score: {self.vendor} compares only the {self.max_candidates} best memories of a user, and more "
                f"have a score of {lowest:g}; ask for a higher score, or within a scope"
            )

    async def _rest(
        self, query: str, found: Iterable[Candidate], selection: Selection, count: int, *, only_answers: bool = False
    ) -> SearchResults:
        """The best `count` memories that are selected and that the backend's search did not reach.

        Those with words of the query come first, then the newest.

        Args:
            only_answers: whether those without words of the query are left out.
        """
        words, ranked = words_of(query), {candidate.stored.record.id for candidate in found}
        rest = [
            (shared_letters(words, stored.record.content), Position.of(stored.record), stored.shown)
            for stored in await self._selected(selection)
            if stored.record.id not in ranked
        ]
        best = heapq.nlargest(count, rest, key=lambda one: one[:2])
        return [SearchResult(memory=record, score=0.0) for shared, _, record in best if shared or not only_answers]
