"""What the providers over vendors' SDKs share.

A vendor's backend knows texts, users and metadata; it does not know scopes, validity or paging by
position. `VendorProvider` gives the verbs their meaning on top of six calls that a subclass makes
through the SDK: `insert`, `fetch`, `replace`, `remove`, `pages` and `candidates`.

Everything of a record that the backend has no place for travels as one JSON string under the
metadata key ``omp`` (the *envelope*), together with a few plain keys that begin with ``omp_`` and
that a backend can filter by. Memories that others wrote have no envelope and are read without it.
"""

from __future__ import annotations

import heapq
import json
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar, cast

from pydantic import ValidationError

from ..._ids import new_memory_id
from ..._network import split_url
from ..._quiet import quiet
from ..._retrying import TRIES, Tries
from ..._scopes import ScopeFilter
from ...access import Access
from ...config import ClientConfig
from ...errors import (
    InvalidRequestError,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
    unavailable,
)
from ...models import CapabilityFeatures, MemoryPage, MemoryRecord, SearchResult, SearchResults, as_utc
from ...operations import Add, ContextSearch, Delete, Get, List, Operation, Search, Update, WaitForIngest
from ...ports import Ports, SdkCall
from ...ports.errors import ConnectionFailedError
from ...selection import Position, Selection
from ..base import Call, Provider, check_not_ended, no_such_memory

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

ENVELOPE = "omp"
PROMOTED = "omp_"

DEFAULT_TIMEOUT = 30.0
OVERFETCH = 2
SPARE_CANDIDATES = 8
GROWTH = 4
# The last digits of vector arithmetic are not the same from call to call.
SCORE_DIGITS = 6

_verb: ContextVar[str] = ContextVar("openmem_verb", default="call")


