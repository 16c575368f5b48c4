"""mem0: the hosted API, or with ``config=`` the open-source engine in this process."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, unquote

from ...._retrying import retry_after
from ...._scopes import ScopeFilter
from ....config import ClientConfig
from ....embedders import resolve_embedder
from ....errors import InvalidRequestError, NotFoundError, OMPError, ProviderError
from ....models import CapabilityFeatures, CapabilityLimits, MemoryRecord
from ....operations import Search
from ....ports import Ports
from ..base import (
    PROMOTED,
    Candidate,
    Candidates,
    Stored,
    VendorProvider,
    endpoint,
    shortened,
)

API_KEY_VARIABLE: Final = "MEM0_API_KEY"
PAGE_SIZE: Final = 200
WALKS: Final = 3
MAX_HOSTED_CANDIDATES: Final = 1000
MAX_ENGINE_CANDIDATES: Final = 10_000

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SAFE_IN_USERS: Final = frozenset("-_.~@:+|/=,#!$&'()")
_SECRET_SETTING: Final = re.compile(r"key|secret|password|token|credential", re.IGNORECASE)
_BEYOND: Final = (
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


class Mem0Provider(VendorProvider):
    """Memories in mem0.

    Options:
        infer: True lets the hosted service make memories of what is added, with its LLM; by default
            texts are stored as they are.
    """

    name = "mem0"
    vendor = "mem0"
    options = frozenset({"infer"})
    limits = CapabilityLimits(max_search_results=100)

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._infer = config.options.get("infer", False)
        if not isinstance(self._infer, bool):
            raise InvalidRequestError(f"infer: {self._infer!r} is neither True nor False")
        self._host = endpoint(config)
        self._is_hosted = config.config is None
        self._backend: Any = None
        if config.config is None:
            self._key = self._required_key()
            self.max_candidates = MAX_HOSTED_CANDIDATES
        else:
            self._check_engine(config.config)
            given = config.embedder is not None or "embedder" not in config.config
            self._embedder = resolve_embedder(config.embedder) if given else None
            self.max_candidates = MAX_ENGINE_CANDIDATES
        self.features = CapabilityFeatures(
            vector_search=True,
            keyword_search=self._is_hosted,
            temporal=True,
            scopes="tags",
            supports_supersession=True,
            scores="similarity",
            atomic_supersession=False,
        )

    def _required_key(self) -> str:
        key = self.credential(API_KEY_VARIABLE)
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
        if self._infer:
            raise InvalidRequestError("infer: only the hosted service can; the engine stores texts as they are")
        store = config.get("vector_store") if isinstance(config, Mapping) else None
        if not isinstance(store, Mapping):
            raise InvalidRequestError(
                "config: it must say where memories are kept, as in "
                "{'vector_store': {'provider': 'qdrant', 'config': {'path': '/var/lib/memories'}}}"
            )
        self._keep_secrets(config)

    def _keep_secrets(self, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            if isinstance(value, Mapping):
                self._keep_secrets(value)
            elif isinstance(value, str) and _SECRET_SETTING.search(str(name)):
                self.keep_secret(value)

    async def open(self) -> None:
        if self._backend is None:
            driver = await self.ports.import_module("openmem.providers.vendors.mem0.sdk")
            if self._is_hosted:
                self._backend = await self.call(driver.Hosted, self._key, self._host, self.timeout, changes=False)
            else:
                self._backend = await self.call(driver.OpenSource, self.config.config, self._embedder, changes=False)

    async def close(self) -> None:
        if self._backend is not None:
            await self.ports.call_when_idle(self._backend.close)

    def translate(self, error: Exception) -> OMPError:
        info = getattr(error, "debug_info", None)
        status = info.get("status_code") if isinstance(info, Mapping) else None
        code = str(getattr(error, "error_code", ""))
        if isinstance(status, int):
            response = getattr(error.__context__, "response", None)
            return self.failure(status, _detail(error), retry_after(response and response.headers.get("retry-after")))
        if code == "NET_TIMEOUT":
            return self.timed_out()
        if code.startswith("NET_"):
            return self.unreachable(str(error))
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return self.malformed("something that is not JSON")
        if isinstance(error, ValueError) and re.match(r"Memory with id .* not found", str(error)):
            return NotFoundError("mem0 has no such memory")
        if isinstance(error, ConnectionError):
            return self.unreachable(str(error))
        return ProviderError(f"mem0 failed with {type(error).__name__}: {shortened(str(error))}")

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        answer = await self._add(draft, draft.content)
        if answer is None:
            answer = await self._add_twin(draft)
        id, status = answer
        return draft.model_copy(update={"id": id, "status": status})

    async def _add(self, draft: MemoryRecord, content: str) -> tuple[str, str] | None:
        """The new memory's id and status; None if mem0 has the text already and kept nothing."""
        user = encode_user(draft.user_id)
        metadata = self.envelope(draft)
        answer = await self.call(
            self._backend.add, content, user_id=user, metadata=metadata, infer=self._infer, changes=True
        )
        results = self.optional(answer, "results", list)
        if results is None:
            return self.field(answer, "event_id", str), "queued"
        if not results:
            return None
        if self.optional(results[0], "event", str) not in (None, "ADD"):
            return None
        return self._id(self.field(results[0], "id", str)), "stored"

    async def _add_twin(self, draft: MemoryRecord) -> tuple[str, str]:
        """Store a text that the service has already: it drops a second one, but lets a text become equal."""
        answer = await self._add(draft, f"{draft.content}\n[{draft.id}]")
        if answer is None:
            raise self.malformed("no memory for a text that it cannot have had before")
        id, status = answer
        if status == "stored":
            try:
                await self.call(
                    self._backend.update, id, text=draft.content, metadata=self.envelope(draft), changes=True, of=id
                )
            except OMPError:
                with contextlib.suppress(OMPError):
                    await self.call(self._backend.delete, id, changes=True, of=id)
                raise
        return answer

    def _id(self, id: str) -> str:
        if not _UUID.fullmatch(id):
            raise self.malformed(f"the id {shortened(id, 60)!r}, which is no UUID")
        return id

    async def fetch(self, id: str) -> Stored | None:
        if not _UUID.fullmatch(id):
            return None
        try:
            answer = await self.call(self._backend.get, id, changes=False, of=id)
        except NotFoundError:
            return None
        if answer is None and not self._is_hosted:
            return None
        return self._stored(answer) if self.optional(answer, "user_id", str) is not None else None

    async def replace(self, stored: Stored, record: MemoryRecord) -> None:
        text = None if record.content == stored.core.content else record.content
        metadata = {**stored.foreign, **self.envelope(record)}
        await self.call(self._backend.update, record.id, text=text, metadata=metadata, changes=True, of=record.id)

    async def remove(self, stored: Stored) -> None:
        await self.call(self._backend.delete, stored.core.id, changes=True, of=stored.core.id)

    async def pages(self, user_id: str) -> AsyncGenerator[Iterable[Stored], None]:
        filters = {"user_id": encode_user(user_id)}
        if not self._is_hosted:
            answer = await self.call(self._backend.list_all, filters, changes=False)
            yield self._rows(answer)
            return
        # Its pages are counted from the newest or the oldest, so that a write in between shifts them.
        for _ in range(WALKS):
            counts = set()
            seen: set[str] = set()
            page, more = 1, True
            while more:
                answer = await self.call(self._backend.list, filters, page, PAGE_SIZE, changes=False)
                rows = self._rows(answer)
                yield rows
                seen.update(stored.core.id for stored in rows)
                counts.add(self.field(answer, "count", int))
                more = self.optional(answer, "next", str) is not None
                page += 1
            if page == 2 or counts == {len(seen)}:
                return
        raise ProviderError("mem0's list of this user's memories kept changing while it was read; try again")

    async def candidates(self, op: Search, scopes: ScopeFilter | None, count: int) -> Candidates:
        filters: dict[str, Any] = {"user_id": encode_user(op.user_id)}
        if self._is_hosted and scopes is not None and len(scopes.paths) == 1 and not scopes.prefixes:
            filters["metadata"] = {f"{PROMOTED}scope": scopes.paths[0]}
        answer = await self.call(self._backend.search, op.query, filters=filters, top_k=count, changes=False)
        rows = self.field(answer, "results", list)
        found = [
            Candidate(self._stored(row), self.field(row, "score", float), _some(row, _MATCH_DETAILS)) for row in rows
        ]
        return Candidates(found, complete=len(rows) < count)

    async def is_ingested(self, id: str, user_id: str) -> bool:
        """An id is a memory's, or a queued addition's."""
        stored = await self._fetch(id)
        if stored is not None or not self._is_hosted or not _UUID.fullmatch(id):
            return self._is_searchable(stored, id, user_id)
        event = await self.call(self._backend.event, id, changes=False, of=id)
        match self.field(event, "status", str):
            case "PENDING" | "RUNNING":
                return False
            case "SUCCEEDED":
                for result in self.optional(event, "results", list) or ():
                    made = self._id(self.field(result, "id", str))
                    self._is_searchable(await self._fetch(made), id, user_id)
                return True
            case status:
                error = shortened(str(event.get("error") or ""))
                raise ProviderError(f"mem0 could not take in what was added as {id!r}: {status} {error}".rstrip())

    def _rows(self, answer: object) -> Sequence[Stored]:
        return [self._stored(row) for row in self.field(answer, "results", list)]

    def _stored(self, row: object) -> Stored:
        user = self.field(row, "user_id", str)
        metadata = self.optional(row, "metadata", dict)
        is_ours = metadata is not None and "omp" in metadata
        return self.stored(
            id=self._id(self.field(row, "id", str)),
            content=self.field(row, "memory", str),
            user_id=unquote(user) if is_ours else user,
            metadata={key: value for key, value in (metadata or {}).items() if value is not None},
            created_at=self.field(row, "created_at", datetime),
            updated_at=self.optional(row, "updated_at", datetime),
            valid_to=self._expiry(row),
            beyond=_some(row, _BEYOND),
        )

    def _expiry(self, row: object) -> datetime | None:
        """The end of the day, in UTC, that an expiration date includes."""
        date = self.optional(row, "expiration_date", str)
        if date is None:
            return None
        day = self.of_kind(date, "expiration_date", datetime)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def encode_user(user_id: str) -> str:
    """The name of a user in mem0.

    It takes no white space, and ``*`` is every user there. Percent-encoding keeps plain ids as they are
    and never makes one name of two ids.
    """
    return "".join(
        character if character.isalnum() or character in _SAFE_IN_USERS else quote(character, safe="")
        for character in user_id
    )


def _detail(error: Exception) -> str:
    """What the service said; the SDK keeps only one of the keys it uses."""
    details = getattr(error, "details", None)
    said = details.get("error") or details.get("detail") if isinstance(details, Mapping) else None
    return str(said or error)


def _some(row: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if row.get(name) is not None} if isinstance(row, Mapping) else {}
