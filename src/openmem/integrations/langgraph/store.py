"""`OpenmemStore`: LangGraph's `BaseStore` on openmem."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from ..._copying import Shared
from ...errors import ConflictError, InvalidRequestError, NotFoundError
from ...models import MemoryRecord, SearchResult
from ...operations import DeleteMany, Facets, GetByKey, List, Operation, Put, Search, Update, Users
from ...ports import run_blocking
from ..clients import AnyClient, MemoryClients, Runner, runner_of
from ..performing import Perform, blocking
from ..rules import as_query
from ..segments import encoded
from ..versions import end_with_latest, erase_with_versions, is_earlier_version
from .conditions import where_of
from .items import WHOLE_VALUE, expiry, item_of, record_fields, search_item_of, time_to_live, updated_at, utc_now
from .names import Namespace, meets, namespace_of, plain_prefix, scope_of
from .sweeping import Sweeping

R = TypeVar("R")

MAX_RANKED: Final = 100
"""Items of one search that are ranked; those behind follow by time."""
PAGE: Final = 500
MAX_FACETS: Final = 1000
CONCURRENCY: Final = 32
"""Operations of one `abatch` that are under way at a time."""
REFRESHED_SHARE: Final = 0.05
"""Of the time to live that must have passed since its last refresh before a read refreshes it again."""


class OpenmemStore(Shared, BaseStore, Sweeping):
    """A store for LangGraph, LangMem and deepagents that keeps items as memories.

    Every method works blocking and as a coroutine, from any thread and on any event loop, on one object. Use it in a
    ``with`` or an ``async with`` block, or call `close` or `aclose`.

    A `search` with a query ranks by words and meaning; items that the query does not find follow by time, without a
    score. Without a query, the latest changes come first. Pages are true: in an unchanged store, pages by `offset`
    have every item once.

    Args:
        client: a `openmem.Memory`, a `openmem.AsyncMemory` or a `MemoryClients`, which stays open when the store is
            closed. By default a `MemoryClients` with `settings`.
        user_id: whose memories the items are.
        user_label: which label of a namespace names the user instead: with 1, ``("memories", "maya")`` belongs to
            ``maya``. Namespaces without that label belong to `user_id`. Reads of many users' namespaces at once, such
            as ``search(("memories",))``, ask for each user in turn.
        scope: the scope below which the items are; two stores with different ones see nothing of each other.
        fields: paths of the texts in a value that are searched, such as ``text`` or ``sections[*].title``; ``$`` is the
            whole value. `put` can name others for an item, or ``index=False``.
        ttl: how long items live, as in LangGraph. Expired items are never shown.
        keep_history: whether a put over an item keeps what it replaces. `openmem.Memory.history` shows all versions,
            the store only the latest one, with its times. Deleting the item erases all of them. Each expires by its
            own time to live, and those without one with the item.
        settings: arguments of `openmem.Memory`, such as ``url``; only without `client`.

    Raises:
        InvalidRequestError: an argument is wrong.
        TypeError: `client` is no client.
        ImportError: an extra is not installed.
    """

    supports_ttl = True

    def __init__(
        self,
        client: AnyClient | None = None,
        *,
        user_id: str = "langgraph",
        user_label: int | None = None,
        scope: str = "langgraph",
        fields: Sequence[str] = (WHOLE_VALUE,),
        ttl: TTLConfig | None = None,
        keep_history: bool = False,
        **settings: Any,
    ) -> None:
        if client is not None and settings:
            raise InvalidRequestError(f"{min(settings)}: a client has its settings already; pass one of the two")
        if isinstance(fields, str):
            raise InvalidRequestError(f"fields: {fields!r} is one text; pass a list of paths")
        if user_label is not None and user_label < 0:
            raise InvalidRequestError(f"user_label: {user_label} is not the number of a label, which is 0 or more")
        self._runner: Runner = MemoryClients(**settings) if client is None else runner_of(client)
        self._user_id = user_id
        self._user_label = user_label
        self._root = scope
        self._fields = tuple(fields)
        self._keep_history = keep_history
        self.ttl_config = ttl
        Sweeping.__init__(self, self._runner, ttl)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """The results of operations: of all reads, and then of the writes, of which the last one for a key counts.

        Each operation takes effect by itself; where one fails, those before it stay.
        """
        perform = blocking(self._runner)
        results, writes = self._planned(ops)
        for number, op in results.items():
            results[number] = run_blocking(self._read(op, perform))
        for put in writes:
            run_blocking(self._write(put, perform))
        return list(results.values())

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch` as a coroutine: its reads at once, and then its writes at once."""
        results, writes = self._planned(ops)
        found = await _all([partial(self._read, op, self._runner.arun) for op in results.values()])
        await _all([partial(self._write, put, self._runner.arun) for put in writes])
        return found

    def fields_of(self, op: PutOp, now: datetime) -> dict[str, Any]:
        """The arguments of `openmem.operations.Put` for an item, which take its time to live from `now`.

        Raises:
            InvalidNamespaceError: LangGraph does not allow its namespace.
            InvalidRequestError: the value is no JSON, or the time to live is no number.
        """
        validate_op_namespace(op)
        names = {
            "key": encoded(op.key),
            "user_id": self._user_of(op.namespace),
            "scope": self._scope(op.namespace),
        }
        return names | record_fields(op, self._fields, now)

    def perform(self, op: Operation[R]) -> R:
        """Perform an operation of openmem with the store's client."""
        return self._runner.run(op)

    def close(self) -> None:
        """Stop sweeping, and close what the store opened itself. Idempotent."""
        self.stop_ttl_sweeper()
        self._runner.close()

    async def aclose(self) -> None:
        """`close` for code on an event loop."""
        await asyncio.to_thread(self.stop_ttl_sweeper)
        await self._runner.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _planned(self, ops: Iterable[Op]) -> tuple[dict[int, Any], list[PutOp]]:
        """What each operation is, by its number, and the writes that count. All are checked before any is performed."""
        planned: dict[int, Any] = {}
        writes: dict[tuple[Namespace, str], PutOp] = {}
        for number, op in enumerate(ops):
            validate_op_namespace(op)
            planned[number] = op
            if isinstance(op, PutOp):
                writes[tuple(op.namespace), op.key] = op
        return planned, list(writes.values())

    async def _read(self, op: Op, perform: Perform) -> Result:
        if isinstance(op, GetOp):
            return await self._get(op, perform)
        if isinstance(op, SearchOp):
            return await self._search(op, perform)
        if isinstance(op, ListNamespacesOp):
            return await self._namespaces(op, perform)
        return None

    async def _get(self, op: GetOp, perform: Perform) -> Item | None:
        wanted = GetByKey(key=encoded(op.key), user_id=self._user_of(op.namespace), scope=self._scope(op.namespace))
        try:
            record = await perform(wanted)
        except NotFoundError:
            return None
        if op.refresh_ttl:
            await self._refresh([record], perform)
        return item_of(record, self._root)

    async def _write(self, op: PutOp, perform: Perform) -> None:
        if op.value is None:
            name = {"user_id": self._user_of(op.namespace), "scope": self._scope(op.namespace)}
            if self._keep_history:
                with suppress(NotFoundError):
                    await erase_with_versions(await perform(GetByKey(key=encoded(op.key), **name)), perform)
            else:
                await perform(DeleteMany(keys=[encoded(op.key)], **name))
        else:
            record = await perform(Put(**self.fields_of(op, utc_now()), keep_history=self._keep_history))
            if self._keep_history:
                await end_with_latest(record, perform)

    async def _search(self, op: SearchOp, perform: Perform) -> list[SearchItem]:
        if op.limit < 0 or op.offset < 0:
            raise InvalidRequestError(f"search: limit {op.limit} and offset {op.offset} must be 0 or more")
        users = await self._users(op.namespace_prefix, perform)
        chosen = {"scope": f"{self._scope(op.namespace_prefix)}/**", "where": where_of(op.filter)}
        end = op.offset + op.limit
        ranked: list[SearchResult] = []
        if op.query and op.query.strip() and op.limit:
            for user in users:
                wanted = Search(query=as_query(op.query), user_id=user, limit=min(end, MAX_RANKED), **chosen)
                ranked += await perform(wanted)
            if len(users) > 1:
                ranked.sort(key=lambda result: -result.score)
        page: list[tuple[MemoryRecord, float | None]] = [
            (result.memory, result.score) for result in ranked[op.offset : end]
        ]
        if len(page) < op.limit:
            seen = {result.memory.id for result in ranked}
            latest = await self._latest(users, chosen, end, perform)
            unranked = [(record, None) for record in latest if record.id not in seen]
            skipped = max(0, op.offset - len(ranked))
            page += unranked[skipped : skipped + op.limit - len(page)]
        if op.refresh_ttl:
            await self._refresh([record for record, _ in page], perform)
        return [search_item_of(record, self._root, score) for record, score in page]

    async def _latest(
        self, users: Sequence[str], chosen: dict[str, Any], count: int, perform: Perform
    ) -> list[MemoryRecord]:
        """The first `count` memories by time, the latest change first; of several users, as many of each."""
        found: list[MemoryRecord] = []
        for user in users:
            cursor, left = None, count
            while left > 0:
                page = await perform(
                    List(user_id=user, order="updated", limit=min(left, PAGE), cursor=cursor, **chosen)
                )
                items = [record for record in page.items if not is_earlier_version(record)]
                found += items
                left -= len(items)
                cursor = page.next_cursor
                if cursor is None:
                    break
        if len(users) > 1:
            found.sort(key=lambda record: (updated_at(record), record.id), reverse=True)
        return found

    async def _namespaces(self, op: ListNamespacesOp, perform: Perform) -> list[Namespace]:
        conditions = op.match_conditions or ()
        prefix = plain_prefix(conditions)
        found: set[Namespace] = set()
        for user in await self._users(prefix, perform):
            found |= await self._namespaces_of(user, prefix, perform)
        chosen = {
            namespace[: op.max_depth]
            for namespace in found
            if all(meets(namespace, condition) for condition in conditions)
        }
        return sorted(chosen)[op.offset : op.offset + op.limit]

    async def _namespaces_of(self, user: str, prefix: Namespace, perform: Perform) -> set[Namespace]:
        scope = f"{self._scope(prefix)}/**"
        facets = await perform(Facets(user_id=user, by="scope", scope=scope, limit=MAX_FACETS))
        scopes = {facet.value for facet in facets}
        if len(scopes) == MAX_FACETS:
            cursor = None
            while True:
                page = await perform(List(user_id=user, scope=scope, limit=PAGE, cursor=cursor))
                scopes |= {record.scope for record in page.items}
                cursor = page.next_cursor
                if cursor is None:
                    break
        return {namespace_of(self._root, scope) for scope in scopes}

    async def _refresh(self, records: Sequence[MemoryRecord], perform: Perform) -> None:
        """Let items that were read live on. A change by somebody else counts more."""
        now = utc_now()
        for record in records:
            minutes = time_to_live(record)
            if minutes is None or record.expires_at is None:
                continue
            expires_at = expiry(minutes, now)
            if (expires_at - record.expires_at).total_seconds() < REFRESHED_SHARE * minutes * 60:
                continue
            try:
                await perform(
                    Update(id=record.id, user_id=record.user_id, expires_at=expires_at, if_version=record.version)
                )
            except (ConflictError, NotFoundError):
                continue

    async def _users(self, prefix: Sequence[str], perform: Perform) -> list[str]:
        """The users who may have namespaces with this prefix."""
        if self._user_label is None or len(prefix) > self._user_label:
            return [self._user_of(prefix)]
        found, cursor = {self._user_id}, None
        while True:
            page = await perform(Users(limit=1000, cursor=cursor))
            found |= {user.user_id for user in page.items}
            cursor = page.next_cursor
            if cursor is None:
                return sorted(found)

    def _user_of(self, namespace: Sequence[str]) -> str:
        if self._user_label is None or len(namespace) <= self._user_label:
            return self._user_id
        return namespace[self._user_label]

    def _scope(self, namespace: Sequence[str]) -> str:
        return scope_of(self._root, namespace)


async def _all(functions: Sequence[Callable[[], Coroutine[Any, Any, R]]]) -> list[R]:
    """The results of functions that run at once; if one fails, after all have ended."""
    if len(functions) == 1:
        return [await functions[0]()]
    room = asyncio.Semaphore(CONCURRENCY)

    async def within(function: Callable[[], Coroutine[Any, Any, R]]) -> R:
        async with room:
            return await function()

    results = await asyncio.gather(*map(within, functions), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
