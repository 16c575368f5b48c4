"""The passthrough provider: a remote OMP server that looks like a local backend."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import quote

from ..._scopes import ScopeFilter
from ...config import ClientConfig
from ...errors import NotFoundError, OMPError, ProviderError, ScopeDeniedError
from ...models import (
    AuditEntries,
    Capabilities,
    ContextBlock,
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
    Context,
    Delete,
    Get,
    InRecord,
    List,
    Operation,
    ScopedQuery,
    Search,
    Update,
    WaitForIngest,
)
from ...ports import Ports
from ...ports.http import HttpRequest, HttpResponse
from ...tokens import estimate_tokens
from ...wire import (
    CAPABILITIES_PATH,
    HEALTH_PATH,
    IDEMPOTENCY_HEADER,
    REQUEST_ID_HEADER,
    USER_ID_HEADER,
    routes,
)
from ...wire.errors import decode_error
from ...wire.responses import decode_capabilities, decode_reply
from ...wire.route import Route
from ..base import Call, Provider, no_such_memory
from ..idempotency import hashed
from .connection import Connection
from .verification import Verification

R = TypeVar("R")

MAX_AUDIT_LIMIT: Final = 1000

# A character of a memory takes at most 4 bytes in UTF-8, or 6 as an escape (12 for two halves). Beside the texts
# there is room for what else records may hold, and an end to all of it.
CHARACTER_BYTES: Final = 6
USUAL_CONTENT_CHARACTERS: Final = 65_536
SPARE_REPLY_BYTES: Final = 16 * 1024 * 1024
MAX_REPLY_BYTES: Final = 256 * 1024 * 1024


class PassthroughProvider(Provider):
    """Memories behind an OMP server.

    A verb may be tried again after a lost connection, a 429 or a 503: `add` carries an idempotency key
    that the server remembers, and doing any other verb twice is the same as doing it once. The exception
    is `add_many`, which is tried again only after a 429.
    """

    name = "passthrough"
    settings = frozenset({"api_key", "base_url", "host", "pool_max_size", "timeout"})
    remembers_keys = True
    capabilities_are_remote = True

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._connection = Connection(config, ports)
        for secret in self._connection.secrets:
            self.add_secret(secret)
        self._verify = Verification(self._connection.base_url)
        self._remote: Capabilities | None = None

    async def open(self) -> None:
        if self._remote is None and not await self.probe():
            raise ProviderError(
                f"{self._connection.base_url} is no OMP server: {CAPABILITIES_PATH} does not tell an omp_version; "
                "check base_url"
            )

    async def probe(self) -> bool:
        """Whether ``base_url`` is an OMP server.

        Raises:
            ProviderError: the server cannot be reached or is failing, so that this is not known.
        """
        await self._connection.open()
        response = await self._connection.send(HttpRequest("GET", CAPABILITIES_PATH))
        if response.status == 429 or response.status >= 500:
            raise self._error(response)
        self._remote = decode_capabilities(response)
        if self._remote is None:
            return False
        self.features = self._remote.features
        self.limits = self._remote.limits
        self.verbs = (*self._remote.verbs, WaitForIngest.verb)
        return True

    def check(self, op: Operation, call: Call) -> None:
        """Until the capabilities of the server are known, only what the caller may do is known."""
        if self._remote is None:
            self.check_access(op, call)
        else:
            super().check(op, call)

    async def ping(self) -> None:
        """Ask for the server's health; one that does not tell it is well if it answers at all."""
        response = await self._connection.send(HttpRequest("GET", HEALTH_PATH))
        if response.status >= 500:
            raise self._error(response)

    async def close(self) -> None:
        await self._connection.close()

    async def capabilities(self) -> Capabilities:
        """The remote server's, as it returns them."""
        assert self._remote is not None, "open() comes first"
        return self._remote

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        call = self._in_time(call)
        await self._check_stored(op, op.supersedes or (), call)
        key = uuid.uuid4().hex if call.idempotency_key is None else hashed(call.idempotency_key)
        record = await self._perform(routes.ADD, op, call, {IDEMPOTENCY_HEADER: key})
        self._verify.added([record], [op])
        return await self._written(record, call)

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        """In one request, which the server performs whole or not at all."""
        call = self._in_time(call)
        for number, add in enumerate(op.records):
            with InRecord(number):
                await self._check_stored(add, add.supersedes or (), call)
        if not op.records:
            return []
        request = await self.ports.to_thread(routes.ADD_MANY.request, op)
        headers = {REQUEST_ID_HEADER: call.request_id}
        most = self._most_reply_bytes(len(op.records))
        request = replace(request, headers=headers, may_repeat=False, max_reply_bytes=most)
        response = await self._connection.send(request, call.deadline)
        records = await self.ports.to_thread(self._decode, routes.ADD_MANY, response)
        self._verify.added(records, op.records)
        records = list(await self.with_readable_names(records, call, self._looking_up(call, after_write=True)))
        if op.progress is not None:
            op.progress(len(records), len(records))
        return records

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        call = self._in_time(call)
        record = await self._perform(routes.GET, op, call)
        self._verify.id(record, op.id)
        _require_access(record, op, call)
        [shown] = await self.with_readable_names([record], call, self._looking_up(call))
        return shown

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        call = self._in_time(call)
        await self._check_stored(op, (op.id, *(op.supersedes or ())), call)
        record = await self._perform(routes.UPDATE, op, call)
        self._verify.id(record, op.id)
        if not call.may_act_for(record.user_id):
            raise self._verify.of_another_user()
        if op.content not in ("", record.content):
            raise self._verify.malformed("a memory with another text than it was given")
        return await self._written(record, call)

    async def delete(self, op: Delete, call: Call) -> None:
        call = self._in_time(call)
        await self._check_stored(op, (op.id,), call)
        response = await self._respond(routes.DELETE, op, call)
        try:
            self._decode(routes.DELETE, response)
        except NotFoundError:
            # Of two tries, the first may have deleted it, and its reply was lost.
            if not response.is_repeated:
                raise

    async def list(self, op: List, call: Call) -> MemoryPage:
        call = self._in_time(call)
        page = await self._page(op, call)
        granted = self._granted(op, call)
        if granted is None:
            return page
        items = [record for record in page.items if granted.matches(record.scope)]
        while len(items) < op.limit and page.next_cursor is not None:
            rest = op.model_copy(update={"cursor": page.next_cursor, "limit": op.limit - len(items)})
            page = await self._page(rest, call)
            items += [record for record in page.items if granted.matches(record.scope)]
        return page.model_copy(update={"items": items})

    async def _page(self, op: List, call: Call) -> MemoryPage:
        page = await self._perform(routes.LIST, op, call)
        self._verify.rows(page.items, op)
        if page.next_cursor is not None and (not page.items or page.next_cursor == op.cursor):
            raise self._verify.malformed("a page that leads no further")
        items = await self.with_readable_names(page.items, call, self._looking_up(call), page.items)
        return page.model_copy(update={"items": list(items)})

    async def search(self, op: Search, call: Call) -> SearchResults:
        """In one request, or in one per scope where the server cannot be asked for all of them at once."""
        call = self._in_time(call)
        patterns = self._patterns(op, call)
        if patterns == (op.scope,):
            return await self._search(op, call)
        found: dict[str, SearchResult] = {}
        for pattern in patterns:
            narrowed = Search(**op.model_dump() | {"scope": pattern})
            found |= {result.memory.id: result for result in await self._search(narrowed, call)}
        return sorted(found.values(), key=lambda result: -result.score)[: op.limit]

    async def _search(self, op: Search, call: Call) -> SearchResults:
        results = await self._perform(routes.SEARCH, op, call)
        self._verify.rows([result.memory for result in results], op)
        return await self.with_readable_names_in(results[: op.limit], call, self._looking_up(call))

    async def context(self, op: Context, call: Call) -> ContextBlock:
        """The server's, unless it must be cut to this client's grants or by its own token counter."""
        if self._granted(op, call) is not None or self.config.token_counter is not estimate_tokens:
            return await super().context(op, call)
        block = await self._perform(routes.CONTEXT, op, call)
        self._verify.ids((citation.memory_id for citation in block.citations), op.user_id)
        self._verify.ids((omitted.memory_id for omitted in block.omitted), op.user_id)
        return block

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        granted = call.grants.read
        if granted is None:
            return await self._entries(op, call)
        entries = await self._entries(op.model_copy(update={"limit": MAX_AUDIT_LIMIT}), call)
        return [entry for entry in entries if granted.matches(entry.scope)][: op.limit]

    async def _entries(self, op: Audit, call: Call) -> AuditEntries:
        entries = await self._perform(routes.AUDIT, op, call)
        self._verify.ids((entry.memory_id for entry in entries if entry.memory_id is not None), op.user_id)
        if op.app is not None and any(entry.app != op.app for entry in entries):
            raise self._verify.malformed("entries of another app than was asked for; they were withheld")
        return entries

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        async def is_ingested(id: str) -> bool:
            record = await self.get(Get(id=id), call)
            if record.user_id != op.user_id:
                raise no_such_memory(id)
            return record.status != "queued"

        await self.poll(op, is_ingested)

    async def _perform(self, route: Route[R], op: Operation, call: Call, headers: Mapping[str, str] | None = None) -> R:
        return self._decode(route, await self._respond(route, op, call, headers))

    async def _respond(
        self, route: Route[R], op: Operation, call: Call, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        all_headers = {REQUEST_ID_HEADER: call.request_id, **(headers or {})}
        user_id = getattr(op, "user_id", None)
        if user_id is not None:
            all_headers[USER_ID_HEADER] = quote(user_id)
        most = self._most_reply_bytes(getattr(op, "limit", 1))
        request = replace(route.request(op), headers=all_headers, max_reply_bytes=most)
        return await self._connection.send(request, call.deadline)

    def _decode(self, route: Route[R], response: HttpResponse) -> R:
        if response.status != route.status:
            raise self._error(response)
        return decode_reply(route, response)

    def _error(self, response: HttpResponse) -> OMPError:
        """What the server reports, without what it may repeat of our credential."""
        error = decode_error(response)
        error.message = self.redact(error.message)
        error.args = (error.message,)
        return error

    def _most_reply_bytes(self, records: int) -> int:
        """How long a reply with so many records can be."""
        length = max(USUAL_CONTENT_CHARACTERS, self.features.max_content_length or 0)
        return min(MAX_REPLY_BYTES, SPARE_REPLY_BYTES + records * length * CHARACTER_BYTES)

    def _in_time(self, call: Call) -> Call:
        """`call`, whose requests together take no longer than ``timeout``, however many the server makes necessary."""
        return call if call.deadline is not None else replace(call, deadline=self._connection.deadline())

    def _patterns(self, op: Search, call: Call) -> tuple[str | None, ...]:
        """The scopes to ask the server for, which takes one pattern at a time and knows nothing of grants."""
        scopes = op.scope_filter(call.grants)
        return (None,) if scopes is None else scopes.patterns

    def _looking_up(self, call: Call, *, after_write: bool = False) -> Callable[[str], Awaitable[MemoryRecord | None]]:
        """The memory with an id, as far as the server shows it.

        Args:
            after_write: the call has done its work, and does not fail any more.
        """

        async def look_up(id: str) -> MemoryRecord | None:
            try:
                return await self._perform(routes.GET, Get(id=id), call)
            except (NotFoundError, ScopeDeniedError):
                return None
            except OMPError:
                if after_write:
                    return None
                raise

        return look_up

    async def _written(self, record: MemoryRecord, call: Call) -> MemoryRecord:
        """`record`, which the server stored, as the caller may see it, whose grants the server does not know."""
        [shown] = await self.with_readable_names([record], call, self._looking_up(call, after_write=True))
        return shown

    def _granted(self, op: ScopedQuery, call: Call) -> ScopeFilter | None:
        """What a query that names no scope is limited to, which the server does not know."""
        return call.grants.of(op.access) if op.scope is None else None

    async def _check_stored(self, op: Add | Update | Delete, ids: Iterable[str], call: Call) -> None:
        """Hold a write against the caller's users and grants, which the server does not know."""
        if call.users is not None or call.grants.of(op.access) is not None:
            for id in ids:
                _require_access(await self._perform(routes.GET, Get(id=id), call), op, call)


def _require_access(record: MemoryRecord, op: Operation, call: Call) -> None:
    if not call.may_act_for(record.user_id):
        raise no_such_memory(record.id)
    call.grants.require(op.access, record.scope)
