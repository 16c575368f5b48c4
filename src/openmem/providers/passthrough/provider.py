"""The passthrough provider: a remote OMP server that looks like a local backend."""

from __future__ import annotations

import uuid

from ...config import ClientConfig
from ...errors import NotFoundError, ProviderError
from ...models import (
    AuditEntries,
    Capabilities,
    ContextBlock,
    Erased,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    Purged,
    RestoredMemories,
    SearchResult,
    SearchResults,
    UserPage,
)
from ...models import (
    Facets as FacetList,
)
from ...operations import (
    Add,
    AddMany,
    Audit,
    Context,
    Count,
    Delete,
    DeleteMany,
    Facets,
    ForgetUser,
    Get,
    GetByKey,
    History,
    InRecord,
    List,
    Operation,
    Purge,
    Put,
    Restore,
    Search,
    Update,
    Users,
    WaitForIngest,
)
from ...ports import Ports
from ...ports.http import HttpRequest
from ...tokens import estimate_tokens
from ...wire import CAPABILITIES_PATH, HEALTH_PATH, IDEMPOTENCY_HEADER, routes
from ...wire.responses import decode_capabilities
from ..base import Call, Provider, no_such_memory
from ..idempotency import hashed
from .connection import Connection
from .exchange import Exchange, in_bodies
from .permissions import Permissions, require_access
from .verification import Verification

MAX_AUDIT_LIMIT = 1000


