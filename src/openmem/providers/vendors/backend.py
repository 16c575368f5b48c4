"""What a vendor's backend can do: the calls that a subclass makes through the SDK, and what they share."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from ..._clock import IncreasingClock
from ...access import Access
from ...call import Call
from ...config import ClientConfig
from ...errors import InvalidRequestError, NotFoundError
from ...models import MemoryRecord
from ...operations import Search
from ...ports import Ports
from ...selection import Selection
from ..base import Provider, no_such_memory
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


class VendorBackend(Provider, Generic[C]):
    """A vendor's backend behind its SDK, whose client is a `C`.

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

    async def remove_many(self, memories: Sequence[Stored]) -> int:
        """Delete memories of one user; how many were still there. By default one after the other."""
        count = 0
        for stored in memories:
            try:
                await self.remove(stored)
            except NotFoundError:
                continue
            count += 1
        return count

    def pages(
        self, user_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[Iterable[Stored], None]:
        """All memories of a user, some at a time, in any order; the same one may come twice.

        Args:
            since, until: those created before or after these times may be left out.
        """
        raise NotImplementedError

    async def total(self, user_id: str) -> int:
        """How many memories a user has. By default all are read."""
        return len({stored.record.id async for stored in self.everything(user_id)})

    async def candidates(self, op: Search, selection: Selection, count: int) -> Candidates:
        """The `count` memories of the user that answer `op.query` best.

        Args:
            selection: only these matter. A backend that can select by a part of it should; whatever else it
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

    def next_moment(self) -> datetime:
        """The time, later than at any call before, so that it orders what this client writes."""
        return self._clock.next(self.ports.now())

    async def required(self, id: str, access: Access, call: Call) -> Stored:
        """A memory that the caller may know of, and may use in this way."""
        stored = await self.fetch_checked(id)
        if stored is None or not call.may_act_for(stored.record.user_id):
            raise no_such_memory(id)
        call.grants.require(access, stored.record.scope)
        return stored

    async def targets(self, ids: Iterable[str], user_id: str, call: Call) -> Sequence[Stored]:
        """The memories that a new one supersedes."""
        targets = []
        for id in dict.fromkeys(ids):
            stored = await self.fetch_checked(id)
            if stored is None or stored.record.user_id != user_id:
                raise InvalidRequestError(f"supersedes: this user has no memory {id!r}; nothing was written")
            call.grants.require("write", stored.record.scope)
            targets.append(stored)
        return targets

    async def end_validity(self, targets: Iterable[Stored], moment: datetime) -> None:
        """End the validity of memories at this moment, unless it has ended or not begun by then."""
        for stored in targets:
            end = max(moment, stored.record.valid_from or moment)
            if stored.record.valid_to is None or stored.record.valid_to > end:
                await self.write(stored, {"valid_to": end, "updated_at": self.next_moment()})

    async def look_up(self, id: str) -> MemoryRecord | None:
        """The memory with this id, whosever it is."""
        stored = await self.fetch_checked(id)
        return None if stored is None else stored.record

    async def readable(self, record: MemoryRecord, call: Call, superseded: Iterable[Stored] = ()) -> MemoryRecord:
        """`record` as the caller may see it.

        Args:
            superseded: memories that it supersedes, as far as they are at hand.
        """
        known = [stored.record for stored in superseded]
        [readable] = await self.with_readable_names([record], call, self.look_up, known)
        return readable

    async def everything(
        self, user_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[Stored]:
        """What `pages` has, one by one, and of no other user."""
        async with aclosing(self.pages(user_id, since, until)) as pages:
            async for page in pages:
                for stored in page:
                    self.check_owner(stored, user_id)
                    yield stored

    def check_owner(self, stored: Stored, user_id: str) -> None:
        """Refuse an answer about another user's memory."""
        if stored.record.user_id != user_id:
            raise self.errors.malformed("a memory of another user; it was withheld")