class OverloadedError(ConnectionFailedError):
    """The backend asks to come back later.

    Attributes:
        retry_after: seconds to wait before the next try, when the backend said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Stored:
    """A memory as the backend holds it; `VendorProvider.stored` makes one.

    Attributes:
        core: the record as it was given to openmem.
        foreign: its metadata that are not openmem's.
        beyond: what the backend tells beyond OMP, with `foreign` as ``metadata``.
        key: the extension under which `record` shows `beyond`.
    """

    core: MemoryRecord
    foreign: Mapping[str, Any]
    beyond: Mapping[str, Any]
    key: str

    @property
    def record(self) -> MemoryRecord:
        """The record as verbs return it."""
        given = self.core.extensions.get(self.key, {})
        if not self.beyond or not isinstance(given, dict):
            return self.core
        return self.core.model_copy(update={self.key: {**self.beyond, **given}})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that the backend found.

    Attributes:
        stored: the memory.
        score: its similarity from 0 to 1; None if the backend only ranks.
        details: what else the backend tells of the match; kept on the result.
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


class VendorProvider(Provider):
    """The verbs on top of a vendor's SDK.

    A subclass sets `name`, `vendor`, `features` and `max_candidates`, makes its SDK client in `open`,
    and overrides `translate` and the six calls. A verb that the backend cannot have is taken out
    with, for example, ``update = Provider.update`` in the class body.

    The verbs are not atomic: what takes two requests can fail between them. Where `supersedes` is
    supported, the targets are checked, then the new memory is written, then the targets are ended. Two
    clients that supersede the same memory at the same moment can therefore both succeed.

    Attributes:
        vendor: the vendor's name as people write it.
        max_candidates: most memories the backend's search returns.
    """

    vendor: str
    max_candidates: int
    features = CapabilityFeatures(temporal=True, scopes="tags")

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._last_moment = datetime.min.replace(tzinfo=UTC)

    # What a subclass says of its backend

    def translate(self, error: Exception) -> OMPError:
        """The error for an exception of the SDK, with its own as the cause.

        `failure` makes one from an HTTP status. A lost connection is a `ConnectionFailedError`,
        which is tried again; an answer that did not come in time is not.
        """
        raise NotImplementedError

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        """Store a new memory, and return it with its id.

        Args:
            draft: the record; its id is fresh and may be kept or replaced. Its metadata are
                `envelope(draft)`.
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
        return self._is_searchable(await self._fetch(id), id, user_id)

    # Calls of the SDK

    async def call(
        self, function: Callable[..., R], /, *args: Any, changes: bool, of: str | None = None, **kwargs: Any
    ) -> R:
        """What a function of the SDK returns, called where it may block.

        A call that changes nothing is tried again, at most twice, after a lost connection and where
        the backend asks for it; one that changes something is sent once.

        Args:
            changes: whether the call can change what is stored.
            of: id of the memory that the call names, if it does.

        Raises:
            NotFoundError: the backend says that `of` does not exist.
            OMPError: whatever else `translate` makes of the SDK's exception.
        """
        work = SdkCall(function, f"{_verb.get()} on {self.vendor}", changes)
        tries = Tries(1 if changes else TRIES)
        while True:
            try:
                with quiet():
                    return await self.ports.to_thread(work, *args, **kwargs)
            except OMPError:
                raise
            except Exception as error:
                translated = self._translated(error, of)
                pause = None
                if isinstance(translated, RateLimitedError | ConnectionFailedError):
                    pause = tries.pause(getattr(translated, "retry_after", None))
                if pause is None:
                    raise translated from error
            await self.ports.sleep(pause)

    def _translated(self, error: Exception, of: str | None) -> OMPError:
        translated = self.translate(error)
        if isinstance(translated, NotFoundError):
            if of is not None:
                return no_such_memory(of)
            translated = ProviderError(f"{translated.message}; check host and base_url")
        translated.message = self.scrubbed(translated.message)
        translated.args = (translated.message,)
        return translated

    def failure(self, status: int, detail: str, retry_after: float | None = None) -> OMPError:
        """The error for a reply with this HTTP status.

        Args:
            detail: what the backend said.
            retry_after: seconds it asked to wait.
        """
        message = f"{self.vendor} answered {status}: {shortened(detail)}"
        match status:
            case 400 | 413 | 422:
                return InvalidRequestError(message)
            case 401 | 403:
                return UnauthorizedError(f"{message}; check api_key")
            case 404:
                return NotFoundError(message)
            case 429:
                return RateLimitedError(message, retry_after=retry_after)
            case 503:
                return OverloadedError(message, retry_after=retry_after)
            case 408 | 502 | 504:
                return unavailable(message)
        return ProviderError(message)

    def unreachable(self, detail: str) -> ConnectionFailedError:
        """The error for a connection that could not be made, or broke."""
        return ConnectionFailedError(f"the connection to {self.vendor} failed: {shortened(detail)}")

    def timed_out(self) -> ProviderError:
        """The error for an answer that did not come in time."""
        return unavailable(f"{self.vendor} did not answer within {self.timeout:g} s")

    def malformed(self, what: str) -> ProviderError:
        """The error for an answer that is not what the SDK promises."""
        return ProviderError(f"{self.vendor} answered with {what}")

    @property
    def timeout(self) -> float:
        """Seconds to wait for each part of a reply; also how long a thread can be stuck."""
        return self.config.timeout or DEFAULT_TIMEOUT

    def credential(self, variable: str) -> str | None:
        """The API key: from the constructor, else from an environment variable."""
        key = self.config.api_key or os.environ.get(variable, "").strip() or None
        if key is not None:
            self.keep_secret(key)
        return key

    # Answers of the SDK

    def field(self, answer: object, name: str, kind: type[T]) -> T:
        """A field of an answer, a mapping or an object, that must be there.

        Args:
            kind: its type. A `float` may come as an int, a `datetime` as ISO text.

        Raises:
            ProviderError: it is missing or of another type.
        """
        value = self.optional(answer, name, kind)
        if value is None:
            raise self.malformed(f"no {name!r} where one was expected")
        return value

    def optional(self, answer: object, name: str, kind: type[T]) -> T | None:
        """Like `field`, but None if it is missing or null."""
        if isinstance(answer, Mapping):
            value = answer.get(name)
        elif isinstance(answer, str | bytes | int | float | list | tuple | None):
            raise self.malformed(f"{type(answer).__name__} where an object with {name!r} was expected")
        else:
            value = getattr(answer, name, None)
        return None if value is None else self.of_kind(value, name, kind)

    def of_kind(self, value: object, name: str, kind: type[T]) -> T:
        """`value` if it is of this type, which an answer calls `name`."""
        if kind is datetime and isinstance(value, datetime | str):
            try:
                return cast(T, as_utc(value if isinstance(value, datetime) else datetime.fromisoformat(value)))
            except ValueError:
                raise self.malformed(f"{name!r} that is no time") from None
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise self.malformed(f"{name!r} that is no finite number")
            return cast(T, float(value))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.malformed(f"{name!r} of type {type(value).__name__}, not {kind.__name__}")
        return value

    # The envelope

    def envelope(self, record: MemoryRecord) -> dict[str, Any]:
        """The metadata that carry what the backend has no place for.

        The keys are always the same, so that an update overwrites all of them also in a backend
        that merges metadata. The plain ones are empty where the record has nothing.
        """
        extensions = record.model_extra or {}
        fields = record.model_dump(mode="json", exclude={"id", "content", "status", *extensions})
        carried = {name: value for name, value in fields.items() if value is not None} | extensions
        return {
            ENVELOPE: json.dumps(carried, ensure_ascii=False, separators=(",", ":")),
            f"{PROMOTED}scope": record.scope or "",
            f"{PROMOTED}tags": list(dict.fromkeys(record.tags or ())),
            f"{PROMOTED}app": (record.source and record.source.app) or "",
        }

    def stored(
        self,
        *,
        id: str,
        content: str,
        user_id: str,
        metadata: Mapping[str, Any] | None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        valid_to: datetime | None = None,
        status: str | None = "stored",
        beyond: Mapping[str, Any] | None = None,
    ) -> Stored:
        """A memory from what the backend holds of it.

        Args:
            user_id: whose it is, as the backend says.
            metadata: all its metadata; the envelope in them, if any, goes before the other fields.
            created_at, updated_at, valid_to: the backend's own times, for memories that others wrote.
            beyond: what the backend tells beyond OMP; what is empty is left out.

        Raises:
            ProviderError: the envelope is damaged, or is another user's.
        """
        metadata = metadata or {}
        foreign = {key: value for key, value in metadata.items() if key != ENVELOPE and not key.startswith(PROMOTED)}
        shown = {name: value for name, value in (beyond or {}).items() if value not in (None, "", [], {})}
        if foreign:
            shown["metadata"] = foreign
        times = {"created_at": created_at, "updated_at": updated_at, "valid_to": valid_to}
        fields: dict[str, Any] = times | {"user_id": user_id}
        if ENVELOPE in metadata:
            fields = self._opened(id, metadata[ENVELOPE])
            if fields.get("user_id") != user_id:
                raise ProviderError(f"{self.vendor} holds memory {id!r} under a user who did not store it")
        try:
            core = MemoryRecord.model_validate(fields | {"id": id, "content": content, "status": status})
        except ValidationError as error:
            raise self.malformed(f"a memory {id!r} of which something is missing or damaged") from error
        return Stored(core, foreign, shown, f"x-{self.name}")

    def _opened(self, id: str, envelope: object) -> dict[str, Any]:
        try:
            fields = json.loads(envelope) if isinstance(envelope, str) else None
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise self.malformed(f"a memory {id!r} whose metadata are damaged")
        return fields

    # The verbs

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        with _named(op):
            targets = await self._targets(op.supersedes or (), op.user_id, call)
            now = self._now()
            check_not_ended(op, (target.core for target in targets), now)
            set_here = {"id": new_memory_id(op.user_id), "created_at": now}
            record = await self.insert(MemoryRecord.model_validate(op.record_fields | set_here))
            await self._end(targets, op.valid_from or now)
            return await self._shown(record, call, targets)

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        with _named(op):
            return await self._shown((await self._required(op.id, op.access, call)).record, call)

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        with _named(op):
            stored = await self._required(op.id, op.access, call)
            changes = op.model_dump(include=set(op.changes))
            begin = stored.core.valid_from
            if op.valid_to is not None and begin is not None and op.valid_to < begin:
                raise InvalidRequestError(
                    f"valid_to: {op.valid_to.isoformat()} is before the memory's valid_from {begin.isoformat()}"
                )
            targets = await self._targets(op.supersedes or (), stored.core.user_id, call)
            named, now = stored.core.supersedes or (), self._now()
            check_not_ended(op, (target.core for target in targets if target.core.id not in named), now)
            if "supersedes" in changes:
                changes["supersedes"] = list(dict.fromkeys([*named, *(op.supersedes or ())]))
            changed = await self._write(stored, changes | {"updated_at": now})
            await self._end(targets, now)
            return await self._shown(changed.record, call, targets)

    async def delete(self, op: Delete, call: Call) -> None:
        with _named(op):
            await self.remove(await self._required(op.id, op.access, call))

    async def list(self, op: List, call: Call) -> MemoryPage:
        """Reads all memories of the user, since a vendor's order and paging are not ours."""
        with _named(op):
            selection, now = op.selection(call.grants), datetime.now(UTC)
            found: dict[str, MemoryRecord] = {}
            named: dict[str, MemoryRecord] = {}
            async for record in self._all(op.user_id):
                if call.grants.read is not None:
                    named[record.id] = record
                if selection.matches(record, now):
                    found[record.id] = record
            items = heapq.nlargest(op.limit, found.values(), key=Position.of)
            next_cursor = op.cursor_after(items[-1]) if len(found) > op.limit else None

            async def look_up(id: str) -> MemoryRecord | None:
                return named.get(id)

            shown = await self.with_readable_names(items, call, look_up)
            return MemoryPage(items=list(shown), next_cursor=next_cursor)

    async def search(self, op: Search, call: Call) -> SearchResults:
        """Asks the backend for more and more until enough of what it finds passes the filters.

        What lies beyond the most it can find is taken from the list of all memories and comes last,
        with the score 0; but not in a prompt, where only what answers belongs.
        """
        with _named(op):
            selection = op.selection(call.grants)
            count = min(self.max_candidates, op.limit * OVERFETCH + SPARE_CANDIDATES)
            while True:
                answer = await self.candidates(op, selection.scopes, count)
                results = self._ranked(answer.found, selection)
                if answer.complete or len(results) >= op.limit or count >= self.max_candidates:
                    break
                count = min(self.max_candidates, count * GROWTH)
            if isinstance(op, ContextSearch):
                return [result for result in results if result.score > 0.0][: op.limit]
            lowest = op.min_score or 0.0
            if len(results) < op.limit and not answer.complete:
                self._check_reach(answer.found, lowest)
                results += await self._beyond(answer.found, results, op, selection)
            results = [result for result in results if result.score >= lowest][: op.limit]
            return await self.with_readable_names_in(results, call, self._look_up)

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        """Asks again and again until none is queued."""
        with _named(op):
            await self.poll(op, lambda id: self.is_ingested(id, op.user_id))

    def _now(self) -> datetime:
        """The time, later than at any call before, so that it orders what this client writes."""
        self._last_moment = max(datetime.now(UTC), self._last_moment + timedelta(microseconds=1))
        return self._last_moment

    async def _fetch(self, id: str) -> Stored | None:
        stored = await self.fetch(id)
        if stored is not None and stored.core.id != id:
            raise self.malformed(f"memory {stored.core.id!r} to a call about {id!r}")
        return stored

    def _is_searchable(self, stored: Stored | None, id: str, user_id: str) -> bool:
        if stored is None or stored.core.user_id != user_id:
            raise no_such_memory(id)
        return stored.core.status != "queued"

    async def _required(self, id: str, access: Access, call: Call) -> Stored:
        """A memory that the caller may know of, and may use in this way."""
        stored = await self._fetch(id)
        if stored is None or not call.may_act_for(stored.core.user_id):
            raise no_such_memory(id)
        call.grants.require(access, stored.core.scope)
        return stored

    async def _targets(self, ids: Iterable[str], user_id: str, call: Call) -> Sequence[Stored]:
        """The memories that a new one supersedes."""
        targets = []
        for id in dict.fromkeys(ids):
            stored = await self._fetch(id)
            if stored is None or stored.core.user_id != user_id:
                raise InvalidRequestError(f"supersedes: this user has no memory {id!r}; nothing was written")
            call.grants.require("write", stored.core.scope)
            targets.append(stored)
        return targets

    async def _end(self, targets: Iterable[Stored], moment: datetime) -> None:
        for stored in targets:
            end = max(moment, stored.core.valid_from or moment)
            if stored.core.valid_to is None or stored.core.valid_to > end:
                await self._write(stored, {"valid_to": end, "updated_at": self._now()})

    async def _look_up(self, id: str) -> MemoryRecord | None:
        stored = await self._fetch(id)
        return None if stored is None else stored.core

    async def _shown(self, record: MemoryRecord, call: Call, named: Iterable[Stored] = ()) -> MemoryRecord:
        """`record` as the caller may see it.

        Args:
            named: memories that it supersedes, as far as they are at hand.
        """
        known = [stored.core for stored in named]
        [shown] = await self.with_readable_names([record], call, self._look_up, known)
        return shown

    async def _write(self, stored: Stored, changes: Mapping[str, Any]) -> Stored:
        core = MemoryRecord.model_validate({**stored.core.model_dump(), **changes})
        await self.replace(stored, core)
        return replace(stored, core=core)

    async def _all(self, user_id: str) -> AsyncIterator[MemoryRecord]:
        async with aclosing(self.pages(user_id)) as pages:
            async for page in pages:
                for stored in page:
                    self._check_owner(stored, user_id)
                    yield stored.record

    def _check_owner(self, stored: Stored, user_id: str) -> None:
        if stored.core.user_id != user_id:
            raise self.malformed("a memory of another user; it was withheld")

    def _ranked(self, found: Iterable[Candidate], selection: Selection) -> SearchResults:
        now = datetime.now(UTC)
        results: dict[str, SearchResult] = {}
        for candidate in found:
            self._check_owner(candidate.stored, selection.user_id)
            record = candidate.stored.record
            if record.id not in results and selection.matches(record, now):
                rank = len(results) + 1
                score = 1 / rank if candidate.score is None else min(1.0, max(0.0, candidate.score))
                score = round(score, SCORE_DIGITS)
                details = {f"x-{self.name}": dict(candidate.details)} if candidate.details else {}
                results[record.id] = SearchResult.model_validate({"memory": record, "score": score, **details})
        return sorted(results.values(), key=lambda result: -result.score)

    def _check_reach(self, found: Sequence[Candidate], lowest: float) -> None:
        """Refuse to tell which memories have a score, if some that have it were not reached."""
        last = found[-1].score if found else None
        if lowest > 0.0 and last is not None and last >= lowest:
            raise UnsupportedCapabilityError(
                f"min_score: {self.vendor} compares only the {self.max_candidates} best memories of a user, and more "
                f"have a score of {lowest:g}; ask for a higher score, or within a scope"
            )

    async def _beyond(
        self, found: Iterable[Candidate], results: SearchResults, op: Search, selection: Selection
    ) -> SearchResults:
        """Memories that count and that the backend's search did not reach, newest first."""
        now = datetime.now(UTC)
        seen = {candidate.stored.core.id for candidate in found}
        rest: dict[str, MemoryRecord] = {}
        async for record in self._all(op.user_id):
            if record.id not in seen and selection.matches(record, now):
                rest[record.id] = record
        newest = heapq.nlargest(op.limit - len(results), rest.values(), key=Position.of)
        return [SearchResult(memory=record, score=0.0) for record in newest]


def shortened(text: str, length: int = 300) -> str:
    """`text` on one line, of at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def endpoint(config: ClientConfig) -> str | None:
    """The URL of the backend in ``host`` or ``base_url``, without a trailing slash; None for the vendor's own."""
    if config.host is not None and config.base_url is not None and config.host != config.base_url:
        raise InvalidRequestError("host and base_url name different servers; pass only one of them")
    setting, url = ("host", config.host) if config.host is not None else ("base_url", config.base_url)
    return None if url is None else check_url(setting, url)


def check_url(setting: str, url: str) -> str:
    """`url`, the value of `setting`, without a trailing slash, if it is an http(s) URL without a credential."""
    checked, user, _ = split_url(setting, url)
    if user is not None:
        raise InvalidRequestError(f"{setting}: it has a user name or a password, which a log would show; pass api_key")
    return checked


@contextmanager
def _named(op: Operation) -> Iterator[None]:
    """Within the block, calls of the SDK are logged as this verb's."""
    token = _verb.set(op.verb)
    try:
        yield
    finally:
        _verb.reset(token)
