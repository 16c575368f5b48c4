"""`AsyncMemory`: the verbs of the Open Memory Protocol as coroutines, and the rules of its life cycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from os import PathLike
from types import TracebackType
from typing import Any, Self

from ._copying import Shared
from ._extras import require_extra
from .client import ITERATED_PAGE, Client
from .config import AuditMode, ClientConfig
from .drivers.asyncio import AsyncPorts
from .models import (
    AuditEntries,
    Capabilities,
    ContextBlock,
    Erased,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    MemorySource,
    Purged,
    RestoredMemories,
    SearchResults,
    UserPage,
)
from .models import (
    Facets as FacetList,
)
from .operations import (
    UNSET,
    Add,
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
    List,
    Progress,
    Purge,
    Put,
    Reembed,
    Reindex,
    Search,
    Unset,
    Update,
    Users,
    WaitForIngest,
)
from .ports.models import Embedder, Reranker
from .selection import Order
from .tokens import TokenCounter

require_extra("AsyncMemory", "async", ("asyncpg", "httpx"))

CANCELLED_OPEN_GRACE_SECONDS = 0.02


class AsyncMemory(Shared):
    """A client of one memory backend, for code that runs on an event loop.

    An instance belongs to the event loop it is first used on, and may be shared by all tasks of
    that loop. Use it in an ``async with`` block, or call `close`; without a block the first verb
    connects. No verb ever blocks the loop, and every verb can be cancelled. After `close`, and on another event
    loop, every verb raises `RuntimeError`. Any verb may raise `UnauthorizedError`: the backend refused the credentials.

    `Memory` has the same arguments, verbs, results and errors.

    Args:
        provider: ``postgres``, ``local`` (an embedded PostgreSQL that needs no server), ``passthrough``
            (a server of the protocol), ``memory`` (in this process, for tests), ``mem0``, ``supermemory``, ``letta``,
            or the name of an installed third-party provider.
        url: libpq URL of the PostgreSQL server; `dsn` is another name for it.
        replica_url: libpq URL of a replica of that server. `search`, `context`, `get`, `list` and `audit` go
            there, and leave no audit entry; to the server itself while the replica is away. What was just
            added can be missing there; `wait_for_ingest` waits for it.
        base_url: URL of an OMP server, whatever `provider` says; if no OMP server answers there, the
            vendor's own.
        api_key: credential of the server or the vendor; also from ``MEM0_API_KEY``,
            ``SUPERMEMORY_API_KEY`` or ``LETTA_API_KEY``.
        host: URL of the vendor's service, instead of its public one.
        timeout: seconds a request or a statement may take; by default 60 for PostgreSQL, 30 for the others.
        path: directory of the ``local`` provider's data; by default in the user's data directory.
        config: settings of mem0's open-source engine, instead of the hosted service.
        embedder: an object with ``model``, ``dim`` and ``embed``, or a name such as ``"wordllama"``,
            ``"hashing"`` or ``"openai:text-embedding-3-small"``. By default what the environment
            variable ``OPENMEM_EMBEDDER`` names, else wordllama if it is installed, else hashing.
        use_openai: short for ``embedder="openai"``.
        language: of all texts, as a code such as ``"en"``, where the words of short texts could be of several; by
            default each text's own words decide. After a change, call `reindex` with ``everything=True``.
        timezone: in which days are meant where a text or a query names them, as a name such as
            ``"Europe/Lisbon"`` or an object; by default UTC. After a change, as above.
        schema: PostgreSQL schema that holds openmem's tables.
        pool_min_size: connections kept open.
        pool_max_size: connections open at most.
        pool_timeout: seconds to wait for a free connection.
        executor_max_workers: threads for providers and embedders that block; used by `AsyncMemory`.
        app: name of the calling application, for the audit log.
        grants: scope grants this client is limited to, such as ``["read:coding/*"]``.
        audit: which verbs leave an audit entry: ``"all"``, ``"writes"`` or ``"off"``.
        token_counter: function from text to its number of tokens, for `context`, or
            ``"tiktoken:<encoding>"``, such as ``"tiktoken:o200k_base"``; by default an
            estimate that errs on the high side.
        reranker: an object with ``model`` and ``rerank``, or a name such as ``"cohere:rerank-v3.5"``, that
            orders anew what `search` and `context` find; the scores are then its own. By default none.
        options: arguments that only the provider knows, such as ``infer`` of ``mem0``.

    Raises:
        InvalidRequestError: a setting is missing, out of range, or contradicts another.
        UnsupportedProviderError: there is no such provider.
        ImportError: an extra is not installed; the message has the ``pip install`` command.

    Attributes:
        client: the core that performs the verbs, for code that makes operations itself; see `openmem.client`.
    """

    def __init__(
        self,
        provider: str = "postgres",
        *,
        url: str | None = None,
        dsn: str | None = None,
        replica_url: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        host: str | None = None,
        timeout: float | None = None,
        path: str | PathLike[str] | None = None,
        config: Mapping[str, Any] | None = None,
        embedder: Embedder | str | None = None,
        use_openai: bool = False,
        language: str | None = None,
        timezone: tzinfo | str = UTC,
        schema: str = "openmem",
        pool_min_size: int = 1,
        pool_max_size: int = 10,
        pool_timeout: float = 30.0,
        executor_max_workers: int | None = None,
        app: str | None = None,
        grants: Iterable[str] | None = None,
        audit: AuditMode = "all",
        token_counter: TokenCounter | str | None = None,
        reranker: Reranker | str | None = None,
        **options: Any,
    ) -> None:
        settings = ClientConfig.of(
            url=url,
            dsn=dsn,
            replica_url=replica_url,
            base_url=base_url,
            api_key=api_key,
            host=host,
            timeout=timeout,
            path=path,
            config=config,
            embedder=embedder,
            use_openai=use_openai,
            language=language,
            timezone=timezone,
            schema=schema,
            pool_min_size=pool_min_size,
            pool_max_size=pool_max_size,
            pool_timeout=pool_timeout,
            executor_max_workers=executor_max_workers,
            app=app,
            grants=grants,
            audit=audit,
            token_counter=token_counter,
            reranker=reranker,
            options=options,
        )
        self.client = Client(provider, settings, lambda: AsyncPorts(executor_max_workers), "AsyncMemory")
        self._closing: asyncio.Task[None] | None = None

    async def add(
        self,
        *,
        content: str,
        user_id: str,
        scope: str | None = None,
        tags: Sequence[str] | None = None,
        source: MemorySource | Mapping[str, Any] | None = None,
        confidence: float | None = None,
        valid_from: datetime | str | None = None,
        valid_to: datetime | str | None = None,
        supersedes: Sequence[str] | None = None,
        supersede_ended: bool = False,
        metadata: Mapping[str, Any] | None = None,
        key: str | None = None,
        expires_at: datetime | str | None = None,
        indexed: bool = True,
        idempotency_key: str | None = None,
        **extensions: Mapping[str, Any],
    ) -> MemoryRecord:
        """Store one memory.

        Args:
            content: the text to remember.
            user_id: whom it is about; nobody else's searches ever see it.
            scope: slash-delimited path such as ``coding/preferences``.
            tags: labels, for `list`.
            source: where it came from.
            confidence: how sure the application is, 0 to 1.
            valid_from: from when on it holds; by default always.
            valid_to: until when it holds, exclusive; by default for good.
            supersedes: ids of the user's memories that this one replaces; their validity ends.
            supersede_ended: also replace memories that have ended already, which stay as they are; by
                default that is a conflict, so that two replacements of one memory do not both count.
            metadata: a JSON object of your own, up to 16 KiB, which queries can filter by; see `openmem.filters`.
            key: your own name for it, unique among the user's memories of one scope; see `put`.
            expires_at: from when on no verb shows it any more.
            indexed: False keeps it out of `search` and `context`, and it is not embedded; `content` may then be
                empty, and up to 524,288 characters long.
            idempotency_key: a second call with the same key within a day stores nothing, and returns the memory of
                the first.
            extensions: ``x-<provider>`` objects, kept on the record: ``**{"x-mem0": {...}}``.

        Raises:
            InvalidRequestError: an argument is wrong, `supersedes` names an unknown memory, or `idempotency_key` came
                with another memory before.
            ConflictError: `supersedes` names a memory that has ended already, or another memory has `key`; nothing
                was stored.
            ScopeDeniedError: the grants do not include ``write`` on `scope`.
            UnsupportedCapabilityError: the backend does not have a feature that an argument needs, such as scopes.
            RateLimitedError: the embedder or the backend is asked too often.
            ProviderError: the backend or the embedder failed; nothing was stored, unless the connection was lost
                while its answer was on the way.
        """
        return await self.client.run(
            Add(
                content=content,
                user_id=user_id,
                scope=scope,
                tags=tags,
                source=source,
                confidence=confidence,
                valid_from=valid_from,
                valid_to=valid_to,
                supersedes=supersedes,
                supersede_ended=supersede_ended,
                metadata=metadata,
                key=key,
                expires_at=expires_at,
                indexed=indexed,
                extensions=extensions,
            ),
            idempotency_key=idempotency_key,
        )

    async def put(
        self,
        *,
        key: str,
        content: str,
        user_id: str,
        scope: str | None = None,
        tags: Sequence[str] | None = None,
        source: MemorySource | Mapping[str, Any] | None = None,
        confidence: float | None = None,
        valid_from: datetime | str | None = None,
        valid_to: datetime | str | None = None,
        supersedes: Sequence[str] | None = None,
        supersede_ended: bool = False,
        metadata: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
        indexed: bool = True,
        if_version: int | None = None,
        keep_history: bool = False,
        **extensions: Mapping[str, Any],
    ) -> MemoryRecord:
        """Store a memory under a key, in place of the one that has it; of many calls at once, one after the other.

        The memory keeps its id and ``created_at``, and gets one ``version`` more. All else is that of this call.

        Args:
            key: your own name for the memory, unique among the user's memories of one scope; no scope is one, too.
            content, user_id, scope, tags, source, confidence, valid_from, valid_to, supersedes, supersede_ended,
                metadata, expires_at, indexed: as in `add`.
            if_version: only replace this version; 0 to store only a new memory. By default whatever is there.
            keep_history: keep what is replaced as a memory of its own: its validity ends, the new memory supersedes
                it, and has a new id.
            extensions: as in `add`.

        Raises:
            InvalidRequestError: an argument is wrong, or `supersedes` names an unknown memory.
            ConflictError: the version is another than `if_version`, or `supersedes` names a memory that has ended
                already; nothing was stored.
            ScopeDeniedError: the grants do not include ``write`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or a feature that an argument needs.
            RateLimitedError: the embedder or the backend is asked too often.
            ProviderError: the backend or the embedder failed; nothing was stored, unless the connection was lost
                while its answer was on the way.
        """
        return await self.client.run(
            Put(
                key=key,
                content=content,
                user_id=user_id,
                scope=scope,
                tags=tags,
                source=source,
                confidence=confidence,
                valid_from=valid_from,
                valid_to=valid_to,
                supersedes=supersedes,
                supersede_ended=supersede_ended,
                metadata=metadata,
                expires_at=expires_at,
                indexed=indexed,
                if_version=if_version,
                keep_history=keep_history,
                extensions=extensions,
            )
        )

    async def add_many(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
    ) -> MemoryRecords:
        """Store many memories at once: all of them, or none if anything is wrong or fails.

        Much faster than `add` for each. The order is kept: `list` has the last record first. The other
        calls of this client go on meanwhile.

        Args:
            records: mappings with the arguments of `add`, ``x-<provider>`` extensions included; see
                `openmem.MemoryInput`. They are read to the end, and all of them checked, before anything
                is sent.
            progress: called after each batch with the memories done and the memories there are. They
                are stored, and others can see them, once both are the same.
            idempotency_key: a second call with the same key within a day stores nothing, and returns the memories of
                the first.

        Returns:
            The stored memories, in the order of `records`.

        Raises:
            InvalidRequestError: a record is wrong or names an unknown memory in `supersedes`; the
                message has its index, as in ``records[17].content``.
            ConflictError: a record supersedes a memory that has ended already; several records of one
                call may supersede the same one.
            ScopeDeniedError: the grants do not include ``write`` on the scope of a record.
            UnsupportedCapabilityError: the backend cannot store all of them or none; call `add` for each.
            RateLimitedError: the embedder or the backend is asked too often.
            ProviderError: the backend or the embedder failed; nothing was stored, unless the connection was lost
                while its answer was on the way.
        """
        return await self.client.add_many(records, progress, idempotency_key)

    async def get(self, id: str, *, user_id: str | None = None) -> MemoryRecord:
        """One memory by its id, whether or not it is valid now.

        Args:
            id: the memory's id.
            user_id: whose it must be; a memory of anybody else is not found.

        Raises:
            InvalidRequestError: `id` is not a text of 1 to 512 characters.
            NotFoundError: there is no such memory.
            ScopeDeniedError: the grants do not include ``read`` on its scope.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(Get(id=id, user_id=user_id))

    async def get_by_key(self, key: str, user_id: str, *, scope: str | None = None) -> MemoryRecord:
        """The memory that has a key, whether or not it is valid now.

        Args:
            key: the application's own name for it.
            user_id: whose it is.
            scope: the scope that it is in; None for none.

        Raises:
            InvalidRequestError: an argument is wrong.
            NotFoundError: the user has no such memory in this scope.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(GetByKey(key=key, user_id=user_id, scope=scope))

    async def update(
        self,
        id: str,
        *,
        content: str | Unset = UNSET,
        scope: str | Unset | None = UNSET,
        tags: Sequence[str] | Unset | None = UNSET,
        confidence: float | Unset | None = UNSET,
        valid_from: datetime | str | Unset | None = UNSET,
        valid_to: datetime | str | Unset | None = UNSET,
        supersedes: Sequence[str] | Unset = UNSET,
        supersede_ended: bool = False,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
        expires_at: datetime | str | Unset | None = UNSET,
        user_id: str | None = None,
        if_version: int | None = None,
    ) -> MemoryRecord:
        """Change a memory. A field left out keeps its value; None clears a nullable one.

        Args:
            id: the memory to change.
            content: new text; it is embedded anew, unless the memory is not `indexed`, whose bounds then hold, too.
            scope: new scope, or None for none.
            tags: new labels, instead of the old ones.
            confidence: new confidence.
            valid_from: new beginning of its validity, or None for no beginning.
            valid_to: new end of its validity, or None for no end.
            supersedes: ids added to those it replaces already; their validity ends now.
            supersede_ended: also replace memories that have ended already; see `add`. Those that it
                replaces already are never a conflict.
            metadata: new metadata, instead of the old.
            expires_at: new moment from which on no verb shows it, or None for none.
            user_id: whose it must be; a memory of anybody else is not found.
            if_version: only change this version.

        Raises:
            NotFoundError: there is no such memory.
            InvalidRequestError: nothing to change, a wrong value, or an unknown superseded memory.
            ConflictError: `supersedes` names a memory that has ended already, the version is another than
                `if_version`, or another memory has its key in the new scope; nothing was changed.
            ScopeDeniedError: the grants do not include ``write`` on its scope, old and new.
            UnsupportedCapabilityError: the backend does not have the verb, or a feature that an argument needs.
            RateLimitedError: the embedder or the backend is asked too often.
            ProviderError: the backend or the embedder failed; nothing was changed, unless the connection was
                lost while its answer was on the way.
        """
        fields = {
            "content": content,
            "scope": scope,
            "tags": tags,
            "confidence": confidence,
            "valid_from": valid_from,
            "valid_to": valid_to,
            "supersedes": supersedes,
            "metadata": metadata,
            "expires_at": expires_at,
        }
        given = {name: value for name, value in fields.items() if value is not UNSET}
        return await self.client.run(
            Update(id=id, supersede_ended=supersede_ended, user_id=user_id, if_version=if_version, **given)
        )

    async def delete(self, id: str, *, user_id: str | None = None, if_version: int | None = None) -> None:
        """Remove a memory for good.

        Args:
            id: the memory's id.
            user_id: whose it must be; a memory of anybody else is not found.
            if_version: only remove this version.

        Raises:
            InvalidRequestError: `id` is not a text of 1 to 512 characters.
            NotFoundError: there is no such memory.
            ConflictError: the version is another than `if_version`.
            ScopeDeniedError: the grants do not include ``delete`` on its scope.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        await self.client.run(Delete(id=id, user_id=user_id, if_version=if_version))

    async def delete_many(
        self,
        user_id: str,
        *,
        scope: str | Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        any_tags: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        app: str | None = None,
        as_of: datetime | str | None = None,
        ids: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        everything: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Remove the memories of a user that are selected, for good: all of them, or none if it fails.

        mem0, Supermemory and Letta remove one after the other: if that fails, some are gone, and the same call
        removes the rest.

        Args:
            user_id: whose memories.
            scope, tags, any_tags, where, since, until, app, as_of: which memories; see `list`.
            ids: only memories with these ids; one that is not there is no error.
            keys: only memories with these keys.
            everything: remove all memories of the user; without it there must be a filter.
            dry_run: only count them.

        Returns:
            The number of memories that were removed. Those that the grants do not include ``delete`` on are not.

        Raises:
            InvalidRequestError: an argument is wrong, or nothing says which memories.
            ScopeDeniedError: the grants do not include ``delete`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or a feature that an argument needs.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(
            DeleteMany(
                user_id=user_id,
                scope=scope,
                tags=tags,
                any_tags=any_tags,
                where=where,
                since=since,
                until=until,
                app=app,
                as_of=as_of,
                ids=ids,
                keys=keys,
                everything=everything,
                dry_run=dry_run,
            )
        )

    async def list(
        self,
        user_id: str,
        *,
        scope: str | Sequence[str] | None = None,
        tag: str | None = None,
        tags: Sequence[str] | None = None,
        any_tags: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        app: str | None = None,
        as_of: datetime | str | None = None,
        order: Order = "newest",
        limit: int = 50,
        cursor: str | None = None,
    ) -> MemoryPage:
        """One page of a user's memories, whether or not they are valid now.

        Args:
            user_id: whose memories.
            scope: a path, ``path/*`` for everything below it, ``path/**`` for the path and everything below it, or
                ``*`` for all that have a scope; or a list of those, of which one must match.
            tag: only memories with this tag.
            tags: only memories with all of these tags.
            any_tags: only memories with one of these tags.
            where: only memories whose metadata passes this filter, as in ``{"topic": "diet", "n": {"$gte": 9}}``; see
                `openmem.filters`.
            since: only those created at or after this moment.
            until: only those created before this moment.
            app: only those whose ``source`` has this ``app``.
            as_of: only those that are valid at this moment.
            order: ``"newest"`` or ``"oldest"`` first, or ``"updated"``: the latest change first.
            limit: memories on the page, 1 to 500.
            cursor: ``next_cursor`` of the previous page, with the other arguments unchanged.

        Raises:
            InvalidRequestError: an argument is wrong, or `cursor` belongs to a list with other arguments.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or has no scopes.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(
            List(
                user_id=user_id,
                tag=tag,
                scope=scope,
                tags=tags,
                any_tags=any_tags,
                where=where,
                since=since,
                until=until,
                app=app,
                as_of=as_of,
                order=order,
                limit=limit,
                cursor=cursor,
            )
        )

    async def iterate(
        self,
        user_id: str,
        *,
        scope: str | Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        any_tags: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        app: str | None = None,
        as_of: datetime | str | None = None,
        order: Order = "newest",
    ) -> AsyncIterator[MemoryRecord]:
        """All memories of a user that `list` would show on its pages, one after the other.

        Pages are fetched as they are needed, so that memory does not grow with their number. What is added or removed
        meanwhile may be among them or not; no memory comes twice.

        Args:
            user_id: whose memories.
            scope, tags, any_tags, where, since, until, app, as_of: which memories; see `list`.
            order: as in `list`.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or a feature that an argument needs.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        cursor: str | None = None
        while True:
            page = await self.list(
                user_id,
                scope=scope,
                tags=tags,
                any_tags=any_tags,
                where=where,
                since=since,
                until=until,
                app=app,
                as_of=as_of,
                order=order,
                limit=ITERATED_PAGE,
                cursor=cursor,
            )
            for record in page:
                yield record
            cursor = page.next_cursor
            if cursor is None:
                return

    async def count(
        self,
        user_id: str,
        *,
        scope: str | Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        any_tags: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        app: str | None = None,
        as_of: datetime | str | None = None,
    ) -> int:
        """How many memories a user has, whether or not they are valid now.

        Args:
            user_id: whose memories.
            scope, tags, any_tags, where, since, until, app, as_of: which memories; see `list`.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or a feature that an argument needs.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(
            Count(
                user_id=user_id,
                scope=scope,
                tags=tags,
                any_tags=any_tags,
                where=where,
                since=since,
                until=until,
                app=app,
                as_of=as_of,
            )
        )

    async def facets(
        self,
        user_id: str,
        *,
        by: str,
        scope: str | Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        any_tags: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        app: str | None = None,
        as_of: datetime | str | None = None,
        limit: int = 100,
    ) -> FacetList:
        """The values of a field among a user's memories, the most frequent first, whether or not they are valid now.

        Args:
            user_id: whose memories.
            by: ``"scope"``, ``"tag"``, ``"app"``, or ``"metadata."`` and a path in the metadata.
            scope, tags, any_tags, where, since, until, app, as_of: which memories; see `list`.
            limit: values at most, 1 to 1000.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or a feature that an argument needs.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(
            Facets(
                user_id=user_id,
                by=by,
                scope=scope,
                tags=tags,
                any_tags=any_tags,
                where=where,
                since=since,
                until=until,
                app=app,
                as_of=as_of,
                limit=limit,
            )
        )

    async def history(self, id: str, *, user_id: str | None = None) -> MemoryRecords:
        """A memory with all that it superseded and all that superseded it, the oldest first.

        PostgreSQL gives the 1,000 that are nearest each way.

        Args:
            id: the memory's id.
            user_id: whose it must be; a memory of anybody else is not found.

        Raises:
            InvalidRequestError: `id` is not a text of 1 to 512 characters.
            NotFoundError: there is no such memory.
            ScopeDeniedError: the grants do not include ``read`` on its scope. Others of its history that they do not
                include are left out.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(History(id=id, user_id=user_id))

    async def search(
        self,
        query: str,
        user_id: str,
        *,
        scope: str | Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        any_tags: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        app: str | None = None,
        as_of: datetime | str | None = None,
        limit: int = 10,
        min_score: float | None = None,
        timezone: tzinfo | str | None = None,
        recency: timedelta | float | None = None,
        explain: bool = False,
    ) -> SearchResults:
        """The user's memories that best answer `query` and are valid now, best first.

        Args:
            query: a question or a few words.
            user_id: whose memories.
            scope, tags, any_tags, where, since, until, app, as_of: which memories; see `list`.
                By default those that are valid now.
            limit: results at most, 1 to 100.
            min_score: leave out results below this score, 0 to 1.
            timezone: in which the query names days, such as "yesterday"; None for the client's own.
            recency: a half-life, in seconds or as a timedelta: of two equally good memories the newer one comes first.
                An old one loses up to a fifth of its score, and half of that at this age. None if age does not matter.
            explain: whether each result says what its score is made of, in ``result.explanation``. It costs a little.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or has no scopes.
            RateLimitedError: the embedder, the reranker or the backend is asked too often.
            ProviderError: the backend or the embedder failed or cannot be reached, or all connections were
                busy for `pool_timeout` seconds.
        """
        return await self.client.run(
            Search(
                query=query,
                user_id=user_id,
                scope=scope,
                tags=tags,
                any_tags=any_tags,
                where=where,
                since=since,
                until=until,
                app=app,
                as_of=as_of,
                limit=limit,
                min_score=min_score,
                timezone=timezone,
                recency=recency,
                explain=explain,
            )
        )

    async def context(
        self,
        query: str,
        user_id: str,
        *,
        scope: str | Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        any_tags: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        app: str | None = None,
        as_of: datetime | str | None = None,
        token_budget: int = 500,
        timezone: tzinfo | str | None = None,
        recency: timedelta | float | None = None,
    ) -> ContextBlock:
        """The best memories for `query` as text for a system prompt, each cited by its id.

        A memory that is longer than the whole budget is quoted by an excerpt, which its citation says. Which memories
        were found but not quoted, and why, is in ``omitted``.

        Args:
            query: the question the model is about to answer.
            user_id: whose memories.
            scope, tags, any_tags, where, since, until, app, as_of: which memories; see `list`.
                As in `search`, but a plain path in `scope` also takes in everything below it.
            token_budget: most tokens the text may have, by the client's `token_counter`.
            timezone: as in `search`.
            recency: as in `search`.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or has no scopes.
            RateLimitedError: the embedder, the reranker or the backend is asked too often.
            ProviderError: the backend or the embedder failed or cannot be reached, or all connections were
                busy for `pool_timeout` seconds.
        """
        return await self.client.run(
            Context(
                query=query,
                user_id=user_id,
                scope=scope,
                tags=tags,
                any_tags=any_tags,
                where=where,
                since=since,
                until=until,
                app=app,
                as_of=as_of,
                token_budget=token_budget,
                timezone=timezone,
                recency=recency,
            )
        )

    async def audit(
        self,
        user_id: str,
        *,
        app: str | None = None,
        since: datetime | str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> AuditEntries:
        """What was done with a user's memories, newest first.

        Args:
            user_id: whose memories.
            app: only calls of this application.
            since: only calls at or after this moment.
            limit: entries at most, 1 to 1000.
            cursor: ``next_cursor`` of the entries before, with the same other arguments.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on anything.
            UnsupportedCapabilityError: the backend does not have the verb or keeps no log.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(Audit(user_id=user_id, app=app, since=since, limit=limit, cursor=cursor))

    async def capabilities(self) -> Capabilities:
        """What the backend is and can do. Asked once, then remembered.

        Raises:
            UnauthorizedError: the backend had to be asked, and refused the credentials.
            RateLimitedError: the backend had to be asked, and is asked too often.
            ProviderError: the backend had to be asked, and failed or cannot be reached.
        """
        return await self.client.capabilities()

    async def wait_for_ingest(self, ids: Sequence[str], user_id: str, *, timeout: float | None = None) -> None:
        """Return when the memories can be searched, on a replica too. Backends that store at once only check the ids.

        With `replica_url`, they can be searched once the replica has them.

        Args:
            ids: memories whose ``status`` is ``queued``.
            user_id: their user.
            timeout: seconds to wait at most, however slow the backend answers; with 0 it is asked once; by default
                as long as it takes.

        Raises:
            InvalidRequestError: an argument is wrong.
            NotFoundError: the user has no such memory.
            ScopeDeniedError: the grants do not include ``read`` on anything.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the memories were not ready in time (``ingestion_timeout``), or the backend failed or
                cannot be reached.
        """
        await self.client.run(WaitForIngest(ids=ids, user_id=user_id, timeout=timeout))

    async def users(self, *, prefix: str | None = None, limit: int = 100, cursor: str | None = None) -> UserPage:
        """One page of the users that have memories, in the order of their ids. Not for clients with grants.

        Args:
            prefix: only users whose id begins like this.
            limit: users on the page, 1 to 1000.
            cursor: ``next_cursor`` of the previous page, with the same `prefix`.

        Raises:
            InvalidRequestError: an argument is wrong, or `cursor` belongs to another `prefix`.
            ScopeDeniedError: the client has grants.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(Users(prefix=prefix, limit=limit, cursor=cursor))

    async def forget_user(self, user_id: str) -> Erased:
        """Remove all that is stored of one user for good, all or nothing. Not for clients with grants.

        That is memories, keys and audit entries; the call leaves no audit entry itself.

        Args:
            user_id: who is forgotten; one who is not there is no error.

        Raises:
            InvalidRequestError: `user_id` is not a text of 1 to 512 characters.
            ScopeDeniedError: the client has grants.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return await self.client.run(ForgetUser(user_id=user_id))

    async def restore(
        self, records: Iterable[MemoryRecord | Mapping[str, Any]], *, progress: Progress | None = None
    ) -> RestoredMemories:
        """Store memories as they were, with ids, times, versions and what they supersede. Not for clients with grants.

        All of them are stored, or none. A memory whose id is there already stays as it is, so that a call can be
        repeated. Nothing is ended by what a record supersedes, and its order in `records` does not matter.

        Args:
            records: memories as `get` or `list` returned them, or mappings with the same fields.
            progress: called after each batch with the memories done and the memories there are.

        Returns:
            The memories as they are stored, in the order of `records`; ``existing`` of it has the ids of those that
            were there before.

        Raises:
            InvalidRequestError: a record is wrong; the message has its index, as in ``records[17].content``.
            ConflictError: another memory has the key of a record.
            ScopeDeniedError: the client has grants.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the embedder or the backend is asked too often.
            ProviderError: the backend or the embedder failed; nothing was stored, unless the connection was lost
                while its answer was on the way.
        """
        return await self.client.restore(records, progress)

    async def purge(
        self,
        *,
        ended_before: datetime | str | None = None,
        audit_before: datetime | str | None = None,
        progress: Progress | None = None,
    ) -> Purged:
        """Remove what has expired, of all users, and what is older than asked. Not for clients with grants.

        Batch by batch, each for good before the next is begun: the call may be stopped at any time, and made again.

        Args:
            ended_before: also remove memories whose validity ended before this moment.
            audit_before: also remove entries of the audit log from before this moment.
            progress: called after each batch with what was removed and what there is to remove.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the client has grants.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed; what was removed before is gone.
        """
        return await self.client.run(Purge(ended_before=ended_before, audit_before=audit_before, progress=progress))

    async def reembed(self, *, batch_size: int = 256, progress: Progress | None = None) -> int:
        """Embed with this client's embedder all memories that another model embedded, of every user.

        Every batch is stored before the next is begun: the call may be stopped at any time, and goes
        on where it was when it is made again. Searches and writes go on meanwhile.

        Args:
            batch_size: memories embedded and stored at a time, 1 to 10,000.
            progress: called after each batch with the memories done and the memories there are to do.

        Returns:
            The number of memories that were embedded.

        Raises:
            InvalidRequestError: `batch_size` is out of its range.
            ScopeDeniedError: the grants do not include ``write:*``.
            UnsupportedCapabilityError: the backend embeds by itself.
            RateLimitedError: the embedder is asked too often; what was embedded before is stored.
            ProviderError: the backend or the embedder failed; what was embedded before is stored.
        """
        return await self.client.run(Reembed(batch_size=batch_size, progress=progress))

    async def reindex(
        self, *, batch_size: int = 1000, everything: bool = False, progress: Progress | None = None
    ) -> int:
        """Analyse the words of all memories that this version of openmem has not analysed, of every user.

        They are those that an older version stored, or that came into the database by other means. Every batch is
        stored before the next is begun: the call may be stopped at any time, and goes on where it was when it is made
        again. Searches and writes go on meanwhile.

        Args:
            batch_size: memories analysed and stored at a time, 1 to 10,000.
            everything: whether all memories are analysed, as after a change of `language` or `timezone`.
            progress: called after each batch with the memories done and the memories there are to do.

        Returns:
            The number of memories that were analysed.

        Raises:
            InvalidRequestError: `batch_size` is out of its range.
            ScopeDeniedError: the grants do not include ``write:*``.
            UnsupportedCapabilityError: the backend finds words by itself.
            ProviderError: the backend failed; what was analysed before is stored.
        """
        return await self.client.run(Reindex(batch_size=batch_size, everything=everything, progress=progress))

    async def close(self) -> None:
        """Close all connections. Idempotent; any verb afterwards raises `RuntimeError`.

        Calls that are still running get a moment to finish, then they fail. Bounded to a few
        seconds also when the server or the network is dead.
        """
        await self.client.close()

    def __repr__(self) -> str:
        return repr(self.client)

    async def __aenter__(self) -> Self:
        opening = self.client.open()
        try:
            await opening
        except asyncio.CancelledError:
            # Closing may wait for a dead network; who cancelled need not.
            self._closing = asyncio.create_task(self.close())
            await asyncio.wait({self._closing}, timeout=CANCELLED_OPEN_GRACE_SECONDS)
            raise
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
