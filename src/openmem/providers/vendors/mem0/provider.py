"""mem0: the hosted API, or with ``config=`` the open-source engine in this process."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, Final
from urllib.parse import quote, unquote

from ....config import ClientConfig
from ....embedders import resolve_embedder
from ....errors import InvalidRequestError, NotFoundError, OMPError, ProviderError
from ....models import CapabilityLimits, MemoryRecord
from ....operations import Search
from ....ports import Ports
from ....selection import Selection
from ..answers import pick
from ..backend import Candidate, Candidates
from ..base import FEATURES, VendorProvider
from ..envelope import FILTERABLE_PREFIX, Stored, encode, is_enveloped
from ..errors import shorten
from ..settings import endpoint

API_KEY_VARIABLE: Final = "MEM0_API_KEY"
PAGE_SIZE: Final = 200
"""Memories on one page of a list."""
MAX_WALKS: Final = 3
"""How often a list is read at most, until nothing changes while it is read."""
MAX_HOSTED_CANDIDATES: Final = 1000
MAX_ENGINE_CANDIDATES: Final = 10_000
"""Most memories that a search asks for."""

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SAFE_IN_USERS: Final = frozenset("-_.~@:+|/=,#!$&'()")
_SECRET_SETTING: Final = re.compile(r"key|secret|password|token|credential", re.IGNORECASE)
_VENDOR_FIELDS: Final = (
    "agent_id",
    "app_id",
    "run_id",
    "session_id",
    "actor_id",
    "categories",
    "expiration_date",
    "structured_attributes",
    "replaced_by",
    "synthesized",
    "lifecycle_state",
)
_MATCH_DETAILS: Final = ("score_breakdown", "score_details")


class Mem0Provider(VendorProvider[Any]):
    """Memories in mem0.

    Options:
        infer: True lets the hosted service make memories of what is added, with its LLM; by default
            texts are stored as they are.
    """

    name = "mem0"
    settings = VendorProvider.settings | {"config", "embedder"}
    vendor = "mem0"
    sdk_module = "openmem.providers.vendors.mem0.sdk"
    options = frozenset({"infer"})
    limits = CapabilityLimits(max_search_results=100)

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self.infers = config.options.get("infer", False)
        if not isinstance(self.infers, bool):
            raise InvalidRequestError(f"infer: {self.infers!r} is neither True nor False")
        self._host = endpoint(config)
        self._is_hosted = config.config is None
        if config.config is None:
            config.refuse_unread(self.name, self.settings - {"embedder"})
            self._key = self._required_key()
            self.max_candidates = MAX_HOSTED_CANDIDATES
        else:
            self._check_engine(config.config)
            given = config.embedder is not None or "embedder" not in config.config
            self._embedder = resolve_embedder(config.embedder) if given else None
            self.max_candidates = MAX_ENGINE_CANDIDATES
        self.features = FEATURES.model_copy(
            update={
                "vector_search": True,
                "keyword_search": self._is_hosted,
                "supports_supersession": True,
                "scores": "similarity",
                "atomic_supersession": False,
            }
        )

    def _required_key(self) -> str:
        key = self.read_api_key(API_KEY_VARIABLE)
        if key is None:
            raise InvalidRequestError(
                f"api_key: provider 'mem0' needs the key of the hosted service, also from {API_KEY_VARIABLE}; "
                "for the open-source engine, which needs none, pass config="
            )
        return key

    def _check_engine(self, config: Mapping[str, Any]) -> None:
        if self.config.api_key is not None or self._host is not None:
            raise InvalidRequestError(
                "config: it is for the open-source engine, which takes no api_key, host or base_url"
            )
        if self.infers:
            raise InvalidRequestError("infer: only the hosted service can; the engine stores texts as they are")
        store = config.get("vector_store") if isinstance(config, Mapping) else None
        if not isinstance(store, Mapping):
            raise InvalidRequestError(
                "config: it must say where memories are kept, as in "
                "{'vector_store': {'provider': 'qdrant', 'config': {'path': '/var/lib/memories'}}}"
            )
        self._add_secrets(config)

    def _add_secrets(self, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            if isinstance(value, Mapping):
                self._add_secrets(value)
            elif isinstance(value, str) and _SECRET_SETTING.search(str(name)):
                self.add_secret(value)

    def connect(self, module: ModuleType) -> Any:
        if self._is_hosted:
            return module.HostedClient(self._key, self._host, self.timeout)
        return module.Engine(self.config.config, self._embedder)

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        answer = await self._add(draft, draft.content)
        if answer is None:
            answer = await self._add_twin(draft)
        id, status = answer
        return draft.model_copy(update={"id": id, "status": status})

    async def _add(self, draft: MemoryRecord, content: str) -> tuple[str, str] | None:
        """The new memory's id and status; None if mem0 has the text already and kept nothing."""
        user = encode_user(draft.user_id)
        metadata = encode(draft)
        answer = await self.call(
            "add", self.sdk.add, content, user_id=user, metadata=metadata, infer=self.infers, mutates=True
        )
        results = self.answers.optional(answer, "results", list)
        if results is None:
            return self.answers.field(answer, "event_id", str), "queued"
        if not results:
            return None
        if self.answers.optional(results[0], "event", str) not in (None, "ADD"):
            return None
        return self._id(self.answers.field(results[0], "id", str)), "stored"

    async def _add_twin(self, draft: MemoryRecord) -> tuple[str, str]:
        """Store a text that the service has already: it drops a second one, but lets a text become equal."""
        answer = await self._add(draft, f"{draft.content}\n[{draft.id}]")
        if answer is None:
            raise self.errors.malformed("no memory for a text that it cannot have had before")
        id, status = answer
        if status == "stored":
            try:
                await self.call(
                    "add", self.sdk.update, id, text=draft.content, metadata=encode(draft), mutates=True, of=id
                )
            except OMPError:
                with contextlib.suppress(OMPError):
                    await self.call("add", self.sdk.delete, id, mutates=True, of=id)
                raise
        return answer

    def _id(self, id: str) -> str:
        if not _UUID.fullmatch(id):
            raise self.errors.malformed(f"the id {shorten(id, 60)!r}, which is no UUID")
        return id

    async def fetch(self, id: str) -> Stored | None:
        if not _UUID.fullmatch(id):
            return None
        try:
            answer = await self.call("get", self.sdk.get, id, mutates=False, of=id)
        except NotFoundError:
            return None
        if answer is None and not self._is_hosted:
            return None
        return self._stored(answer) if self.answers.optional(answer, "user_id", str) is not None else None

    async def replace(self, stored: Stored, record: MemoryRecord) -> None:
        text = None if record.content == stored.record.content else record.content
        metadata = {**stored.other_metadata, **encode(record)}
        await self.call("update", self.sdk.update, record.id, text=text, metadata=metadata, mutates=True, of=record.id)

    async def remove(self, stored: Stored) -> None:
        await self.call("delete", self.sdk.delete, stored.record.id, mutates=True, of=stored.record.id)

    async def total(self, user_id: str) -> int:
        if not self._is_hosted:
            return await super().total(user_id)
        answer = await self.call("count", self.sdk.list, {"user_id": encode_user(user_id)}, 1, 1, mutates=False)
        return self.answers.field(answer, "count", int)

    async def pages(
        self, user_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[Iterable[Stored], None]:
        filters = {"user_id": encode_user(user_id)}
        if not self._is_hosted:
            answer = await self.call("list", self.sdk.list_all, filters, mutates=False)
            yield self._rows(answer)
            return
        # Its pages are counted from the newest or the oldest, so that a write in between shifts them.
        for _ in range(MAX_WALKS):
            counts = set()
            seen: set[str] = set()
            page, more = 1, True
            while more:
                answer = await self.call("list", self.sdk.list, filters, page, PAGE_SIZE, mutates=False)
                rows = self._rows(answer)
                yield rows
                seen.update(stored.record.id for stored in rows)
                counts.add(self.answers.field(answer, "count", int))
                more = self.answers.optional(answer, "next", str) is not None
                page += 1
            if page == 2 or counts == {len(seen)}:
                return
        raise ProviderError("mem0's list of this user's memories kept changing while it was read; try again")

    async def candidates(self, op: Search, selection: Selection, count: int) -> Candidates:
        filters: dict[str, Any] = {"user_id": encode_user(op.user_id)}
        condition = _metadata_filter(selection) if self._is_hosted else None
        if condition is not None:
            filters["metadata"] = condition
        answer = await self.call("search", self.sdk.search, op.query, filters=filters, top_k=count, mutates=False)
        rows = self.answers.field(answer, "results", list)
        found = [
            Candidate(self._stored(row), self.answers.field(row, "score", float), pick(row, _MATCH_DETAILS))
            for row in rows
        ]
        return Candidates(found, complete=len(rows) < count)

    async def is_ingested(self, id: str, user_id: str) -> bool:
        """An id is a memory's, or a queued addition's."""
        stored = await self.fetch_checked(id)
        if stored is not None or not self._is_hosted or not _UUID.fullmatch(id):
            return self.is_searchable(stored, id, user_id)
        event = await self.call("lookup of an addition", self.sdk.event, id, mutates=False, of=id)
        match self.answers.field(event, "status", str):
            case "PENDING" | "RUNNING":
                return False
            case "SUCCEEDED":
                for result in self.answers.optional(event, "results", list) or ():
                    made = self._id(self.answers.field(result, "id", str))
                    self.is_searchable(await self.fetch_checked(made), id, user_id)
                return True
            case status:
                error = shorten(str(event.get("error") or ""))
                raise ProviderError(f"mem0 could not take in what was added as {id!r}: {status} {error}".rstrip())

    def _rows(self, answer: object) -> Sequence[Stored]:
        return [self._stored(row) for row in self.answers.field(answer, "results", list)]

    def _stored(self, row: object) -> Stored:
        user = self.answers.field(row, "user_id", str)
        metadata = self.answers.optional(row, "metadata", dict)
        is_ours = is_enveloped(metadata)
        return self.envelopes.decode(
            id=self._id(self.answers.field(row, "id", str)),
            content=self.answers.field(row, "memory", str),
            user_id=unquote(user) if is_ours else user,
            metadata={key: value for key, value in (metadata or {}).items() if value is not None},
            created_at=self.answers.field(row, "created_at", datetime),
            updated_at=self.answers.optional(row, "updated_at", datetime),
            valid_to=self._expiry(row),
            vendor_fields=pick(row, _VENDOR_FIELDS),
        )

    def _expiry(self, row: object) -> datetime | None:
        """The end of the day, in UTC, that an expiration date includes."""
        date = self.answers.optional(row, "expiration_date", str)
        if date is None:
            return None
        day = self.answers.expect(date, "expiration_date", datetime)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _metadata_filter(selection: Selection) -> dict[str, str] | None:
    """The part of a selection that the service filters by: one condition of equality, which it is known to take."""
    scopes = selection.scopes
    if scopes is not None and len(scopes.paths) == 1 and not scopes.prefixes:
        return {f"{FILTERABLE_PREFIX}scope": scopes.paths[0]}
    return None if selection.app is None else {f"{FILTERABLE_PREFIX}app": selection.app}


def encode_user(user_id: str) -> str:
    """The name of a user in mem0.

    It takes no white space, and ``*`` is every user there. Percent-encoding keeps plain ids as they are
    and never makes one name of two ids.
    """
    return "".join(
        character if character.isalnum() or character in _SAFE_IN_USERS else quote(character, safe="")
        for character in user_id
    )
