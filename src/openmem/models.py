"""The values that travel over the protocol.

All of them keep fields they do not know, so that records of a newer server survive a round trip
through an older client. All timestamps are timezone-aware; a naive one is read as UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from .audit_entries import AuditEntries as AuditEntries
from .audit_entries import AuditEntry as AuditEntry
from .tokens import TokenCounter, estimate_tokens
from .wire_model import Timestamp as Timestamp
from .wire_model import WireModel as WireModel
from .wire_model import as_utc as as_utc
from .wire_model import construct

if TYPE_CHECKING:
    from .delimited import Note
    from .explanations import Explanation

OMP_VERSION = "0.1"

MemoryStatus: TypeAlias = Literal["stored", "queued", "failed"]
"""Whether a memory can be searched: ``stored``, it can; ``queued``, not yet; ``failed``, it never will."""


class MemorySource(WireModel):
    """Where a memory came from. Fields it does not know are kept.

    Attributes:
        app: name of the application that learned it.
        type: ``explicit`` (stated by the user), ``extracted`` (derived) or ``imported``.
        ref: the application's own reference, for example a message id or URL.
    """

    app: str | None = None
    type: Literal["extracted", "explicit", "imported"] | None = None
    ref: str | None = None


class MemoryRecord(WireModel):
    """One memory. All times are timezone-aware and in UTC; A field that was not given is None.

    Attributes:
        id: assigned by the backend; up to 512 characters; never changes.
        content: the text that is remembered.
        user_id: whom it is about.
        created_at: when it was stored.
        scope: slash-delimited path such as ``coding/preferences``.
        tags: labels, in the order they were given.
        source: where it came from.
        confidence: how sure the application was, from 0 to 1.
        valid_from: from when on it holds; None for always.
        valid_to: until when it holds, exclusive; None for good. Search and context see only what holds now.
        supersedes: ids of the memories that it replaced, and whose validity it ended; without those that
            the caller may not read.
        embedding_model: name of the model that embedded it; None if the backend does not say.
        updated_at: when it was last changed, also by a memory that superseded it; None if it never was.
        status: ``stored``: it can be searched. ``queued``: it will be, see `openmem.Memory.wait_for_ingest`.
            ``failed``: the backend could not process it; delete it and add it again. A backend may have other
            values. None if the backend does not say.
        metadata: a JSON object of the application, which queries can filter by.
        key: the application's own name for it, unique among the user's memories of one scope.
        version: 1, and one more with every change; None if the backend does not count.
        expires_at: from when on no verb shows it any more; None for never.
        indexed: whether `search` and `context` can find it.
    """

    id: str
    content: str
    user_id: str
    created_at: Timestamp
    scope: str | None = None
    tags: list[str] | None = None
    source: MemorySource | None = None
    confidence: float | None = None
    valid_from: Timestamp | None = None
    valid_to: Timestamp | None = None
    supersedes: list[str] | None = None
    embedding_model: str | None = None
    updated_at: Timestamp | None = None
    status: MemoryStatus | str | None = None
    metadata: dict[str, Any] | None = None
    key: str | None = None
    version: int | None = None
    expires_at: Timestamp | None = None
    indexed: bool = True

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def extensions(self) -> dict[str, Any]:
        """The ``x-<provider>`` fields of this record."""
        return {key: value for key, value in (self.model_extra or {}).items() if key.startswith("x-")}


MemoryRecords: TypeAlias = list[MemoryRecord]


class RestoredMemories(MemoryRecords):
    """Memories that were to be restored, as they are stored.

    Attributes:
        existing: the ids of those that were there before; None if the backend does not say.
        unembedded: the ids of those whose vectors were given, and taken as they are.
    """

    def __init__(
        self,
        records: Iterable[MemoryRecord] = (),
        existing: Iterable[str] | None = (),
        unembedded: Iterable[str] = (),
    ) -> None:
        super().__init__(records)
        self.existing = None if existing is None else frozenset(existing)
        self.unembedded = frozenset(unembedded)


def construct_record(fields: dict[str, Any], extra: dict[str, Any]) -> MemoryRecord:
    """A record of values that are known to be valid, without a look at them.

    Args:
        fields: every field of the record, in their order.
        extra: fields that the model does not know.
    """
    return construct(MemoryRecord, _RECORD_FIELDS, fields, extra)


def construct_result(memory: MemoryRecord, score: float, extra: dict[str, Any] | None = None) -> SearchResult:
    """A search result of values that are known to be valid, without a look at them."""
    return construct(SearchResult, _RESULT_FIELDS, {"memory": memory, "score": score}, extra or {})


class MemoryPage(WireModel):
    """One page of `list`.

    Attributes:
        items: the memories, in the order that was asked for. The page itself can be indexed, has a length, and
            iterates over them.
        next_cursor: what `list` takes as ``cursor`` for the next page, opaque; None on the last page.
    """

    items: list[MemoryRecord]
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[MemoryRecord]:  # type: ignore[override]  # pydantic's gives the fields
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> MemoryRecord:
        return self.items[index]


class SearchResult(WireModel):
    """A memory that answers a query.

    Attributes:
        memory: the memory.
        score: its relevance, from 0 (unrelated) to 1 (a perfect match); see `CapabilityFeatures.scores`.
    """

    memory: MemoryRecord
    score: float = Field(ge=0.0, le=1.0)

    @property
    def explanation(self) -> Explanation | None:
        """What its score is made of, which is in its field ``x-openmem``; None without ``explain=True``."""
        from .explanations import EXTENSION, Explanation  # noqa: PLC0415

        return Explanation.in_extension((self.model_extra or {}).get(EXTENSION))


SearchResults: TypeAlias = list[SearchResult]

_RECORD_FIELDS = set(MemoryRecord.model_fields)
_RESULT_FIELDS = set(SearchResult.model_fields)


class Citation(WireModel):
    """A memory that a `ContextBlock` quotes.

    Attributes:
        memory_id: id of the memory.
        score: its relevance, from 0 to 1, as in a `SearchResult`.
        excerpt: whether only a part of the memory is quoted, with an ellipsis at each end that was cut.
        created_at: when the memory was stored; None if the server does not say.
        app: the application that it came from; None if it is not known.
    """

    memory_id: str
    score: float
    excerpt: bool = False
    created_at: Timestamp | None = None
    app: str | None = None


class OmittedMemory(WireModel):
    """A memory that was found for a `ContextBlock` and is not quoted in it.

    Attributes:
        memory_id: the memory's id.
        reason: ``budget``: there was no room for it within the token budget; ``duplicate``: a better one that is
            quoted says the same. A newer server may have other values.
    """

    memory_id: str
    reason: Literal["budget", "duplicate"] | str


class ContextBlock(WireModel):
    """Text for a system prompt.

    Attributes:
        text: one memory a line, best first, each ending in its id in brackets.
        citations: the quoted memories, in the order of the text.
        token_count: tokens of ``text`` by the configured counter.
        omitted: the memories that were found but are not quoted, best first; empty if the server does not list them.
    """

    text: str
    citations: list[Citation]
    token_count: int
    omitted: list[OmittedMemory] = Field(default_factory=list)

    def as_data(self, token_budget: int | None = None, count_tokens: TokenCounter = estimate_tokens) -> str:
        """The quoted memories as data for a model: delimited, each with its date and application.

        A memory cannot end the delimiter, and what cannot be seen in it is shown; see `openmem.delimited`. Put this,
        rather than `text`, into prompts where strangers may have written what is remembered.

        Args:
            token_budget: tokens of the result at most; those of `text` are fewer. The last memories are left out
                if need be. None for all of them.
            count_tokens: counts the tokens of a text.

        Returns:
            The text; it is empty if there is no memory in it.
        """
        from .delimited import delimit_notes  # noqa: PLC0415 - few programs use it, and it takes its time

        return delimit_notes(self.notes, token_budget=token_budget, count_tokens=count_tokens).text

    @property
    def notes(self) -> list[Note]:
        """The lines of `text` as notes. Where they are not one for each citation, nothing is said of their origin."""
        from .delimited import Note, origin_of  # noqa: PLC0415

        lines = self.text.split("\n") if self.text.strip() else []
        ends = [f" [{citation.memory_id}]" for citation in self.citations]
        if len(lines) != len(ends) or not all(map(str.endswith, lines, ends)):
            return [Note("", line.removeprefix("- ")) for line in lines]
        return [
            Note(
                citation.memory_id,
                line.removeprefix("- ").removesuffix(end),
                (f"{citation.score:.2f}", *origin_of(citation.created_at, citation.app)),
                citation.excerpt,
            )
            for line, end, citation in zip(lines, ends, self.citations, strict=True)
        ]


class CapabilityFeatures(WireModel):
    """What a backend can do beyond the bare verbs.

    Attributes:
        vector_search: `search` compares meanings.
        keyword_search: `search` finds words and numbers that memories contain.
        graph_queries: the backend relates memories to each other.
        temporal: ``valid_from`` and ``valid_to`` are kept, and `search` and `context` see what holds now.
        scopes: ``native``: the backend selects by scope; ``tags``: openmem does so on top of it;
            ``none``: there are no scopes.
        max_content_length: characters of ``content`` and ``query`` at most; None if no bound is known.
        supports_e2e: memories can be encrypted such that the backend cannot read them.
        supports_audit: calls are logged, and `audit` reads the log.
        supports_supersession: ``supersedes`` ends the validity of the memories it names.
        scores: the meaning of the scores of `search`: ``similarity`` means the same from query to query,
            ``rank`` gives only the order (1, 1/2, 1/3, …); None if it is not known.
        atomic_supersession: False if a failure can leave a new memory stored and those it
            supersedes not ended, and if of two that supersede one memory at the same moment both can
            succeed; None if it is not known.
        audits_reads: whether `search`, `context`, `get` and `list` leave an audit entry; None if it is
            not known.
        audit_pages: `audit` takes ``cursor``; None if it is not known.
        timezones: `search` and `context` take ``timezone``; None if it is not known.
        recency: `search` and `context` take ``recency``; None if it is not known.
        metadata: memories have ``metadata``, and queries filter by it with ``where``; None if it is not known.
        filters: queries select by several scopes, by ``path/**``, ``tags``, ``any_tags``, ``app`` and ``as_of``, search
            and context also by ``since`` and ``until``, and `list` has an order; None if it is not known.
        keys: memories have a ``key``; None if it is not known.
        versions: changes count in ``version``, and writes take ``if_version``; None if it is not known.
        expiry: memories can expire; None if it is not known.
        unindexed: memories can be kept out of searches with ``indexed``; None if it is not known.
        explanations: `search` takes ``explain``; None if it is not known.
    """

    vector_search: bool = False
    keyword_search: bool = False
    graph_queries: bool = False
    temporal: bool = False
    scopes: Literal["native", "tags", "none"] = "none"
    max_content_length: int | None = None
    supports_e2e: bool = False
    supports_audit: bool = False
    supports_supersession: bool = False
    scores: Literal["similarity", "rank"] | None = None
    atomic_supersession: bool | None = None
    audits_reads: bool | None = None
    audit_pages: bool | None = None
    timezones: bool | None = None
    recency: bool | None = None
    metadata: bool | None = None
    filters: bool | None = None
    keys: bool | None = None
    versions: bool | None = None
    expiry: bool | None = None
    unindexed: bool | None = None
    explanations: bool | None = None


class CapabilityLimits(WireModel):
    """Bounds of a backend; None means that no bound is known.

    Attributes:
        rate_limit_per_minute: calls that one caller may make within a minute.
        max_search_results: results that one `search` returns at most.
    """

    rate_limit_per_minute: int | None = None
    max_search_results: int | None = None


class Capabilities(WireModel):
    """What the backend behind a client is and can do.

    Attributes:
        omp_version: version of the protocol that it speaks, such as ``0.1``.
        provider: name of the backend; of the one behind it, if it is a server.
        verbs: names of the verbs that it has; others are refused with `UnsupportedCapabilityError`.
        features: what it can do beyond them.
        limits: how much of it.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    omp_version: str = OMP_VERSION
    provider: str
    verbs: list[str]
    features: CapabilityFeatures
    limits: CapabilityLimits = Field(default_factory=CapabilityLimits)


class Facet(WireModel):
    """A value of a field, and the memories that have it.

    Attributes:
        value: the value; None for memories that have none. A value of metadata that is no text is as in JSON.
        count: how many memories have it.
        newest: when the newest of them was created.
    """

    value: Any = None
    count: int
    newest: Timestamp


Facets: TypeAlias = list[Facet]


class UserSummary(WireModel):
    """A user who has memories.

    Attributes:
        user_id: the user's id.
        count: how many memories there are.
        newest: when the newest of them was created.
    """

    user_id: str
    count: int
    newest: Timestamp


class UserPage(WireModel):
    """One page of users.

    Attributes:
        items: the users, in the order of their ids. The page itself can be indexed, has a length, and iterates over
            them.
        next_cursor: what `users` takes as ``cursor`` for the next page, opaque; None on the last page.
    """

    items: list[UserSummary]
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[UserSummary]:  # type: ignore[override]  # pydantic's gives the fields
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> UserSummary:
        return self.items[index]


class Erased(WireModel):
    """What was stored of a user, and is there no more.

    Attributes:
        memories: how many memories.
        audit_entries: how many entries of the audit log.
    """

    memories: int
    audit_entries: int


class Purged(WireModel):
    """What was removed of all users.

    Attributes:
        memories: how many memories, which had expired or ended.
        audit_entries: how many entries of the audit log.
    """

    memories: int
    audit_entries: int
