"""The verbs on PostgreSQL: embed if needed, then one statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from ...config import ClientConfig
from ...embedders import embedder_for
from ...errors import ConflictError, NotFoundError
from ...models import (
    AuditEntries,
    Capabilities,
    CapabilityFeatures,
    CapabilityLimits,
    ContextBlock,
    Erased,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    Purged,
    RestoredMemories,
    SearchResults,
    UserPage,
)
from ...models import Facets as FacetList
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
    List,
    Purge,
    Put,
    Reembed,
    Reindex,
    Restore,
    Search,
    Update,
    Users,
    WaitForIngest,
)
from ...ports import Ports
from ...ports.errors import DuplicateKeyError
from ...ports.models import EmbedderIO
from ...ports.postgres import PostgresIO, Statement
from ..analyzing import Analysis
from ..base import CONTEXT_CANDIDATES, Call, Provider
from ..conflicts import key_in_use
from ..contents import check_new_content
from ..sample import Sample
from . import inspection, schema
from .additions import Additions
from .bulk import Bulk
from .calibrating import calibrate
from .database import Connections, Database, Replica, note_read_only
from .erasing import Eraser
from .lexemes import query_values, term_ids, terms_literal
from .retrieval.retriever import Retriever
from .servers import PostgresServer, RemoteServer
from .sharding import Sharding, has_citus
from .snapshot import Snapshot
from .statements import cached_statements
from .writes import READ_FIELDS, Read

R = TypeVar("R")

MAX_CONTENT_CHARACTERS = 65_536
UPGRADE_TIMEOUT_SECONDS = 24 * 3600.0


class PostgresProvider(Provider):
    """Memories in PostgreSQL with pgvector.

    Args:
        server: the server to use; by default the one of ``url``.
    """

    name = "postgres"
    settings = frozenset(
        {
            "audit", "embedder", "language", "pool_max_size", "pool_min_size", "pool_timeout", "replica_url", "schema",
            "timeout", "timezone", "url",
        }
    )  # fmt: skip
    remembers_keys = True
    has_snapshots = True
    features = CapabilityFeatures(
        vector_search=True,
        keyword_search=True,
        temporal=True,
        scopes="native",
        max_content_length=MAX_CONTENT_CHARACTERS,
        supports_audit=True,
        supports_supersession=True,
        scores="similarity",
        atomic_supersession=True,
        audits_reads=True,
        audit_pages=True,
        timezones=True,
        recency=True,
        metadata=True,
        filters=True,
        keys=True,
        versions=True,
        expiry=True,
        unindexed=True,
        explanations=True,
    )
    limits = CapabilityLimits(max_search_results=100)

    def __init__(self, config: ClientConfig, ports: Ports, server: PostgresServer | None = None) -> None:
        super().__init__(config, ports)
        self._schema = schema.check_schema_name(config.schema)
        self._embedder: EmbedderIO = embedder_for(config.embedder, ports)
        self._server: PostgresServer = server or RemoteServer(config, ports, config.url, "url")
        self._replica: PostgresServer | None = None
        if config.replica_url is not None:
            self._replica = RemoteServer(config, ports, config.replica_url, "replica_url")
        self._analysis = Analysis(config, ports)
        self._additions = Additions()
        self._connections: Connections | None = None
        self._opened: Database | None = None
        if config.audit == "off":
            self.features = self.features.model_copy(update={"supports_audit": False})
        if config.audit != "all" or self._replica is not None:
            self.features = self.features.model_copy(update={"audits_reads": False})

    async def open(self) -> None:
        if self._connections is None:
            self._connections = await self._connect()
        io, audit, clock = self._connections.primary, self.config.audit, self.ports.monotonic
        store = await schema.ensure(io, self._schema, self.ports, self._connect_for_upgrade)
        if io.cache.is_read_only and not io.cache.asks_again:
            note_read_only(io, clock)
        if audit != "off" and not inspection.check_audit(store, self._schema):
            self.features = self.features.model_copy(update={"audits_reads": False})
        replica = self._connections.replica
        self._opened = Database(
            io=io,
            sql=cached_statements(self._schema, store.vector_schema, audit),
            unaudited_sql=cached_statements(self._schema, store.vector_schema, "writes" if audit == "all" else audit),
            audits_reads=bool(self.features.audits_reads),
            clock=clock,
            sleep=self.ports.sleep,
            replica=None if replica is None else Replica(replica, clock),
        )
        await io.fill()
        await self._analysis.load()
        await self._embedder.load()

    async def _connect(self) -> Connections:
        settings = await self._server.settings()
        if self._replica is None:
            return Connections(await self._server.connect(settings))
        replica_settings = replace(await self._replica.settings(), pool_min_size=0)
        primary = await self._server.connect(settings)
        try:
            return Connections(primary, await self._replica.connect(replica_settings))
        except BaseException:
            await primary.close()
            raise

    async def _connect_for_upgrade(self) -> PostgresIO:
        settings = await self._server.settings()
        return await self.ports.postgres(
            replace(settings, pool_min_size=0, pool_max_size=2, timeout=UPGRADE_TIMEOUT_SECONDS)
        )

    async def ping(self) -> None:
        await self._db.run(Statement("SELECT 1", (), lambda rows: None))

    async def details(self) -> Mapping[str, str | int]:
        found = await self._db.run(inspection.inspect_database(self._schema))
        to_reembed = await self._db.run(self._db.sql.reembedding.count_stale(self._embedder.model))
        to_reindex = await self._db.run(self._db.sql.reindexing.count_stale(False))
        return {
            "server": f"PostgreSQL {found.version // 10_000}.{found.version % 10_000}",
            "pgvector": found.vector_version or "",
            "embedder": self._embedder.model,
            "to_reembed": to_reembed,
            "to_reindex": to_reindex,
        }

    def pool_usage(self) -> tuple[int, int] | None:
        return None if self._connections is None else self._connections.primary.usage()

    async def close(self) -> None:
        try:
            if self._connections is not None:
                await self._connections.close()
        finally:
            try:
                await self._server.release()
            finally:
                await self._embedder.close()

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        # Before anything is awaited, so that the ids of memories that are added at once are in the order of the calls.
        with self._additions.begin(op.user_id) as addition:
            read = await self._read_new(op)
            if call.idempotency_key is None:
                return await self._db.write(self._db.sql.writes.add(addition, op, call, read))
            statement = self._db.sql.writes.add_once(addition, op, call, read)
            try:
                added = await self._db.write(statement)
            except ConflictError:
                # It may have waited for another one with its key, which the second time is seen.
                try:
                    added = await self._db.write(statement)
                except DuplicateKeyError as error:
                    raise key_in_use(op.key or "") from error
        if isinstance(added, MemoryRecord):
            return added
        return await self._db.run(self._db.sql.writes.added_before(op, call, added))

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        return await self._bulk.add_many(op, call)

    async def restore(self, op: Restore, call: Call) -> RestoredMemories:
        return await self._bulk.restore(op, call)

    async def put(self, op: Put, call: Call) -> MemoryRecord:
        with self._additions.begin(op.user_id) as addition:
            read = await self._read_new(op)
            if op.indexed and op.valid_from is None and not op.keep_history:
                read = read._replace(moments=self._analysis.day_of(self.ports.now()))
            while not isinstance(
                stored := await self._db.write(self._db.sql.writes.put(addition, op, call, read)), MemoryRecord
            ):
                # None where another one that stored the key came between.
                if stored is not None:
                    again = await self._read(op.content, stored, has_vector=False)
                    read = read._replace(terms=again.terms, moments=(stored, stored))
            return stored

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        return await self._db.read(lambda sql: sql.reads.get(op, call))

    async def get_by_key(self, op: GetByKey, call: Call) -> MemoryRecord:
        return await self._db.read(lambda sql: sql.reads.get_by_key(op, call))

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        try:
            # It changes nothing where another write came between, after which what was read does not fit any more.
            while (updated := await self._update(op, call)) is None:
                pass
        except DuplicateKeyError as error:
            found = await self._db.run(self._db.sql.batches.find([op.id]))
            raise key_in_use((op.id in found and found[op.id].key) or "") from error
        return updated

    async def _update(self, op: Update, call: Call) -> MemoryRecord | None:
        seen, read = None, Read()
        if not op.changes.isdisjoint(READ_FIELDS):
            seen = await self._db.run(self._db.sql.reads.before_update(op, call))
        if seen is not None:
            check_new_content(op, self.features, is_indexed=seen.indexed)
        if seen is not None and seen.indexed:
            content = op.content if seen.content is None else seen.content
            moment = (op.valid_from or seen.created_at) if "valid_from" in op.changes else seen.moment
            read = await self._read(content, moment, has_vector="content" in op.changes)
        return await self._db.write(self._db.sql.writes.update(op, call, seen, read))

    async def delete(self, op: Delete, call: Call) -> None:
        await self._db.write(self._db.sql.writes.delete(op, call))

    async def list(self, op: List, call: Call) -> MemoryPage:
        return await self._db.read(lambda sql: sql.reads.list(op, call))

    async def sample(self, op: List, call: Call, size: int) -> Sample:
        return await self._db.read(lambda sql: sql.sampling.sample(op, call, self._embedder.model, size))

    async def count(self, op: Count, call: Call) -> int:
        return await self._db.read(lambda sql: sql.counting.count(op, call))

    async def facets(self, op: Facets, call: Call) -> FacetList:
        return await self._db.read(lambda sql: sql.counting.facets(op, call))

    async def history(self, op: History, call: Call) -> MemoryRecords:
        return await self._db.read(lambda sql: sql.reads.history(op, call))

    async def users(self, op: Users, call: Call) -> UserPage:
        return await self._db.run(self._db.sql.users.page(op, is_sharded=await self._is_sharded()))

    async def delete_many(self, op: DeleteMany, call: Call) -> int:
        if op.dry_run:
            return await self._db.read(lambda sql: sql.counting.count(op, call))
        return await Eraser(self._db).delete_many(op, call)

    async def forget_user(self, op: ForgetUser, call: Call) -> Erased:
        return await Eraser(self._db).forget(op)

    async def purge(self, op: Purge, call: Call) -> Purged:
        return await Eraser(self._db).purge(op, is_sharded=await self._is_sharded())

    async def search(self, op: Search, call: Call) -> SearchResults:
        return await self._ranked(op, call, op.limit)

    async def context(self, op: Context, call: Call) -> ContextBlock:
        results = await self._ranked(op, call, CONTEXT_CANDIDATES)
        from ...context import build_context  # noqa: PLC0415 - other verbs need none of it

        return await self.ports.run_cpu(build_context, results, op.query, op.token_budget, self.config.token_counter)

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        return await self._db.read(lambda sql: sql.audit_log.audit(op, call))

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        """Writes can be searched as soon as they return, so the ids are checked, and a replica is waited for."""

        async def queued(_: Sequence[str]) -> Sequence[str]:
            missing = await self._db.run(self._db.sql.reads.missing(op))
            if missing:
                raise NotFoundError(f"ids: user {op.user_id!r} has no memory {', '.join(map(repr, missing))}")
            return () if self._db.replica is None else await self._db.read(lambda sql: sql.reads.missing(op))

        await self.wait_until_ingested(op, queued)

    async def reembed(self, op: Reembed, call: Call) -> int:
        """Batch by batch, each stored before the next is begun, so that it may be stopped and run again."""
        model = self._embedder.model
        total = await self._db.run(self._db.sql.reembedding.count_stale(model))
        done = 0
        last_id = ""
        while batch := await self._db.run(self._db.sql.reembedding.stale(model, last_id, op.batch_size)):
            vectors = await self._embedder.embed([memory.content for memory in batch])
            done += await self._db.write(self._db.sql.reembedding.store(model, batch, vectors))
            last_id = batch[-1].id
            if op.progress is not None:
                op.progress(done, max(done, total))
        return done

    async def reindex(self, op: Reindex, call: Call) -> int:
        """Batch by batch, each stored before the next is begun, so that it may be stopped and run again."""
        reindexing = self._db.sql.reindexing
        total = await self._db.run(reindexing.count_stale(op.everything))
        done = 0
        last_id = ""
        while batch := await self._db.run(reindexing.stale(op.everything, last_id, op.batch_size)):
            found = await self._analysis.memories(
                [memory.content for memory in batch], [memory.moment for memory in batch]
            )
            done += await self._db.write(await self.ports.run_cpu(reindexing.store, batch, found))
            last_id = batch[-1].id
            if op.progress is not None:
                op.progress(done, max(done, total))
        return done

    @property
    def vector_model(self) -> str | None:
        return self._embedder.model

    async def at_one_moment(self, work: Callable[[object], Awaitable[R]]) -> R:
        is_sharded = await self._is_sharded()
        return await self._db.io.transact(
            lambda transaction: work(Snapshot(self._db.unaudited_sql, transaction, is_sharded)), is_snapshot=True
        )

    async def _is_sharded(self) -> bool:
        """Whether the tables are divided over several nodes. Asked once."""
        known = self._db.io.cache.of(Sharding)
        if known.is_sharded is None:
            known.is_sharded = await self._db.run(has_citus())
        return known.is_sharded

    async def _ranked(self, op: Search | Context, call: Call, limit: int) -> SearchResults:
        asked = await self._analysis.asked(op.query)
        # One turn for all that is short, since every further one is another iteration of a busy loop.
        has_turn = self._embedder.is_quick(asked)
        if has_turn:
            await self.ports.take_turn()
        vector = await self._embedder.embed_query(asked, has_turn=has_turn)
        await calibrate(self._db, self._embedder, self.ports)
        words = await self._analysis.query(op.query, op.timezone, has_turn=has_turn)
        # Remembered until the statement needs it: the numbers of the words of a very long query take their time.
        await self._analysis.run([op.query], lambda: query_values(words), has_turn=has_turn)
        spelled = None
        if isinstance(op, Search) and op.explain:
            spelled = await self._analysis.spelled(op.query, words, op.timezone)
        return await Retriever(self._db).search(op, call, words, self._embedder.model, vector, limit, spelled)

    async def _read_new(self, op: Add) -> Read:
        return await self._read(op.content, op.valid_from or self.ports.now()) if op.indexed else Read()

    async def _read(self, content: str, moment: datetime, *, has_vector: bool = True) -> Read:
        model, vector, has_turn = None, None, False
        if has_vector:
            has_turn = self._embedder.is_quick(content)
            if has_turn:
                await self.ports.take_turn()
            model, [vector] = self._embedder.model, await self._embedder.embed([content], has_turn=has_turn)
        terms = await self._analysis.memory(
            content, moment, lambda found: terms_literal(term_ids(found)), has_turn=has_turn
        )
        return Read(model, vector, terms)

    @property
    def _bulk(self) -> Bulk:
        return Bulk(self._db, self._embedder, self._analysis, self.ports, self.config.audit != "off")

    async def capabilities(self) -> Capabilities:
        known = await super().capabilities()
        if self._connections is None or not self._connections.primary.cache.is_read_only:
            return known
        features = known.features.model_copy(update={"audits_reads": False})
        return known.model_copy(update={"features": features})

    @property
    def _db(self) -> Database:
        assert self._opened is not None, "open() comes first"
        return self._opened
