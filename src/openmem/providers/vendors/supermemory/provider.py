"""Supermemory: a memory is a document, and a user is a namespace of documents."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ...._scopes import ScopeFilter
from ....call import Call
from ....config import ClientConfig
from ....errors import InvalidRequestError, NotFoundError, ProviderError, UnsupportedCapabilityError
from ....models import CapabilityLimits, MemoryRecord
from ....operations import Add, Operation, Search, Update
from ....ports import Ports
from ....selection import Selection
from ...base import no_such_memory
from ..backend import Candidate, Candidates
from ..base import FEATURES, VendorProvider
from ..envelope import FILTERABLE_PREFIX, Stored
from ..errors import shorten
from ..settings import endpoint
from .documents import DocumentReader, metadata_of, status_of
from .errors import BusyError
from .names import IN_PATH, decode, encode, memory_id, parse_memory_id

if TYPE_CHECKING:
    from .sdk import SupermemoryClient

API_KEY_VARIABLE: Final = "SUPERMEMORY_API_KEY"
TASK_TYPES: Final = ("superrag", "memory")
PAGE_SIZE: Final = 100
"""Documents on one page of a list."""
MAX_PAGES: Final = 100_000
"""An answer with more pages is refused as malformed."""
DELETED_AT_ONCE: Final = 100
"""Documents that one request deletes."""
MAX_OPERANDS: Final = 200
"""Most conditions in one filter."""
BUSY_PAUSES_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""How long to wait before each further try to change a document that is being processed."""

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]*://|www\.|data:)\S+", re.IGNORECASE)


