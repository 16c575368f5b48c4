"""The verbs over a vendor's SDK.

A vendor's backend knows texts, users and metadata; it does not know scopes, validity or paging by
position. `VendorProvider` gives the verbs their meaning on top of six calls that a subclass makes
through the SDK: `insert`, `fetch`, `replace`, `remove`, `pages` and `candidates`.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from ..._clock import IncreasingClock
from ..._ids import new_memory_id
from ..._scopes import ScopeFilter
from ...access import Access
from ...call import Call
from ...config import ClientConfig
from ...errors import InvalidRequestError, UnsupportedCapabilityError
from ...models import CapabilityFeatures, MemoryPage, MemoryRecord, SearchResult, SearchResults
from ...operations import Add, ContextSearch, Delete, Get, List, Search, Update, WaitForIngest
from ...ports import Ports
from ...selection import Position, Selection
from ..base import Provider, no_such_memory
from ..supersession import check_not_ended
from .answers import Answers
from .calls import SdkCaller
from .envelope import EnvelopeReader, Stored
from .errors import VendorErrors
from .settings import api_key


class SdkClient(Protocol):
    """What all clients of SDKs have. Their methods block."""

    def close(self) -> None:
        """Close the connections."""
        ...


C = TypeVar("C", bound=SdkClient)

DEFAULT_TIMEOUT_SECONDS = 30.0
OVERFETCH = 2
"""How many candidates are asked for at first, for each result that is wanted, …"""
SPARE_CANDIDATES = 8
"""… and on top of these, since filters leave some out."""
CANDIDATES_GROWTH = 4
"""How many times as many are asked for next, if too few pass the filters."""
SCORE_DIGITS = 6
"""Decimal places of scores: the last digits of vector arithmetic are not the same from call to call."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that the backend found.

    Attributes:
        stored: the memory.
        score: its similarity from 0 to 1; None if the backend only ranks.
        details: what else the backend says about the match; kept on the result.
    """

    stored: Stored
    score: float | None = None
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the backend found, best first.

    Attributes:
        found: at most as many as were asked for.
        complete: there would be no more, however many were asked for.
    """

    found: Sequence[Candidate]
    complete: bool


