"""Supermemory: a memory is a document, and a user is a namespace of documents."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from types import ModuleType
from typing import Any, Final
from urllib.parse import quote, unquote

from ...._retrying import retry_after
from ...._scopes import ScopeFilter
from ....config import ClientConfig
from ....errors import InvalidRequestError, NotFoundError, OMPError, ProviderError, UnsupportedCapabilityError
from ....models import CapabilityFeatures, CapabilityLimits, MemoryRecord
from ....operations import Add, Operation, Search, Update
from ....ports import Ports
from ...base import Call, no_such_memory
from ..base import PROMOTED, Candidate, Candidates, Stored, VendorProvider, endpoint, shortened

API_KEY_VARIABLE: Final = "SUPERMEMORY_API_KEY"
TASK_TYPES: Final = ("superrag", "memory")
PAGE_SIZE: Final = 100
MOST_PAGES: Final = 100_000
MAX_OPERANDS: Final = 200
LONGEST_TOKEN: Final = 100
COPIED_LENGTH: Final = 4000
"""Texts up to this length are kept in the metadata as well, whole and at once; see `_text`."""
BUSY_PAUSES: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before each further try to change a document that is being processed."""

_ID: Final = re.compile(r"sm_([A-Za-z0-9_:-]{1,100})\.([A-Za-z0-9_:-]{1,100})")
_URL: Final = re.compile(r"([a-z][a-z0-9+.-]*://|www\.|data:)\S+", re.IGNORECASE)
_HASH: Final = re.compile(r"::[0-9a-f]{64}")
_ORDINARY: Final = {"type": "text", "dreaming_status": "done"}


class BusyError(ProviderError):
    """The document is being processed and cannot be changed yet."""

    default_code = "provider_unavailable"