class PassthroughProvider(Provider):
    """Memories behind an OMP server.

    A verb may be tried again after a lost connection, a 429 or a 503: `add` carries an idempotency key
    that the server remembers, and doing most other verbs twice is the same as doing it once. The exceptions
    are tried again only after a 429: writes with ``if_version``, `put` with a history, `delete_many`, `forget_user`
    and `purge`, and `add_many` without a key.
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
        self._exchange = Exchange(self._connection, ports, self.redact)
        self._permissions = Permissions(self._exchange)
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
            raise self._exchange.error(response)
        self._remote = decode_capabilities(response)
        if self._remote is None:
            return False
        self.features = self._exchange.features = self._remote.features
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
            raise self._exchange.error(response)

    async def close(self) -> None:
        await self._connection.close()

    async def capabilities(self) -> Capabilities:
        """The remote server's, as it returns them."""
        assert self._remote is not None, "open() comes first"
        return self._remote

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        call = self._exchange.in_time(call)
        await self._permissions.check_stored(op, op.supersedes or (), call)
        key = uuid.uuid4().hex if call.idempotency_key is None else hashed(call.idempotency_key)
        record = await self._exchange.perform(routes.ADD, op, call, {IDEMPOTENCY_HEADER: key})
        self._verify.added([record], [op])
        return await self._written(record, call)

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        """In one request, which the server performs whole or not at all."""
        call = self._exchange.in_time(call)
        for number, add in enumerate(op.records):
            with InRecord(number):
                await self._permissions.check_stored(add, add.supersedes or (), call)
        if not op.records:
            return []
        # Without a key, nobody could tell whether a first try has stored them.
        key = None if call.idempotency_key is None else hashed(call.idempotency_key)
        headers = None if key is None else {IDEMPOTENCY_HEADER: key}
        records = await self._exchange.perform_large(
            routes.ADD_MANY, op, call, len(op.records), headers, may_repeat=key is not None
        )
        self._verify.added(records, op.records)
        look_up = self._permissions.looking_up(call, after_write=True)
        records = list(await self.with_readable_names(records, call, look_up))
        if op.progress is not None:
            op.progress(len(records), len(records))
        return records

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        call = self._exchange.in_time(call)
        record = await self._exchange.perform(routes.GET, op, call)
        self._verify.id(record, op.id)
        require_access(record, op, call)
        [shown] = await self.with_readable_names([record], call, self._permissions.looking_up(call))
        return shown

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        call = self._exchange.in_time(call)
        await self._permissions.check_stored(op, (op.id, *(op.supersedes or ())), call)
        record = await self._exchange.perform(routes.UPDATE, op, call, may_repeat=op.if_version is None)
        self._verify.id(record, op.id)
        if not call.may_act_for(record.user_id):
            raise self._verify.of_another_user()
        if op.content not in ("", record.content):
            raise self._verify.malformed("a memory with another text than it was given")
        return await self._written(record, call)

    async def delete(self, op: Delete, call: Call) -> None:
        call = self._exchange.in_time(call)
        await self._permissions.check_stored(op, (op.id,), call)
        response = await self._exchange.respond(routes.DELETE, op, call)
        try:
            self._exchange.decode(routes.DELETE, response)
        except NotFoundError:
            # Of two tries, the first may have deleted it, and its reply was lost.
            if not response.is_repeated:
                raise

    async def list(self, op: List, call: Call) -> MemoryPage:
        call = self._exchange.in_time(call)
        narrowed = self._permissions.narrowed(op, call)
        page = await self._page(narrowed or op, call)
        granted = None if narrowed is not None else self._permissions.granted(op, call)
        if granted is None:
            return page
        items = [record for record in page.items if granted.matches(record.scope)]
        while len(items) < op.limit and page.next_cursor is not None:
            rest = op.model_copy(update={"cursor": page.next_cursor, "limit": op.limit - len(items)})
            page = await self._page(rest, call)
            items += [record for record in page.items if granted.matches(record.scope)]
        return page.model_copy(update={"items": items})

    async def _page(self, op: List, call: Call) -> MemoryPage:
        page = await self._exchange.perform(routes.LIST, op, call)
        self._verify.rows(page.items, op)
        if page.next_cursor is not None and (not page.items or page.next_cursor == op.cursor):
            raise self._verify.malformed("a page that leads no further")
        items = await self.with_readable_names(page.items, call, self._permissions.looking_up(call), page.items)
        return page.model_copy(update={"items": list(items)})

    async def search(self, op: Search, call: Call) -> SearchResults:
        """In one request, or in one per scope where the server cannot be asked for all of them at once."""
        call = self._exchange.in_time(call)
        narrowed = self._permissions.narrowed(op, call)
        if narrowed is not None:
            return await self._search(narrowed, call)
        scopes = op.scope_filter(call.grants)
        found: dict[str, SearchResult] = {}
        for pattern in () if scopes is None else scopes.patterns:
            one = Search(**op.model_dump() | {"scope": pattern})
            found |= {result.memory.id: result for result in await self._search(one, call)}
        return sorted(found.values(), key=lambda result: -result.score)[: op.limit]

    async def _search(self, op: Search, call: Call) -> SearchResults:
        results = await self._exchange.perform(self._exchange.search_route(op), op, call)
        self._verify.rows([result.memory for result in results], op)
        return await self.with_readable_names_in(results[: op.limit], call, self._permissions.looking_up(call))

    async def context(self, op: Context, call: Call) -> ContextBlock:
        """The server's, unless it must be cut to this client's grants or by its own token counter."""
        if self._permissions.granted(op, call) is not None or self.config.token_counter is not estimate_tokens:
            return await super().context(op, call)
        block = await self._exchange.perform(routes.CONTEXT, op, call)
        self._verify.ids((citation.memory_id for citation in block.citations), op.user_id)
        self._verify.ids((omitted.memory_id for omitted in block.omitted), op.user_id)
        return block

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        granted = call.grants.read
        if granted is None:
            return await self._entries(op, call)
        entries = await self._entries(op.model_copy(update={"limit": MAX_AUDIT_LIMIT}), call)
        readable = [number for number, entry in enumerate(entries, 1) if granted.matches(entry.scope)]
        if len(readable) > op.limit:
            # A page that ends where this one must, so that the server's cursor is of there.
            entries = await self._entries(op.model_copy(update={"limit": readable[op.limit - 1]}), call)
        return AuditEntries((entry for entry in entries if granted.matches(entry.scope)), entries.next_cursor)

    async def _entries(self, op: Audit, call: Call) -> AuditEntries:
        entries = await self._exchange.perform(routes.AUDIT, op, call)
        self._verify.ids((entry.memory_id for entry in entries if entry.memory_id is not None), op.user_id)
        if op.app is not None and any(entry.app != op.app for entry in entries):
            raise self._verify.malformed("entries of another app than was asked for; they were withheld")
        return entries

    async def put(self, op: Put, call: Call) -> MemoryRecord:
        call = self._exchange.in_time(call)
        await self._permissions.check_stored(op, op.supersedes or (), call)
        is_same_twice = op.if_version is None and not op.keep_history and not op.supersedes
        record = await self._exchange.perform(routes.PUT, op, call, may_repeat=is_same_twice)
        self._verify.under_key(record, op)
        self._verify.added([record], [op])
        return await self._written(record, call)

    async def get_by_key(self, op: GetByKey, call: Call) -> MemoryRecord:
        call = self._exchange.in_time(call)
        record = await self._exchange.perform(routes.GET_BY_KEY, op, call)
        self._verify.under_key(record, op)
        [shown] = await self.with_readable_names([record], call, self._permissions.looking_up(call))
        return shown

    async def delete_many(self, op: DeleteMany, call: Call) -> int:
        narrowed = self._permissions.require_narrowed(op, call)
        return await self._exchange.perform(routes.DELETE_MANY, narrowed, call, may_repeat=op.dry_run)

    async def count(self, op: Count, call: Call) -> int:
        return await self._exchange.perform(routes.COUNT, self._permissions.require_narrowed(op, call), call)

    async def facets(self, op: Facets, call: Call) -> FacetList:
        narrowed = self._permissions.require_narrowed(op, call)
        facets = await self._exchange.perform(routes.FACETS, narrowed, call)
        self._verify.facets(facets, narrowed)
        return facets

    async def history(self, op: History, call: Call) -> MemoryRecords:
        call = self._exchange.in_time(call)
        records = await self._exchange.perform(routes.HISTORY, op, call)
        require_access(self._verify.history(records, op), op, call)
        granted = call.grants.read
        shown = [record for record in records if granted is None or granted.matches(record.scope)]
        return list(await self.with_readable_names(shown, call, self._permissions.looking_up(call), records))

    async def users(self, op: Users, call: Call) -> UserPage:
        page = await self._exchange.perform(routes.USERS, op, call)
        self._verify.users(page.items, op)
        if page.next_cursor is not None and (not page.items or page.next_cursor == op.cursor):
            raise self._verify.malformed("a page that leads no further")
        return page

    async def forget_user(self, op: ForgetUser, call: Call) -> Erased:
        return await self._exchange.perform(routes.FORGET_USER, op, call, may_repeat=False)

    async def restore(self, op: Restore, call: Call) -> RestoredMemories:
        """In one request, or in as many as the server's bound on a body makes necessary."""
        restored = RestoredMemories()
        for batch in await self.ports.to_thread(in_bodies, op.records):
            part = Restore(records=batch)
            records = await self._exchange.perform_large(routes.RESTORE, part, call, len(batch), may_repeat=True)
            self._verify.restored(records, batch)
            known, existing = restored.existing, records.existing
            restored = RestoredMemories(
                [*restored, *records], None if known is None or existing is None else known | existing
            )
            if op.progress is not None:
                op.progress(len(restored), len(op.records))
        return restored

    async def purge(self, op: Purge, call: Call) -> Purged:
        return await self._exchange.perform(routes.PURGE, op, call, may_repeat=False)

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        async def is_ingested(id: str) -> bool:
            record = await self.get(Get(id=id), call)
            if record.user_id != op.user_id:
                raise no_such_memory(id)
            return record.status != "queued"

        await self.poll(op, is_ingested)

    async def _written(self, record: MemoryRecord, call: Call) -> MemoryRecord:
        """`record`, which the server stored, as the caller may see it, whose grants the server does not know."""
        look_up = self._permissions.looking_up(call, after_write=True)
        [shown] = await self.with_readable_names([record], call, look_up)
        return shown
