"""`Memory`: the verbs of the Open Memory Protocol, blocking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypeVar

from .client import Client
from .config import AuditMode, ClientConfig
from .drivers.blocking import BlockingPorts
from .embedders import Embedder
from .models import (
    AuditEntries,
    Capabilities,
    ContextBlock,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    MemorySource,
    SearchResults,
)
from .operations import (
    UNSET,
    Add,
    Audit,
    Context,
    Delete,
    Get,
    List,
    Operation,
    Progress,
    Reembed,
    Reindex,
    Search,
    Unset,
    Update,
    WaitForIngest,
)
from .ports import run_blocking
from .rerankers import Reranker
from .tokens import TokenCounter

R = TypeVar("R")


class Memory:
    """A client of one memory backend, for code without an event loop.

    Every verb blocks until it is done. An instance may be shared by threads. Use it in a ``with``
    block, or call `close`; without a block the first verb connects. After `close` every verb raises `RuntimeError`.
    Any verb may raise `UnauthorizedError`: the backend refused the credentials.

    `AsyncMemory` has the same arguments, verbs, results and errors.

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
        self.client = Client(provider, settings, BlockingPorts, "Memory")

    def add(
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
        **extensions: Any,
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
            extensions: ``x-<provider>`` objects, kept on the record: ``**{"x-mem0": {...}}``.

        Raises:
            InvalidRequestError: an argument is wrong, or `supersedes` names an unknown memory.
            ConflictError: `supersedes` names a memory that has ended already; nothing was stored.
            ScopeDeniedError: the grants do not include ``write`` on `scope`.
            UnsupportedCapabilityError: the backend has no scopes, no validity or no supersession, and one is given.
            RateLimitedError: the embedder or the backend is asked too often.
            ProviderError: the backend or the embedder failed; nothing was stored, unless the connection was lost
                while its answer was on the way.
        """
        return self._run(
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
                extensions=extensions,
            )
        )

    def add_many(self, records: Iterable[Mapping[str, Any]], *, progress: Progress | None = None) -> MemoryRecords:
        """Store many memories at once: all of them, or none if anything is wrong or fails.

        Much faster than `add` for each. The order is kept: `list` has the last record first. The other
        calls of this client go on meanwhile.

        Args:
            records: mappings with the arguments of `add`, ``x-<provider>`` extensions included; see
                `openmem.MemoryInput`. They are read to the end, and all of them checked, before anything
                is sent.
            progress: called after each batch with the memories done and the memories there are. They
                are stored, and others can see them, once both are the same.

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
        return run_blocking(self.client.add_many(records, progress))

    def get(self, id: str) -> MemoryRecord:
        """One memory by its id, whether or not it is valid now.

        Raises:
            InvalidRequestError: `id` is not a text of 1 to 512 characters.
            NotFoundError: there is no such memory.
            ScopeDeniedError: the grants do not include ``read`` on its scope.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return self._run(Get(id=id))

    def update(
        self,
        id: str,
        *,
        content: str | Unset = UNSET,
        scope: str | Unset | None = UNSET,
        tags: Sequence[str] | Unset | None = UNSET,
        confidence: float | Unset | None = UNSET,
        valid_to: datetime | str | Unset | None = UNSET,
        supersedes: Sequence[str] | Unset = UNSET,
        supersede_ended: bool = False,
    ) -> MemoryRecord:
        """Change a memory. A field left out keeps its value; None clears a nullable one.

        Args:
            id: the memory to change.
            content: new text; it is embedded anew.
            scope: new scope, or None for none.
            tags: new labels, instead of the old ones.
            confidence: new confidence.
            valid_to: new end of its validity, or None for no end.
            supersedes: ids added to those it replaces already; their validity ends now.
            supersede_ended: also replace memories that have ended already; see `add`. Those that it
                replaces already are never a conflict.

        Raises:
            NotFoundError: there is no such memory.
            InvalidRequestError: nothing to change, a wrong value, or an unknown superseded memory.
            ConflictError: `supersedes` names a memory that has ended already; nothing was changed.
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
            "valid_to": valid_to,
            "supersedes": supersedes,
        }
        given = {name: value for name, value in fields.items() if value is not UNSET}
        return self._run(Update(id=id, supersede_ended=supersede_ended, **given))

    def delete(self, id: str) -> None:
        """Remove a memory for good.

        Raises:
            InvalidRequestError: `id` is not a text of 1 to 512 characters.
            NotFoundError: there is no such memory.
            ScopeDeniedError: the grants do not include ``delete`` on its scope.
            UnsupportedCapabilityError: the backend does not have the verb.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        self._run(Delete(id=id))

    def list(
        self,
        user_id: str,
        *,
        scope: str | None = None,
        tag: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> MemoryPage:
        """One page of a user's memories, newest first, whether or not they are valid now.

        Args:
            user_id: whose memories.
            scope: a path, ``path/*`` for everything below it, or ``*`` for all that have a scope.
            tag: only memories with this tag.
            since: only those created at or after this moment.
            until: only those created before this moment.
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
        return self._run(
            List(user_id=user_id, scope=scope, tag=tag, since=since, until=until, limit=limit, cursor=cursor)
        )

    def search(
        self,
        query: str,
        user_id: str,
        *,
        scope: str | None = None,
        limit: int = 10,
        min_score: float | None = None,
        timezone: tzinfo | str | None = None,
        recency: timedelta | float | None = None,
    ) -> SearchResults:
        """The user's memories that best answer `query` and are valid now, best first.

        Args:
            query: a question or a few words.
            user_id: whose memories.
            scope: a path, ``path/*`` for everything below it, or ``*`` for all that have a scope.
            limit: results at most, 1 to 100.
            min_score: leave out results below this score, 0 to 1.
            timezone: in which the query names days, such as "yesterday"; None for the client's own.
            recency: a half-life, in seconds or as a timedelta: of two equally good memories the newer one comes first.
                An old one loses up to a fifth of its score, and half of that at this age. None if age does not matter.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on `scope`.
            UnsupportedCapabilityError: the backend does not have the verb, or has no scopes.
            RateLimitedError: the embedder, the reranker or the backend is asked too often.
            ProviderError: the backend or the embedder failed or cannot be reached, or all connections were
                busy for `pool_timeout` seconds.
        """
        return self._run(
            Search(
                query=query,
                user_id=user_id,
                scope=scope,
                limit=limit,
                min_score=min_score,
                timezone=timezone,
                recency=recency,
            )
        )

    def context(
        self,
        query: str,
        user_id: str,
        *,
        scope: str | None = None,
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
            scope: as in `search`, but a plain path also takes in everything below it.
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
        return self._run(
            Context(
                query=query,
                user_id=user_id,
                scope=scope,
                token_budget=token_budget,
                timezone=timezone,
                recency=recency,
            )
        )

    def audit(
        self,
        user_id: str,
        *,
        app: str | None = None,
        since: datetime | str | None = None,
        limit: int = 100,
    ) -> AuditEntries:
        """What was done with a user's memories, newest first.

        Args:
            user_id: whose memories.
            app: only calls of this application.
            since: only calls at or after this moment.
            limit: entries at most, 1 to 1000.

        Raises:
            InvalidRequestError: an argument is wrong.
            ScopeDeniedError: the grants do not include ``read`` on anything.
            UnsupportedCapabilityError: the backend does not have the verb or keeps no log.
            RateLimitedError: the backend is asked too often.
            ProviderError: the backend failed or cannot be reached, or all its connections were busy for
                `pool_timeout` seconds.
        """
        return self._run(Audit(user_id=user_id, app=app, since=since, limit=limit))

    def capabilities(self) -> Capabilities:
        """What the backend is and can do. Asked once, then remembered.

        Raises:
            UnauthorizedError: the backend had to be asked, and refused the credentials.
            RateLimitedError: the backend had to be asked, and is asked too often.
            ProviderError: the backend had to be asked, and failed or cannot be reached.
        """
        return run_blocking(self.client.capabilities())

    def wait_for_ingest(self, ids: Sequence[str], user_id: str, *, timeout: float | None = None) -> None:
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
        self._run(WaitForIngest(ids=ids, user_id=user_id, timeout=timeout))

    def reembed(self, *, batch_size: int = 256, progress: Progress | None = None) -> int:
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
        return self._run(Reembed(batch_size=batch_size, progress=progress))

    def reindex(self, *, batch_size: int = 1000, everything: bool = False, progress: Progress | None = None) -> int:
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
        return self._run(Reindex(batch_size=batch_size, everything=everything, progress=progress))

    def close(self) -> None:
        """Close all connections. Idempotent; any verb afterwards raises `RuntimeError`."""
        run_blocking(self.client.close())

    def __enter__(self) -> Self:
        opening = self.client.open()
        try:
            run_blocking(opening)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, op: Operation[R]) -> R:
        return run_blocking(self.client.run(op))