class SupermemoryProvider(VendorProvider):
    """Memories in Supermemory.

    The id of a memory names its namespace and its document, so that both can be found again.

    Options:
        task_type: ``superrag`` (by default) makes texts searchable as they are; ``memory`` lets the
            service also derive facts from them with its LLM.
    """

    name = "supermemory"
    vendor = "Supermemory"
    options = frozenset({"task_type"})
    features = CapabilityFeatures(
        vector_search=True,
        temporal=True,
        scopes="tags",
        supports_supersession=True,
        scores="similarity",
        atomic_supersession=False,
    )
    limits = CapabilityLimits(max_search_results=100)
    max_candidates = 100

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._task_type = config.options.get("task_type", TASK_TYPES[0])
        if self._task_type not in TASK_TYPES:
            raise InvalidRequestError(f"task_type: {self._task_type!r} is not one of 'superrag', 'memory'")
        self._base_url = endpoint(config)
        key = self.credential(API_KEY_VARIABLE)
        if key is None:
            raise InvalidRequestError(f"api_key: provider 'supermemory' needs one, also from {API_KEY_VARIABLE}")
        if not (key.isascii() and key.isprintable()):
            raise InvalidRequestError("api_key: it has characters that no key has")
        self._key = key
        self._driver: ModuleType | None = None
        self._backend: Any = None
        self._in_process: set[str] = set()

    async def open(self) -> None:
        if self._backend is None:
            self._driver = await self.ports.import_module("openmem.providers.vendors.supermemory.sdk")
            hosted = self._driver.Hosted
            self._backend = await self.call(hosted, self._key, self._base_url, self.timeout, changes=False)

    async def close(self) -> None:
        if self._backend is not None:
            await self.ports.call_when_idle(self._backend.close)

    async def ping(self) -> None:
        await self.call(self._backend.ping, changes=False)

    def check(self, op: Operation, call: Call) -> None:
        super().check(op, call)
        if isinstance(op, Add | Update) and _URL.fullmatch(op.content.strip()):
            raise InvalidRequestError(
                "content: it is only a URL, which Supermemory would fetch and store the page of; add words to it"
            )

    def translate(self, error: Exception) -> OMPError:
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return self._refused(status, error)
        if self._driver is not None and isinstance(error, self._driver.Timeout):
            return self.timed_out()
        if self._driver is not None and isinstance(error, self._driver.ConnectionFailure):
            return self.unreachable(str(error.__cause__ or error))
        return self.malformed(f"what its SDK fails on ({type(error).__name__})")

    def _refused(self, status: int, error: Exception) -> OMPError:
        body = getattr(error, "body", None)
        detail = _detail(body)
        if status == 404 and detail is None:
            return ProviderError(f"Supermemory's API is not at this URL: 404 {shortened(str(body))}")
        if status == 409:
            return BusyError(f"Supermemory answered 409: {shortened(detail or str(body))}")
        response = getattr(error, "response", None)
        asked = None if response is None else retry_after(response.headers.get("retry-after"))
        return self.failure(status, detail or str(body), asked)

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        namespace = encode(draft.user_id)
        # An id that exists already would be appended to; a draft's is fresh.
        answer = await self.call(
            self._backend.add,
            namespace,
            draft.id,
            content=draft.content,
            metadata=self.envelope(draft) | {f"{PROMOTED}id": draft.id},
            task_type=self._task_type,
            changes=True,
        )
        self.field(answer, "id", str)
        status = _status(self.field(answer, "status", str))
        return draft.model_copy(update={"id": memory_id(namespace, draft.id), "status": status})

    def envelope(self, record: MemoryRecord) -> dict[str, Any]:
        copied = record.content if len(record.content) <= COPIED_LENGTH else ""
        return super().envelope(record) | {f"{PROMOTED}user": record.user_id, f"{PROMOTED}content": copied}

    async def fetch(self, id: str) -> Stored | None:
        place = _ID.fullmatch(id)
        if place is None or not all(map(_is_token, place.groups())):
            return None
        namespace, token = place.groups()
        document_id = decode(token)
        if document_id is None or not self._is_in_path(document_id):
            return await self._sought(namespace, id)
        try:
            document = await self.call(self._backend.get, namespace, document_id, changes=False, of=id)
        except NotFoundError:
            return None
        stored = self._stored(namespace, document)
        # The service's own name for a document that has one of ours names nothing.
        is_alias = stored.core.id != id and self.field(document, "id", str) == document_id
        return None if is_alias else stored

    def _is_in_path(self, document_id: str) -> bool:
        assert self._driver is not None
        return self._driver.IN_PATH.fullmatch(document_id) is not None

    async def _sought(self, namespace: str, id: str) -> Stored | None:
        """A document whose id the SDK cannot ask for, from the list of all."""
        async with aclosing(self._walk(namespace)) as pages:
            async for documents in pages:
                for document in documents:
                    if self._id(namespace, document) == id:
                        return self._stored(namespace, document)
        return None

    async def replace(self, stored: Stored, record: MemoryRecord) -> None:
        namespace, document_id = self._place(stored)
        if not self._is_in_path(document_id):
            raise UnsupportedCapabilityError(f"Supermemory's SDK cannot change a document with the id {document_id!r}")
        metadata = {**stored.foreign, **self.envelope(record), f"{PROMOTED}id": document_id}
        body: dict[str, Any] = {"metadata": metadata}
        if record.content != stored.core.content:
            body |= {"content": record.content, "task_type": self._task_type}
        for pause in (*BUSY_PAUSES, None):
            try:
                answer = await self.call(
                    self._backend.update, namespace, document_id, **body, changes=True, of=record.id
                )
            except BusyError as error:
                if pause is None:
                    raise BusyError(
                        f"memory {record.id!r} is still being processed and cannot be changed yet; "
                        "call wait_for_ingest and try again"
                    ) from error
                await self.ports.sleep(pause)
            else:
                self.field(answer, "status", str)
                return

    async def _write(self, stored: Stored, changes: Mapping[str, Any]) -> Stored:
        changed = await super()._write(stored, changes)
        if changed.core.content == stored.core.content:
            return changed
        return replace(changed, core=changed.core.model_copy(update={"status": "queued"}))

    async def remove(self, stored: Stored) -> None:
        namespace, document_id = self._place(stored)
        id = stored.core.id
        answer = await self.call(self._backend.delete, namespace, document_id, changes=True, of=id)
        errors = self.field(answer, "errors", list)
        if not errors and self.field(answer, "count", int) == 1:
            return
        if await self._fetch(id) is None:
            raise no_such_memory(id)
        reason = self.optional(errors[0], "error", str) if errors else None
        raise ProviderError(f"Supermemory did not delete memory {id!r}: {shortened(reason or 'it does not say why')}")

    def _place(self, stored: Stored) -> tuple[str, str]:
        """The namespace and the id of the document."""
        place = _ID.fullmatch(stored.core.id)
        assert place is not None
        namespace, token = place.groups()
        document_id = decode(token)
        if document_id is None:
            raise UnsupportedCapabilityError("documents with ids of this length can only be read")
        return namespace, document_id

    async def pages(self, user_id: str) -> AsyncGenerator[Iterable[Stored], None]:
        namespace = encode(user_id)
        async with aclosing(self._walk(namespace)) as pages:
            async for documents in pages:
                yield [self._stored(namespace, document, user_id) for document in documents]

    async def _walk(self, namespace: str) -> AsyncGenerator[Sequence[object], None]:
        """All documents, from the last page to the first.

        The oldest come first in the service's order, so that what a deletion meanwhile moves to an
        earlier page is read again there, and nothing is passed over.
        """
        documents, page = await self._page(namespace, 1)
        if page <= 1:
            yield documents
        while page > 1:
            yield (await self._page(namespace, page))[0]
            page -= 1
            if page == 1:
                yield (await self._page(namespace, 1))[0]

    async def _page(self, namespace: str, number: int) -> tuple[Sequence[object], int]:
        """The documents of one page, and how many pages there are."""
        try:
            answer = await self.call(self._backend.list, namespace, number, PAGE_SIZE, changes=False, of=namespace)
        except NotFoundError:
            return (), 0
        pages = self.field(self.field(answer, "pagination", object), "total_pages", float)
        if not 0 <= pages <= MOST_PAGES:
            raise self.malformed(f"{pages:g} pages")
        return self.field(answer, "documents", list), math.ceil(pages)

    async def candidates(self, op: Search, scopes: ScopeFilter | None, count: int) -> Candidates:
        namespace = encode(op.user_id)
        search = self._backend.search
        try:
            answer = await self.call(search, namespace, op.query, count, _filter(scopes), changes=False, of=namespace)
        except NotFoundError:
            return Candidates((), complete=True)
        passages = self.field(answer, "results", list)
        complete = len(passages) < count
        best: dict[str, tuple[float, object, object]] = {}
        for passage in passages:
            score = self.field(passage, "similarity", float)
            document = self._document_of(passage)
            if document is None:
                complete = False
                continue
            id = self._id(namespace, document)
            if id not in best or score > best[id][0]:
                best[id] = score, passage, document
        found = []
        for id, (score, passage, document) in sorted(best.items(), key=lambda item: -item[1][0]):
            stored = await self._found(namespace, op.user_id, id, passage, document)
            if stored is not None:
                found.append(Candidate(stored, score, {"chunk_id": self.field(passage, "id", str)}))
        return Candidates(found, complete)

    def _document_of(self, passage: object) -> object | None:
        """What a found passage tells of its document; None if it does not tell which it is."""
        included = self.optional(passage, "included", object)
        document = None if included is None else self.optional(included, "document", object)
        if document is not None:
            return document
        metadata = self.optional(passage, "metadata", dict) or {}
        id = self.optional(metadata, f"{PROMOTED}id", str)
        return None if id is None else {"id": id, "metadata": metadata, "system": self.field(passage, "system", object)}

    async def _found(self, namespace: str, user_id: str, id: str, passage: object, document: object) -> Stored | None:
        """The memory that a found passage belongs to; None if it is gone by now."""
        copy = self._copy(document)
        text = self.optional(passage, "chunk", str)
        if copy and (text is None or _squeezed(text) in _squeezed(copy)):
            return self._stored(namespace, document, user_id)
        return await self._fetch(id)

    async def is_ingested(self, id: str, user_id: str) -> bool:
        stored = await self._fetch(id)
        if stored is None and id in self._in_process:
            self._in_process.discard(id)
            raise ProviderError(f"memory {id!r} is gone: Supermemory failed to process it, or it was deleted")
        is_searchable = self._is_searchable(stored, id, user_id)
        if stored is not None and stored.core.status == "failed":
            raise ProviderError(f"Supermemory failed to process memory {id!r}; delete it and add it again")
        if is_searchable:
            self._in_process.discard(id)
        else:
            self._in_process.add(id)
        return is_searchable

    def _id(self, namespace: str, document: object) -> str:
        """The memory's id, by the name we gave the document, or else by the service's."""
        metadata = self.optional(document, "metadata", dict) or {}
        own = self.optional(metadata, f"{PROMOTED}id", str)
        return memory_id(namespace, own or self.field(document, "id", str))

    def _stored(self, namespace: str, document: object, user_id: str | None = None) -> Stored:
        """The memory in a document of a namespace.

        Args:
            user_id: whose namespace it is; None to find out.
        """
        metadata = self.optional(document, "metadata", dict) or {}
        id = self._id(namespace, document)
        user = user_id or decode(namespace) or self.optional(metadata, f"{PROMOTED}user", str)
        if user is None or encode(user) != namespace:
            raise self.malformed(f"a memory {id!r} of which it is not known whose it is")
        system = self.field(document, "system", object)
        status = _status(self.optional(system, "status", str))
        told = {name: self.optional(document, name, str) for name in ("title", "summary", "type", "url")}
        told["dreaming_status"] = self.optional(system, "dreaming_status", str)
        return self.stored(
            id=id,
            content=self._text(document, status),
            user_id=user,
            metadata=metadata,
            created_at=self.optional(system, "created_at", datetime),
            updated_at=self.optional(system, "updated_at", datetime),
            status=status,
            beyond={name: value for name, value in told.items() if _ORDINARY.get(name) != value},
        )

    def _text(self, document: object, status: str | None) -> str:
        """The document's text.

        Until it is processed the service tells no text, or the one before the last change, and what it
        finds comes without. So short texts are copied to the metadata, and the copy counts unless the
        text was changed since by somebody who does not know of it.
        """
        copy = self._copy(document)
        published = self.optional(document, "content", str)
        if copy and (published is None or status != "stored" or _squeezed(copy) == _squeezed(published)):
            return copy
        return published or ""

    def _copy(self, document: object) -> str | None:
        return self.optional(self.optional(document, "metadata", dict) or {}, f"{PROMOTED}content", str)


