"""The passthrough provider: a remote OMP server that looks like a local backend."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote, urlsplit

from .. import routes
from .._retrying import Tries, retry_after
from .._scopes import ScopeFilter
from ..config import ClientConfig
from ..errors import InvalidRequestError, ProviderError
from ..io import ConnectionFailedError, HttpIO, HttpRequest, HttpResponse, HttpSettings, Ports
from ..models import (
    AuditEntries,
    Capabilities,
    ContextBlock,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    SearchResult,
    SearchResults,
)
from ..operations import (
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
from ..tokens import estimate_tokens
from .base import Call, Provider, hashed, no_such_memory

R = TypeVar("R")

DEFAULT_TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0
MAX_AUDIT_LIMIT = 1000
RETRIED_STATUSES = frozenset({429, 503})


class PassthroughProvider(Provider):
    """Memories behind an OMP server.

    A verb may be tried again after a lost connection, a 429 or a 503: `add` carries an idempotency key
    that the server remembers, and doing any other verb twice is the same as doing it once. The exception
    is `add_many`, which is tried again only after a 429.
    """

    name = "passthrough"
    remembers_keys = True
    capabilities_are_remote = True

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._base_url = _check_base_url(config.base_url or config.host)
        self._io: HttpIO | None = None
        self._remote: Capabilities | None = None

    async def open(self) -> None:
        if not await self.probe():
            raise ProviderError(
                f"{self._base_url} is no OMP server: {routes.CAPABILITIES_PATH} does not tell an omp_version; "
                "check base_url"
            )

    async def probe(self) -> bool:
        """Whether ``base_url`` is an OMP server.

        Raises:
            ProviderError: the server cannot be reached or is failing, so that it cannot be told.
        """
        if self._io is None:
            self._io = await self.ports.http(self._settings())
        response = await self._send(HttpRequest("GET", routes.CAPABILITIES_PATH))
        if response.status == 429 or response.status >= 500:
            raise routes.decode_error(response)
        self._remote = routes.decode_capabilities(response)
        if self._remote is None:
            return False
        self.features = self._remote.features
        self.verbs = (*self._remote.verbs, WaitForIngest.verb)
        return True

    def check(self, op: Operation, call: Call) -> None:
        """Until the server has told its capabilities, only what the caller may do is known."""
        if self._remote is None:
            self.check_access(op, call)
        else:
            super().check(op, call)

    def _settings(self) -> HttpSettings:
        headers = {"User-Agent": "openmem-python"}
        if self.config.api_key is not None:
            headers["Authorization"] = f"Bearer {self.config.api_key}"
        if self.config.app is not None:
            headers[routes.APP_HEADER] = quote(self.config.app)
        return HttpSettings(
            base_url=self._base_url,
            headers=headers,
            timeout=self.config.timeout or DEFAULT_TIMEOUT,
            connect_timeout=CONNECT_TIMEOUT,
            max_connections=self.config.pool_max_size,
        )

    async def ping(self) -> None:
        """Ask for the server's health; one that does not tell it is well if it answers at all."""
        response = await self._send(HttpRequest("GET", routes.HEALTH_PATH))
        if response.status >= 500:
            raise routes.decode_error(response)

    async def close(self) -> None:
        if self._io is not None:
            await self._io.close()

    async def capabilities(self) -> Capabilities:
        """The remote server's, as it tells them."""
        assert self._remote is not None, "open() comes first"
        return self._remote

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        await self._check_stored(op, op.supersedes or (), call)
        key = uuid.uuid4().hex if call.idempotency_key is None else hashed(call.idempotency_key)
        return await self._perform(routes.ADD, op, call, {routes.IDEMPOTENCY_HEADER: key})

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        """In one request, which the server performs whole or not at all."""
        for number, add in enumerate(op.records):
            with InRecord(number):
                await self._check_stored(add, add.supersedes or (), call)
        if not op.records:
            return []
        request = await self.ports.call(routes.ADD_MANY.request, op)
        headers = {routes.REQUEST_ID_HEADER: call.request_id}
        response = await self._send(replace(request, headers=headers), may_repeat=False)
        records = await self.ports.call(routes.decode_reply, routes.ADD_MANY, response)
        if op.progress is not None:
            op.progress(len(records), len(records))
        return records

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        record = await self._perform(routes.GET, op, call)
        _require_access(record, op, call)
        return record

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        await self._check_stored(op, (op.id, *(op.supersedes or ())), call)
        return await self._perform(routes.UPDATE, op, call)

    async def delete(self, op: Delete, call: Call) -> None:
        await self._check_stored(op, (op.id,), call)
        await self._perform(routes.DELETE, op, call)

    async def list(self, op: List, call: Call) -> MemoryPage:
        page = await self._perform(routes.LIST, op, call)
        granted = self._granted(op, call)
        if granted is None:
            return page
        items = [record for record in page.items if granted.matches(record.scope)]
        while len(items) < op.limit and page.next_cursor is not None:
            rest = op.model_copy(update={"cursor": page.next_cursor, "limit": op.limit - len(items)})
            page = await self._perform(routes.LIST, rest, call)
            items += [record for record in page.items if granted.matches(record.scope)]
        return page.model_copy(update={"items": items})

    async def search(self, op: Search, call: Call) -> SearchResults:
        granted = self._granted(op, call)
        if granted is None:
            return await self._perform(routes.SEARCH, op, call)
        found: dict[str, SearchResult] = {}
        for pattern in granted.patterns:
            narrowed = op.model_copy(update={"scope": pattern})
            found |= {result.memory.id: result for result in await self._perform(routes.SEARCH, narrowed, call)}
        return sorted(found.values(), key=lambda result: -result.score)[: op.limit]

    async def context(self, op: Context, call: Call) -> ContextBlock:
        """The server's, unless it must be cut to this client's grants or by its own token counter."""
        if self._granted(op, call) is not None or self.config.token_counter is not estimate_tokens:
            return await super().context(op, call)
        return await self._perform(routes.CONTEXT, op, call)

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        granted = call.grants.read
        if granted is None:
            return await self._perform(routes.AUDIT, op, call)
        whole = op.model_copy(update={"limit": MAX_AUDIT_LIMIT})
        entries = await self._perform(routes.AUDIT, whole, call)
        return [entry for entry in entries if granted.matches(entry.scope)][: op.limit]

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        async def is_ingested(id: str) -> bool:
            record = await self.get(Get(id=id), call)
            if record.user_id != op.user_id:
                raise no_such_memory(id)
            return record.status != "queued"

        await self.poll(op, is_ingested)

    async def _perform(
        self, route: routes.Route[R], op: Operation, call: Call, headers: Mapping[str, str] | None = None
    ) -> R:
        request = route.request(op)
        all_headers = {routes.REQUEST_ID_HEADER: call.request_id, **(headers or {})}
        user_id = getattr(op, "user_id", None)
        if user_id is not None:
            all_headers[routes.USER_ID_HEADER] = quote(user_id)
        return routes.decode_reply(route, await self._send(replace(request, headers=all_headers)))

    async def _send(self, request: HttpRequest, *, may_repeat: bool = True) -> HttpResponse:
        """The reply, trying again after a lost connection and where the server asks for it.

        Args:
            may_repeat: whether the request may be sent again although the server may have performed it.
        """
        assert self._io is not None, "open() comes first"
        tries = Tries()
        while True:
            try:
                response = await self._io.send(request)
            except ConnectionFailedError:
                pause = tries.pause() if may_repeat else None
                if pause is None:
                    raise
            else:
                is_retried = response.status in RETRIED_STATUSES if may_repeat else response.status == 429
                pause = tries.pause(retry_after(response.headers.get("retry-after"))) if is_retried else None
                if pause is None:
                    return response
            await self.ports.sleep(pause)

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


def _check_base_url(base_url: str | None) -> str:
    example = "http://127.0.0.1:8080"
    if base_url is None:
        raise InvalidRequestError(f"base_url: provider 'passthrough' needs the server's URL, as in {example!r}")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidRequestError(f"base_url: it is not an http(s) URL without query; one looks like {example!r}")
    return base_url.rstrip("/")
