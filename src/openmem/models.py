"""The values that travel over the protocol.

All of them keep fields they do not know, so that records of a newer server survive a round trip
through an older client. All timestamps are timezone-aware; a naive one is read as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

OMP_VERSION = "0.1"


def as_utc(moment: datetime) -> datetime:
    """`moment` as an aware datetime in UTC; a naive one is taken to be in UTC already.

    Raises:
        ValueError: in UTC the moment is not between the years 1 and 9999.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is not between the years 1 and 9999 in UTC") from None


Timestamp: TypeAlias = Annotated[datetime, AfterValidator(as_utc)]


class WireModel(BaseModel):
    """Immutable, and preserves fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def to_wire(self) -> dict[str, Any]:
        """The JSON object sent over HTTP: fields that are not set are left out."""
        return self.model_dump(mode="json", exclude_none=True)


W = TypeVar("W", bound=WireModel)


class MemorySource(WireModel):
    """Where a memory came from.

    Attributes:
        app: name of the application that learned it.
        type: ``explicit`` (the user said so), ``extracted`` (derived) or ``imported``.
        ref: the application's own reference, for example a message id or URL.
    """

    app: str | None = None
    type: Literal["extracted", "explicit", "imported"] | None = None
    ref: str | None = None


class MemoryRecord(WireModel):
    """One memory. Provider-specific ``x-<provider>`` extensions are in `extensions`."""

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
    status: str | None = None

    @property
    def extensions(self) -> dict[str, Any]:
        """The ``x-<provider>`` fields of this record."""
        return {key: value for key, value in (self.model_extra or {}).items() if key.startswith("x-")}


MemoryRecords: TypeAlias = list[MemoryRecord]


def trusted_record(fields: dict[str, Any], extra: dict[str, Any]) -> MemoryRecord:
    """A record of values that are known to be valid, without a look at them.

    Args:
        fields: every field of the record, in their order.
        extra: fields that the model does not know.
    """
    return _trusted(MemoryRecord, _RECORD_FIELDS, fields, extra)


def trusted_result(memory: MemoryRecord, score: float) -> SearchResult:
    """A search result of values that are known to be valid, without a look at them."""
    return _trusted(SearchResult, _RESULT_FIELDS, {"memory": memory, "score": score}, {})


def _trusted(model: type[W], names: set[str], fields: dict[str, Any], extra: dict[str, Any]) -> W:
    """What `model.model_construct` makes, in a quarter of the time.

    All share the set of their fields' names, which halves what thousands of them are to the garbage collector.
    """
    made = model.__new__(model)
    for name, value in (
        ("__dict__", fields),
        ("__pydantic_fields_set__", names),
        ("__pydantic_extra__", extra),
        ("__pydantic_private__", None),
    ):
        object.__setattr__(made, name, value)
    return made


class MemoryPage(WireModel):
    """One page of `list`. ``next_cursor`` is None on the last page."""

    items: list[MemoryRecord]
    next_cursor: str | None = None


class SearchResult(WireModel):
    """A memory with its relevance: 0 is unrelated, 1 a perfect match."""

    memory: MemoryRecord
    score: float = Field(ge=0.0, le=1.0)


SearchResults: TypeAlias = list[SearchResult]

_RECORD_FIELDS = set(MemoryRecord.model_fields)
_RESULT_FIELDS = set(SearchResult.model_fields)


class Citation(WireModel):
    """A memory that a `ContextBlock` quotes."""

    memory_id: str
    score: float


class ContextBlock(WireModel):
    """Text for a system prompt.

    Attributes:
        text: one memory a line, best first, each ending in its id in brackets.
        citations: the quoted memories, in the order of the text.
        token_count: tokens of ``text`` by the configured counter.
    """

    text: str
    citations: list[Citation]
    token_count: int


class CapabilityFeatures(WireModel):
    """What a backend can do beyond the bare verbs.

    Attributes:
        scores: what the scores of `search` say: ``similarity`` means the same from query to query,
            ``rank`` tells only the order (1, 1/2, 1/3, …); None if it is not known.
        atomic_supersession: False if a failure can leave a new memory stored and those it
            supersedes not ended; None if it is not known.
        audits_reads: whether `search`, `context`, `get` and `list` leave an audit entry; None if it is
            not known.
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


class CapabilityLimits(WireModel):
    """Bounds of a backend; None means no bound is known."""

    rate_limit_per_minute: int | None = None
    max_search_results: int | None = None


class Capabilities(WireModel):
    """What the backend behind a client is and can do."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    omp_version: str = OMP_VERSION
    provider: str
    verbs: list[str]
    features: CapabilityFeatures
    limits: CapabilityLimits = CapabilityLimits()


class AuditEntry(WireModel):
    """One call of a verb, as the backend recorded it."""

    timestamp: Timestamp
    app: str | None = None
    action: str
    memory_id: str | None = None
    scope: str | None = None
    request_id: str | None = None


AuditEntries: TypeAlias = list[AuditEntry]