def memory_id(namespace: str, document_id: str) -> str:
    """The id of the memory in a document."""
    return f"sm_{namespace}.{encode(document_id)}"


def encode(name: str) -> str:
    """`name` in the letters of a namespace.

    Letters, digits, ``_`` and ``-`` stay, other bytes become ``:`` and two hexadecimal digits, and what
    is too long then becomes ``::`` and its SHA-256. No two names become the same.
    """
    token = quote(name, safe="").replace(".", "%2E").replace("~", "%7E").replace("%", ":")
    return token if len(token) <= LONGEST_TOKEN else "::" + hashlib.sha256(name.encode()).hexdigest()


def decode(token: str) -> str | None:
    """The name that `encode` made a token of; None if it is a hash, or was not made by `encode`."""
    try:
        name = unquote(token.replace(":", "%"), errors="strict")
    except UnicodeDecodeError:
        return None
    return name if encode(name) == token else None


def _is_token(text: str) -> bool:
    return decode(text) is not None or _HASH.fullmatch(text) is not None


def _status(status: str | None) -> str | None:
    """The status of a memory, by the one of its document."""
    match status:
        case None | "done":
            return "stored"
        case "failed":
            return "failed"
        case "unknown":
            return None
    return "queued"


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _filter(scopes: ScopeFilter | None) -> dict[str, Any] | None:
    """A filter that lets everything within the scopes through, and little else."""
    if scopes is None:
        return None
    field = f"{PROMOTED}scope"
    operands: list[dict[str, Any]] = [{"field": field, "operator": "eq", "value": path} for path in scopes.paths]
    for prefix in scopes.prefixes:
        operator = "contains" if prefix else "neq"
        operands.append({"field": field, "operator": operator, "value": prefix})
    match operands:
        case [only]:
            return only
        case [_, *_] if len(operands) <= MAX_OPERANDS:
            return {"operator": "or", "operands": operands}
    return None


def _detail(body: object) -> str | None:
    """What the service said of an error; None if these are not its words."""
    if not isinstance(body, Mapping) or not body.get("error"):
        return None
    said, details = body["error"], body.get("details")
    if isinstance(said, list):
        said = "; ".join(str(item.get("message", item)) if isinstance(item, Mapping) else str(item) for item in said)
    return f"{said}: {details}" if details else str(said)