class SupermemoryProvider(VendorProvider["SupermemoryClient"]):
    """Memories in Supermemory.

    The id of a memory names its namespace and its document, so that both can be found again.

    Options:
        task_type: ``superrag`` (by default) makes texts searchable as they are; ``memory`` lets the
            service also derive facts from them with its LLM.
    """

    name = "supermemory"
    vendor = "Supermemory"
    sdk_module = "openmem.providers.vendors.supermemory.sdk"
    options = frozenset({"task_type"})
    features = FEATURES.model_copy(
        update={
            "vector_search": True,
            "supports_supersession": True,
            "scores": "similarity",
            "atomic_supersession": False,
        }
    )
    limits = CapabilityLimits(max_search_results=100)
    max_candidates = 100

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._task_type = config.options.get("task_type", TASK_TYPES[0])
        if self._task_type not in TASK_TYPES:
            raise InvalidRequestError(f"task_type: {self._task_type!r} is not one of 'superrag', 'memory'")
        self._base_url = endpoint(config)
        key = self.read_api_key(API_KEY_VARIABLE)
        if key is None:
            raise InvalidRequestError(f"api_key: provider 'supermemory' needs one, also from {API_KEY_VARIABLE}")
        self._key = key
        self._documents = DocumentReader(self.answers, self.envelopes)
        self._processing: set[str] = set()

    def connect(self, module: ModuleType) -> SupermemoryClient:
        client: SupermemoryClient = module.SupermemoryClient(self._key, self._base_url, self.timeout)
        return client

    async def ping(self) -> None:
        await self.call("ping", self.sdk.ping, mutates=False)

    def check(self, op: Operation, call: Call) -> None:
        super().check(op, call)
        if isinstance(op, Add | Update) and _URL.fullmatch(op.content.strip()):
            raise InvalidRequestError(
                "content: it is only a URL, which Supermemory would fetch and store the page of; add words to it"
            )

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        namespace = encode(draft.user_id)
        # An id that exists already would be appended to; a draft's is fresh.
        answer = await self.call(
            "add",
            self.sdk.add,
            namespace,
            draft.id,
            content=draft.content,
            metadata=metadata_of(draft, draft.id),
            task_type=self._task_type,
            mutates=True,
        )
        self.answers.field(answer, "id", str)
        status = status_of(self.answers.field(answer, "status", str))
        return draft.model_copy(update={"id": memory_id(namespace, draft.id), "status": status})

    async def fetch(self, id: str) -> Stored | None:
        parsed = parse_memory_id(id)
        if parsed is None:
            return None
        namespace, token = parsed
        document_id = decode(token)
        if document_id is None or not IN_PATH.fullmatch(document_id):
            return await self._find_in_list(namespace, id)
        try:
            document = await self.call("get", self.sdk.get, namespace, document_id, mutates=False, of=id)
        except NotFoundError:
            return None
        stored = self._documents.memory(namespace, document)
        # The service's own name for a document that has one of ours names nothing.
        is_alias = stored.record.id != id and self.answers.field(document, "id", str) == document_id
        return None if is_alias else stored

    async def _find_in_list(self, namespace: str, id: str) -> Stored | None:
        """A document whose id the SDK cannot ask for, from the list of all."""
        async with aclosing(self._walk(namespace)) as pages:
            async for documents in pages:
                for document in documents:
                    if self._documents.memory_id(namespace, document) == id:
                        return self._documents.memory(namespace, document)
        return None

    async def replace(self, stored: Stored, record: MemoryRecord) -> None:
        namespace, document_id = self._document_key(stored)
        if not IN_PATH.fullmatch(document_id):
            raise UnsupportedCapabilityError(f"Supermemory's SDK cannot change a document with the id {document_id!r}")
        metadata = {**stored.other_metadata, **metadata_of(record, document_id)}
        body: dict[str, Any] = {"metadata": metadata}
        if record.content != stored.record.content:
            body |= {"content": record.content, "task_type": self._task_type}
        for pause in (*BUSY_PAUSES_SECONDS, None):
            try:
                answer = await self.call(
                    "update", self.sdk.update, namespace, document_id, **body, mutates=True, of=record.id
                )
            except BusyError as error:
                if pause is None:
                    raise BusyError(
                        f"memory {record.id!r} is still being processed and cannot be changed yet; "
                        "call wait_for_ingest and try again"
                    ) from error
                await self.ports.sleep(pause)
            else:
                self.answers.field(answer, "status", str)
                return

    async def write(self, stored: Stored, changes: Mapping[str, Any]) -> Stored:
        changed = await super().write(stored, changes)
        if changed.record.content == stored.record.content:
            return changed
        return dataclasses.replace(changed, record=changed.record.model_copy(update={"status": "queued"}))

    async def remove(self, stored: Stored) -> None:
        if await self.remove_many([stored]) == 0:
            raise no_such_memory(stored.record.id)

    async def remove_many(self, memories: Sequence[Stored]) -> int:
        keys = [self._document_key(stored) for stored in memories]
        count = 0
        for start in range(0, len(memories), DELETED_AT_ONCE):
            batch = memories[start : start + DELETED_AT_ONCE]
            ids = [document_id for _, document_id in keys[start : start + DELETED_AT_ONCE]]
            of = batch[0].record.id if len(batch) == 1 else None
            answer = await self.call("delete", self.sdk.delete, keys[start][0], ids, mutates=True, of=of)
            deleted, errors = self.answers.field(answer, "count", int), self.answers.field(answer, "errors", list)
            count += deleted
            if deleted < len(batch):
                await self._require_gone(batch, errors)
        return count

    async def _require_gone(self, memories: Iterable[Stored], errors: Sequence[object]) -> None:
        """Raise `ProviderError` for the first memory that is still there after a deletion."""
        for stored in memories:
            if await self.fetch_checked(stored.record.id) is not None:
                said = self.answers.optional(errors[0], "error", str) if errors else None
                reason = shorten(said or "it does not say why")
                raise ProviderError(f"Supermemory did not delete memory {stored.record.id!r}: {reason}")

    def _document_key(self, stored: Stored) -> tuple[str, str]:
        """The namespace and the id of the document."""
        parsed = parse_memory_id(stored.record.id)
        assert parsed is not None
        namespace, token = parsed
        document_id = decode(token)
        if document_id is None:
            raise UnsupportedCapabilityError("documents with ids of this length can only be read")
        return namespace, document_id

    async def total(self, user_id: str) -> int:
        namespace = encode(user_id)
        try:
            answer = await self.call("count", self.sdk.list, namespace, 1, 1, mutates=False, of=namespace)
        except NotFoundError:
            return 0
        return int(self.answers.field(self.answers.field(answer, "pagination", object), "total_items", float))

    async def pages(
        self, user_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[Iterable[Stored], None]:
        namespace = encode(user_id)
        async with aclosing(self._walk(namespace)) as pages:
            async for documents in pages:
                yield [self._documents.memory(namespace, document, user_id) for document in documents]

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
            answer = await self.call("list", self.sdk.list, namespace, number, PAGE_SIZE, mutates=False, of=namespace)
        except NotFoundError:
            return (), 0
        pages = self.answers.field(self.answers.field(answer, "pagination", object), "total_pages", float)
        if not 0 <= pages <= MAX_PAGES:
            raise self.errors.malformed(f"{pages:g} pages")
        return self.answers.field(answer, "documents", list), math.ceil(pages)

    async def candidates(self, op: Search, selection: Selection, count: int) -> Candidates:
        namespace = encode(op.user_id)
        try:
            answer = await self.call(
                "search", self.sdk.search, namespace, op.query, count, _filter(selection), mutates=False, of=namespace
            )
        except NotFoundError:
            return Candidates((), complete=True)
        passages = self.answers.field(answer, "results", list)
        complete = len(passages) < count
        best: dict[str, tuple[float, object, object]] = {}
        for passage in passages:
            score = self.answers.field(passage, "similarity", float)
            document = self._documents.of_passage(passage)
            if document is None:
                complete = False
                continue
            id = self._documents.memory_id(namespace, document)
            if id not in best or score > best[id][0]:
                best[id] = score, passage, document
        found = []
        for id, (score, passage, document) in sorted(best.items(), key=lambda item: -item[1][0]):
            is_whole = self._documents.is_whole(passage, document)
            stored = (
                self._documents.memory(namespace, document, op.user_id) if is_whole else await self.fetch_checked(id)
            )
            if stored is not None:
                found.append(Candidate(stored, score, {"chunk_id": self.answers.field(passage, "id", str)}))
        return Candidates(found, complete)

    async def is_ingested(self, id: str, user_id: str) -> bool:
        stored = await self.fetch_checked(id)
        if stored is None and id in self._processing:
            self._processing.discard(id)
            raise ProviderError(f"memory {id!r} is gone: Supermemory failed to process it, or it was deleted")
        is_searchable = self.is_searchable(stored, id, user_id)
        if stored is not None and stored.record.status == "failed":
            raise ProviderError(f"Supermemory failed to process memory {id!r}; delete it and add it again")
        if is_searchable:
            self._processing.discard(id)
        else:
            self._processing.add(id)
        return is_searchable


def _filter(selection: Selection) -> dict[str, Any] | None:
    """A filter that lets everything selected through, and little else."""
    operands = [
        *_scope_filter(selection.scopes),
        *(_has_tag(tag) for tag in selection.tags),
        *_combined("or", [_has_tag(tag) for tag in selection.any_tags]),
    ]
    if selection.app is not None:
        operands.append({"field": f"{FILTERABLE_PREFIX}app", "operator": "eq", "value": selection.app})
    return next(iter(_combined("and", operands)), None)


def _scope_filter(scopes: ScopeFilter | None) -> Sequence[dict[str, Any]]:
    if scopes is None:
        return ()
    field = f"{FILTERABLE_PREFIX}scope"
    operands: list[dict[str, Any]] = [{"field": field, "operator": "eq", "value": path} for path in scopes.paths]
    for prefix in scopes.prefixes:
        operator = "contains" if prefix else "neq"
        operands.append({"field": field, "operator": operator, "value": prefix})
    return _combined("or", operands)


def _has_tag(tag: str) -> dict[str, Any]:
    return {"field": f"{FILTERABLE_PREFIX}tags", "operator": "arrayContains", "value": tag}


def _combined(operator: str, operands: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """One condition of several; none if they are too many for a filter, or none."""
    if len(operands) <= 1:
        return operands
    return [{"operator": operator, "operands": list(operands)}] if len(operands) <= MAX_OPERANDS else ()