class VendorProvider(Provider, Generic[C]):
    """The verbs on top of a vendor's SDK, whose client is a `C`.

    A subclass sets `name`, `vendor`, `sdk_module`, `features` and `max_candidates`, and overrides `connect` and the
    six calls. A verb that the backend cannot have is taken out with, for example, ``update = Provider.update`` in the
    class body.

    The verbs are not atomic: what takes two requests can fail between them. Where `supersedes` is
    supported, the targets are checked, then the new memory is written, then the targets are ended. Two
    clients that supersede the same memory at the same moment can therefore both succeed.

    Attributes:
        vendor: the vendor's name as people write it.
        sdk_module: the module with the client `C`, which imports the SDK. Its function ``translate`` is the
            `Translate` of this SDK.
        max_candidates: most memories the backend's search returns.
        sdk: the client; only an open provider has one.
        call: calls a function of the client; only an open provider has it.
        errors: makes the errors about this backend.
        answers: reads what the client returns.
        envelopes: makes memories of what the backend holds.
    """

    vendor: str
    sdk_module: str
    max_candidates: int
    settings = frozenset({"api_key", "base_url", "host", "timeout"})
    features = CapabilityFeatures(temporal=True, scopes="tags")

    sdk: C
    call: SdkCaller

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self.timeout = config.timeout or DEFAULT_TIMEOUT_SECONDS
        """Seconds to wait for each part of a reply; also how long a thread can be stuck."""
        self.errors = VendorErrors(self.vendor, self.timeout)
        self.answers = Answers(self.errors)
        self.envelopes = EnvelopeReader(self.errors, f"x-{self.name}")
        self._clock = IncreasingClock()
        self._is_open = False

    def read_api_key(self, variable: str) -> str | None:
        """The API key: from the constructor, else from this environment variable. No message shows it."""
        key = api_key(self.config, variable)
        if key is not None:
            self.add_secret(key)
        return key

    async def open(self) -> None:
        if not self._is_open:
            module = await self.ports.import_module(self.sdk_module)
            self.call = SdkCaller(self.ports, self.errors, module.translate, self.redact)
            self.sdk = await self.call("construction of a client", self.connect, module, mutates=False)
            self._is_open = True

    async def close(self) -> None:
        if self._is_open:
            await self.ports.call_when_idle(self.sdk.close)

    # What a subclass says of its backend

    def connect(self, module: ModuleType) -> C:
        """Make the client of the SDK; called where it may block.

        Args:
            module: the module `sdk_module`.
        """
        raise NotImplementedError

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        """Store a new memory, and return it with its id.

        Args:
            draft: the record; its id is fresh and may be kept or replaced. Its metadata are
                `envelope.encode(draft)`.
        """
        raise NotImplementedError

    async def fetch(self, id: str) -> Stored | None:
        """The memory with this id, whosever it is. Refuse what cannot be an id without a request."""
        raise NotImplementedError

    async def replace(self, stored: Stored, record: MemoryRecord) -> None:
        """Make `stored` into `record`: its text if it differs, and the metadata.

        Keep the metadata of `stored` that are not ours.
        """
        raise NotImplementedError

    async def remove(self, stored: Stored) -> None:
        """Delete a memory; raise `no_such_memory` if it is gone already."""
        raise NotImplementedError

    def pages(self, user_id: str) -> AsyncGenerator[Iterable[Stored], None]:
        """All memories of a user, some at a time, in any order; the same one may come twice."""
        raise NotImplementedError

    async def candidates(self, op: Search, scopes: ScopeFilter | None, count: int) -> Candidates:
        """The `count` memories of the user that answer `op.query` best.

        Args:
            scopes: only these matter. A backend that can select by them should; whatever else it
                returns is filtered afterwards.
        """
        raise NotImplementedError

    async def is_ingested(self, id: str, user_id: str) -> bool:
        """Whether a memory of the user can be searched by now."""
        return self.is_searchable(await self.fetch_checked(id), id, user_id)

    # What calls of a subclass share

    async def fetch_checked(self, id: str) -> Stored | None:
        """What `fetch` returns, held against the id."""
        stored = await self.fetch(id)
        if stored is not None and stored.record.id != id:
            raise self.errors.malformed(f"memory {stored.record.id!r} to a call about {id!r}")
        return stored

    def is_searchable(self, stored: Stored | None, id: str, user_id: str) -> bool:
        """Whether a memory of the user is not queued any more.

        Args:
            stored: what `fetch` returned for `id`.

        Raises:
            NotFoundError: there is none, or it is another user's.
        """
        if stored is None or stored.record.user_id != user_id:
            raise no_such_memory(id)
        return stored.record.status != "queued"

    async def write(self, stored: Stored, changes: Mapping[str, Any]) -> Stored:
        """Replace fields of a memory, and return it as it is then."""
        record = MemoryRecord.model_validate({**stored.record.model_dump(), **changes})
        await self.replace(stored, record)
        return dataclasses.replace(stored, record=record)

    # The verbs

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        targets = await self._targets(op.supersedes or (), op.user_id, call)
        now = self._next_moment()
        check_not_ended(op, (target.record for target in targets), now)
        set_here = {"id": new_memory_id(op.user_id), "created_at": now}
        record = await self.insert(MemoryRecord.model_validate(op.record_fields | set_here))
        await self._end(targets, op.valid_from or now)
        return await self._readable(record, call, targets)

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        return await self._readable((await self._required(op.id, op.access, call)).shown, call)

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        stored = await self._required(op.id, op.access, call)
        changes = op.model_dump(include=set(op.changes))
        begin = stored.record.valid_from
        if op.valid_to is not None and begin is not None and op.valid_to < begin:
            raise InvalidRequestError(
                f"valid_to: {op.valid_to.isoformat()} is before the memory's valid_from {begin.isoformat()}"
            )
        targets = await self._targets(op.supersedes or (), stored.record.user_id, call)
        named, now = stored.record.supersedes or (), self._next_moment()
        check_not_ended(op, (target.record for target in targets if target.record.id not in named), now)
        if "supersedes" in changes:
            changes["supersedes"] = list(dict.fromkeys([*named, *(op.supersedes or ())]))
        changed = await self.write(stored, changes | {"updated_at": now})
        await self._end(targets, now)
        return await self._readable(changed.shown, call, targets)

    async def delete(self, op: Delete, call: Call) -> None:
        await self.remove(await self._required(op.id, op.access, call))

    async def list(self, op: List, call: Call) -> MemoryPage:
        """Reads all memories of the user, since a vendor's order and paging are not ours."""
        selection, now = op.selection(call.grants), self.ports.now()
        found: dict[str, MemoryRecord] = {}
        by_id: dict[str, MemoryRecord] = {}
        async for record in self._all(op.user_id):
            if call.grants.read is not None:
                by_id[record.id] = record
            if selection.matches(record, now):
                found[record.id] = record
        items = heapq.nlargest(op.limit, found.values(), key=Position.of)
        next_cursor = op.cursor_after(items[-1]) if len(found) > op.limit else None

        async def look_up(id: str) -> MemoryRecord | None:
            return by_id.get(id)

        return MemoryPage(items=list(await self.with_readable_names(items, call, look_up)), next_cursor=next_cursor)

    async def search(self, op: Search, call: Call) -> SearchResults:
        """Asks the backend for more and more until enough of what it finds passes the filters.

        What lies beyond the most it can find is taken from the list of all memories and comes last,
        with the score 0; but not in a prompt, where only what answers belongs.
        """
        selection = op.selection(call.grants)
        count = min(self.max_candidates, op.limit * OVERFETCH + SPARE_CANDIDATES)
        while True:
            answer = await self.candidates(op, selection.scopes, count)
            results = self._ranked(answer.found, selection)
            if answer.complete or len(results) >= op.limit or count >= self.max_candidates:
                break
            count = min(self.max_candidates, count * CANDIDATES_GROWTH)
        if isinstance(op, ContextSearch):
            return [result for result in results if result.score > 0.0][: op.limit]
        lowest = op.min_score or 0.0
        if len(results) < op.limit and not answer.complete:
            self._require_complete(answer.found, lowest)
            results += await self._unranked_rest(answer.found, selection, op.limit - len(results))
        results = [result for result in results if result.score >= lowest][: op.limit]
        return await self.with_readable_names_in(results, call, self._look_up)

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        """Asks again and again until none is queued."""
        await self.poll(op, lambda id: self.is_ingested(id, op.user_id))

    def _next_moment(self) -> datetime:
        """The time, later than at any call before, so that it orders what this client writes."""
        return self._clock.next(self.ports.now())

    async def _required(self, id: str, access: Access, call: Call) -> Stored:
        """A memory that the caller may know of, and may use in this way."""
        stored = await self.fetch_checked(id)
        if stored is None or not call.may_act_for(stored.record.user_id):
            raise no_such_memory(id)
        call.grants.require(access, stored.record.scope)
        return stored

    async def _targets(self, ids: Iterable[str], user_id: str, call: Call) -> Sequence[Stored]:
        """The memories that a new one supersedes."""
        targets = []
        for id in dict.fromkeys(ids):
            stored = await self.fetch_checked(id)
            if stored is None or stored.record.user_id != user_id:
                raise InvalidRequestError(f"supersedes: this user has no memory {id!r}; nothing was written")
            call.grants.require("write", stored.record.scope)
            targets.append(stored)
        return targets

    async def _end(self, targets: Iterable[Stored], moment: datetime) -> None:
        """End the validity of memories at this moment, unless it has ended or not begun by then."""
        for stored in targets:
            end = max(moment, stored.record.valid_from or moment)
            if stored.record.valid_to is None or stored.record.valid_to > end:
                await self.write(stored, {"valid_to": end, "updated_at": self._next_moment()})

    async def _look_up(self, id: str) -> MemoryRecord | None:
        stored = await self.fetch_checked(id)
        return None if stored is None else stored.record

    async def _readable(self, record: MemoryRecord, call: Call, superseded: Iterable[Stored] = ()) -> MemoryRecord:
        """`record` as the caller may see it.

        Args:
            superseded: memories that it supersedes, as far as they are at hand.
        """
        known = [stored.record for stored in superseded]
        [readable] = await self.with_readable_names([record], call, self._look_up, known)
        return readable

    async def _all(self, user_id: str) -> AsyncIterator[MemoryRecord]:
        async with aclosing(self.pages(user_id)) as pages:
            async for page in pages:
                for stored in page:
                    self._check_owner(stored, user_id)
                    yield stored.shown

    def _check_owner(self, stored: Stored, user_id: str) -> None:
        if stored.record.user_id != user_id:
            raise self.errors.malformed("a memory of another user; it was withheld")

    def _ranked(self, found: Iterable[Candidate], selection: Selection) -> SearchResults:
        """The candidates that are selected, once each and best first."""
        now = self.ports.now()
        results: dict[str, SearchResult] = {}
        for candidate in found:
            self._check_owner(candidate.stored, selection.user_id)
            record = candidate.stored.shown
            if record.id not in results and selection.matches(record, now):
                rank = len(results) + 1
                score = 1 / rank if candidate.score is None else min(1.0, max(0.0, candidate.score))
                score = round(score, SCORE_DIGITS)
                details = {f"x-{self.name}": dict(candidate.details)} if candidate.details else {}
                results[record.id] = SearchResult.model_validate({"memory": record, "score": score, **details})
        return sorted(results.values(), key=lambda result: -result.score)

    def _require_complete(self, found: Sequence[Candidate], lowest: float) -> None:
        """Refuse to tell which memories have a score, if some that have it were not reached."""
        last = found[-1].score if found else None
        if lowest > 0.0 and last is not None and last >= lowest:
            raise UnsupportedCapabilityError(
                f"min_score: {self.vendor} compares only the {self.max_candidates} best memories of a user, and more "
                f"have a score of {lowest:g}; ask for a higher score, or within a scope"
            )

    async def _unranked_rest(self, found: Iterable[Candidate], selection: Selection, count: int) -> SearchResults:
        """The `count` newest memories that are selected and that the backend's search did not reach."""
        now = self.ports.now()
        ranked = {candidate.stored.record.id for candidate in found}
        rest: dict[str, MemoryRecord] = {}
        async for record in self._all(selection.user_id):
            if record.id not in ranked and selection.matches(record, now):
                rest[record.id] = record
        newest = heapq.nlargest(count, rest.values(), key=Position.of)
        return [SearchResult(memory=record, score=0.0) for record in newest]
