"""What the verbs of this provider have in common: its settings, and how they see a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from ...config import ClientConfig
from ...embedders import embedder_for
from ...errors import InvalidRequestError
from ...models import AuditEntry, CapabilityFeatures, CapabilityLimits, MemoryRecord
from ...operations import Delete, Get, History, Update
from ...ports import Ports
from ...ports.models import EmbedderIO
from ..analyzing import Analysis
from ..base import Call, Provider, no_such_memory
from ..supersession import without_names
from .store import MemoryStore, Stored

R = TypeVar("R")

MAX_CONTENT_CHARACTERS: Final = 65_536
QUICK_MEMORIES: Final = 20
"""More memories are stored, listed or ranked in a thread, and fewer in the calling one."""


class StoreProvider(Provider):
    """Memories that live in a `MemoryStore`: by default one of this client's own, which ends with it."""

    name = "memory"
    settings = frozenset({"audit", "embedder", "language", "timezone"})
    remembers_keys = True
    options = frozenset({"store"})
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

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        store = config.options.get("store")
        if store is not None and not isinstance(store, MemoryStore):
            raise InvalidRequestError(
                f"store: it is of type {type(store).__name__}; pass a MemoryStore, from openmem.providers.memory"
            )
        self._store = MemoryStore() if store is None else store
        self._embedder: EmbedderIO = embedder_for("hashing" if config.embedder is None else config.embedder, ports)
        self._analysis = Analysis(config, ports)
        if config.audit == "off":
            self.features = self.features.model_copy(update={"supports_audit": False})
        if config.audit != "all":
            self.features = self.features.model_copy(update={"audits_reads": False})

    async def details(self) -> Mapping[str, str | int]:
        return {"embedder": self._embedder.model}

    async def open(self) -> None:
        await self._analysis.load()
        await self._embedder.load()

    async def close(self) -> None:
        await self._embedder.close()

    async def _run(self, memories: int, function: Callable[[], R]) -> R:
        """The result of `function`, called in a thread if it goes through more than a few memories."""
        return function() if memories <= QUICK_MEMORIES else await self.ports.run_cpu(function)

    def _find(self, op: Get | Update | Delete | History, call: Call) -> Stored:
        """The memory with the operation's id.

        Raises:
            NotFoundError: there is none that the caller may know of.
            ScopeDeniedError: the grants do not include its scope.
        """
        stored = self._store.find(op.id)
        if stored is None or not call.may_act_for(stored.record.user_id):
            raise no_such_memory(op.id)
        call.grants.require(op.access, stored.record.scope)
        return stored

    def _shown(self, record: MemoryRecord, call: Call) -> MemoryRecord:
        """A copy of a record, without the names of what the caller may not read."""
        return self._readable(record, call).model_copy(deep=True)

    def _readable(self, record: MemoryRecord, call: Call) -> MemoryRecord:
        """The record itself, or one without the names of what the caller may not read."""
        granted = call.grants.read
        if granted is not None and record.supersedes:
            found = self._store.of_user(record.user_id, record.supersedes)
            record = without_names(record, {id: granted.matches(named.record.scope) for id, named in found.items()})
        return record

    def _log_write(
        self, action: str, user_id: str, call: Call, *, record: MemoryRecord | None = None, scope: str | None = None
    ) -> None:
        if self.config.audit != "off":
            self._log(action, user_id, call, record, scope)

    def _log_read(
        self, action: str, user_id: str, call: Call, *, record: MemoryRecord | None = None, scope: str | None = None
    ) -> None:
        if self.config.audit == "all":
            self._log(action, user_id, call, record, scope)

    def _log(self, action: str, user_id: str, call: Call, record: MemoryRecord | None, scope: str | None) -> None:
        source = None if record is None or record.source is None else record.source.app
        entry = AuditEntry(
            timestamp=self._store.now(),
            app=source if call.app is None else call.app,
            action=action,
            memory_id=None if record is None else record.id,
            scope=scope if record is None else record.scope,
            request_id=call.request_id,
        )
        self._store.log(user_id, entry)
