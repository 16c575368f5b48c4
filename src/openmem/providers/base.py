"""What a provider is: the verbs over one kind of backend, in one class for both modes.

Authors of providers import from here, from `openmem.operations`, `openmem.models`, `openmem.errors`,
`openmem.config` and `openmem.ports`; what these list in ``__all__`` is kept from release to release.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar

from .._ids import new_memory_id
from ..call import Call
from ..config import PROVIDER_SETTINGS, ClientConfig
from ..errors import (
    NotFoundError,
    ProviderError,
    ScopeDeniedError,
    UnsupportedCapabilityError,
)
from ..models import (
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
from ..models import (
    Facets as FacetList,
)
from ..operations import (
    VERBS,
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
    Operation,
    Purge,
    Put,
    Reembed,
    Reindex,
    Restore,
    ScopedQuery,
    Search,
    Update,
    Users,
    Verbs,
    WaitForIngest,
)
from ..operations.vectors import StoredVectors
from ..ports import Ports
from ..selection import Position, Selection, is_valid
from .contents import check_texts
from .sample import Sample
from .supersession import check_not_ended, unknown_superseded, without_names

__all__ = [
    "CONTEXT_CANDIDATES",
    "Call",
    "Position",
    "Provider",
    "Selection",
    "check_not_ended",
    "is_valid",
    "new_memory_id",
    "no_such_key",
    "no_such_memory",
    "unknown_superseded",
]

R = TypeVar("R")

CONTEXT_CANDIDATES = 100
POLL_INTERVAL_SECONDS = 0.25
SHORTEST_SECRET_CHARACTERS = 4


class Provider(Verbs):
    """The verbs over one kind of backend.

    Subclasses override the verbs their backend has; those left out are refused with
    `UnsupportedCapabilityError` before anything is sent, and are not advertised. `context` comes
    with `search`. The constructor checks its settings and does no I/O.

    Everything that waits is awaited through the ports, so that the same class serves `Memory` and
    `AsyncMemory`; see `openmem.ports`.
    """

    name: str
    features: CapabilityFeatures = CapabilityFeatures()
    limits: CapabilityLimits = CapabilityLimits()
    remembers_keys: bool = False
    """Whether `add` honours `Call.idempotency_key`."""
    settings: frozenset[str] = PROVIDER_SETTINGS
    """Arguments of the client that this provider reads, beside those that every client has. Others are refused. By
    default nothing is."""
    options: frozenset[str] = frozenset()
    """Constructor arguments of the client that only this provider knows, of a provider of this package."""
    capabilities_are_remote: bool = False
    """Whether the backend must be asked for its capabilities, so that `open` comes first."""
    has_snapshots: bool = False
    """Whether `at_one_moment` shows what is stored at one moment."""
    infers: bool = False
    """Whether a language model of the backend makes memories of what is added, which is not stored as it is."""

    @property
    def vector_model(self) -> str | None:
        """The model of the vectors that `StoredVectors` shows and `Restore` takes; None if the backend has neither."""
        return None

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        self.config = config
        self.ports = ports
        has_search = type(self).search is not Provider.search
        self.verbs: tuple[str, ...] = tuple(
            verb.verb
            for verb in VERBS
            if getattr(type(self), verb.verb) is not getattr(Provider, verb.verb) or (verb is Context and has_search)
        )
        """The verbs this backend has."""
        self._secrets: list[str] = []

    async def resolve(self) -> Provider:
        """The provider to use: by default this one. It is asked for before `open`."""
        return self

    async def open(self) -> None:
        """Connect. Called once, before the first verb; called again if it failed."""

    async def close(self) -> None:
        """Release what `open` took, also when it failed half-way. Bounded and idempotent."""

    async def ping(self) -> None:
        """Raise `ProviderError` unless the backend answers. By default nothing is asked."""

    async def details(self) -> Mapping[str, str | int]:
        """What those who run a backend ask of it first, by name; see `openmem.client.Client.details`."""
        return {}

    def pool_usage(self) -> tuple[int, int] | None:
        """Connections to the backend, as (busy, idle); None where there is no pool."""
        return None

    def check(self, op: Operation, call: Call) -> None:
        """Refuse what this backend cannot do or the caller may not do, before any I/O."""
        if op.verb not in self.verbs and not (isinstance(op, StoredVectors) and self.vector_model is not None):
            advice = f"; {op.alternative}" if op.alternative else ""
            raise UnsupportedCapabilityError(
                f"provider {self.name!r} has no {op.verb!r}; it has {', '.join(self.verbs)}{advice}"
            )
        op.check_each(self._check_content)
        self.check_access(op, call)

    def check_access(self, op: Operation, call: Call) -> None:
        """Refuse what the caller may not do, as far as the arguments show it."""

        def check(part: Operation) -> None:
            user_id = vars(part).get("user_id")
            if user_id is not None and not call.may_act_for(user_id):
                raise ScopeDeniedError(f"user_id: the caller may not act for user {user_id!r}")
            if part.is_administrative and call.users is not None:
                raise ScopeDeniedError(f"{part.verb}: only a caller who may act for every user may do this")
            part.authorize(call.grants)

        op.check_each(check)

    def _check_content(self, op: Operation) -> None:
        check_texts(op, self.features)
        self._check_features(op)

    def _check_features(self, op: Operation) -> None:
        features, given = self.features, vars(op)
        for field, is_supported in (
            ("scope", features.scopes != "none"),
            ("valid_from", features.temporal),
            ("valid_to", features.temporal),
            ("supersedes", features.supports_supersession),
            ("timezone", features.timezones),
            ("recency", features.recency),
            ("cursor", features.audit_pages or not isinstance(op, Audit)),
            ("metadata", features.metadata),
            ("where", features.metadata),
            ("tags", features.filters or not isinstance(op, ScopedQuery)),
            ("any_tags", features.filters),
            ("as_of", features.filters),
            ("order", features.filters or given.get("order") == "newest"),
            ("key", features.keys),
            ("keys", features.keys),
            ("if_version", features.versions),
            ("expires_at", features.expiry),
            ("explain", features.explanations),
        ):
            if not is_supported and given.get(field):
                raise UnsupportedCapabilityError(f"{field}: provider {self.name!r} does not support it; leave it out")
        if not given.get("indexed", True) and not features.unindexed:
            raise UnsupportedCapabilityError(f"indexed: provider {self.name!r} does not support it; leave it out")
        if isinstance(op, ScopedQuery) and not features.filters:
            self._check_plain_query(op)

    def _check_plain_query(self, op: ScopedQuery) -> None:
        """Refuse the filters that only backends with the feature ``filters`` have."""
        if op.scopes is not None and (len(op.scopes) > 1 or op.scopes[0].endswith("/**")):
            raise UnsupportedCapabilityError(
                f"scope: provider {self.name!r} does not support several scopes or 'path/**'; ask for one at a time"
            )
        for field in ("app", "since", "until"):
            if getattr(op, field) is not None and (field == "app" or not isinstance(op, List)):
                raise UnsupportedCapabilityError(f"{field}: provider {self.name!r} does not support it; leave it out")

    async def capabilities(self) -> Capabilities:
        """What this backend is and can do."""
        return Capabilities(
            provider=self.name,
            verbs=[*(verb.verb for verb in VERBS if verb.is_wire_verb and verb.verb in self.verbs), "capabilities"],
            features=self.features,
            limits=self.limits,
        )

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        self._unsupported(op)

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords:
        self._unsupported(op)

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        self._unsupported(op)

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        self._unsupported(op)

    async def delete(self, op: Delete, call: Call) -> None:
        self._unsupported(op)

    async def list(self, op: List, call: Call) -> MemoryPage:
        self._unsupported(op)

    async def sample(self, op: List, call: Call, size: int) -> Sample:
        """Memories from all of a list, about `size` of them at most; by default its first ones."""
        page = await self.list(op.model_copy(update={"limit": min(size, 500), "cursor": None}), call)
        return Sample(page.items[::-1], {}, is_whole=page.next_cursor is None, is_spread=False)

    async def search(self, op: Search, call: Call) -> SearchResults:
        self._unsupported(op)

    async def context(self, op: Context, call: Call) -> ContextBlock:
        """By default the results of `search`, cited within the budget."""
        results = await self.search(op.as_search(self.most_results(CONTEXT_CANDIDATES)), call)
        from ..context import build_context  # noqa: PLC0415 - other verbs need none of it

        return await self.ports.run_cpu(build_context, results, op.query, op.token_budget, self.config.token_counter)

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        self._unsupported(op)

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None:
        self._unsupported(op)

    async def reembed(self, op: Reembed, call: Call) -> int:
        self._unsupported(op)

    async def reindex(self, op: Reindex, call: Call) -> int:
        self._unsupported(op)

    async def put(self, op: Put, call: Call) -> MemoryRecord:
        self._unsupported(op)

    async def get_by_key(self, op: GetByKey, call: Call) -> MemoryRecord:
        self._unsupported(op)

    async def delete_many(self, op: DeleteMany, call: Call) -> int:
        self._unsupported(op)

    async def count(self, op: Count, call: Call) -> int:
        self._unsupported(op)

    async def facets(self, op: Facets, call: Call) -> FacetList:
        self._unsupported(op)

    async def history(self, op: History, call: Call) -> MemoryRecords:
        self._unsupported(op)

    async def users(self, op: Users, call: Call) -> UserPage:
        self._unsupported(op)

    async def forget_user(self, op: ForgetUser, call: Call) -> Erased:
        self._unsupported(op)

    async def restore(self, op: Restore, call: Call) -> RestoredMemories:
        self._unsupported(op)

    async def purge(self, op: Purge, call: Call) -> Purged:
        self._unsupported(op)

    async def with_readable_names(
        self,
        records: Sequence[MemoryRecord],
        call: Call,
        look_up: Callable[[str], Awaitable[MemoryRecord | None]],
        known: Iterable[MemoryRecord] = (),
    ) -> Sequence[MemoryRecord]:
        """`records` without the names of superseded memories that the caller may not read.

        Args:
            look_up: the memory with an id; None if there is none that the caller may know of. Asked only
                on behalf of callers who may not read everything.
            known: memories that need not be looked up.
        """
        granted = call.grants.read
        if granted is None:
            return records
        named = {record.id: record for record in known}
        is_readable: dict[str, bool] = {}
        for record in records:
            for id in record.supersedes or ():
                if id not in is_readable:
                    memory = named[id] if id in named else await look_up(id)
                    is_readable[id] = (
                        memory is not None and memory.user_id == record.user_id and granted.matches(memory.scope)
                    )
        return [without_names(record, is_readable) for record in records]

    async def with_readable_names_in(
        self, results: SearchResults, call: Call, look_up: Callable[[str], Awaitable[MemoryRecord | None]]
    ) -> SearchResults:
        """The same for the memories of search results."""
        records = await self.with_readable_names([result.memory for result in results], call, look_up)
        return [
            result if record is result.memory else result.model_copy(update={"memory": record})
            for result, record in zip(results, records, strict=True)
        ]

    async def poll(self, op: WaitForIngest, is_ingested: Callable[[str], Awaitable[bool]]) -> None:
        """Ask again and again, memory by memory, until all are ingested.

        Raises:
            ProviderError: ``ingestion_timeout``; one was not in time.
        """

        async def queued(ids: Sequence[str]) -> Sequence[str]:
            for index, id in enumerate(ids):
                if not await is_ingested(id):
                    return ids[index:]
            return ()

        await self.wait_until_ingested(op, queued)

    async def wait_until_ingested(
        self, op: WaitForIngest, queued: Callable[[Sequence[str]], Awaitable[Sequence[str]]]
    ) -> None:
        """Ask again and again until none is queued, for `op.timeout` seconds at most, however slow the answers are.

        With a timeout of 0 the backend is asked once.

        Args:
            queued: those of some memories that are not ingested yet, or a few of which one is the first.

        Raises:
            ProviderError: ``ingestion_timeout``; one was not in time.
        """
        clock = self.ports.monotonic
        deadline = None if op.timeout is None else clock() + op.timeout
        left: Sequence[str] = op.ids

        async def wait() -> None:
            nonlocal left
            while left := await queued(left):
                remaining = POLL_INTERVAL_SECONDS if deadline is None else deadline - clock()
                if remaining <= 0:
                    raise TimeoutError
                await self.ports.sleep(min(POLL_INTERVAL_SECONDS, remaining))

        try:
            if op.timeout:
                await self.ports.within(op.timeout, wait)
            else:
                await wait()
        except TimeoutError:
            raise ProviderError(
                f"memory {left[0]!r} was still queued after {op.timeout:g} s", code="ingestion_timeout"
            ) from None

    def most_results(self, wanted: int) -> int:
        """How many memories to ask `search` for: as many as are wanted, if the backend finds so many."""
        return max(1, min(wanted, self.limits.max_search_results or wanted))

    async def at_one_moment(self, work: Callable[[object], Awaitable[R]]) -> R:
        """What `work` returns, called with an object that has `list`, `users` and `audit`.

        Where `has_snapshots`, these see what is stored at one moment, and leave no audit entries. By default it is the
        provider itself.
        """
        return await work(self)

    def add_secret(self, secret: str) -> None:
        """See to it that `redact` shows `secret` nowhere."""
        if len(secret) >= SHORTEST_SECRET_CHARACTERS:
            self._secrets.append(secret)

    def redact(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _unsupported(self, op: Operation) -> NoReturn:
        raise UnsupportedCapabilityError(f"provider {self.name!r} has no {op.verb!r}")


def no_such_memory(id: str) -> NotFoundError:
    """The error for an id that names nothing the caller may know of."""
    return NotFoundError(f"there is no memory {id!r}")


def no_such_key(key: str) -> NotFoundError:
    """The error for a key that names nothing the caller may know of."""
    return NotFoundError(f"there is no memory with key {key!r} in this scope")
