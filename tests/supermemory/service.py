"""Supermemory's API on loopback, with failures on demand.

It stands in for the service: written from the official SDK's types and from the limits of the
published API description, and as strict as they are. It is not the service.
"""

from __future__ import annotations

import math
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..service import RefusedError, Reply, ScriptedService, Step

KEY = "sm-0123456789abcdef"

NAMESPACE = re.compile(r"[a-zA-Z0-9_:-]{1,100}")
URL = re.compile(r"https?://\S+")
STAGES = ("queued", "extracting", "chunking", "embedding", "indexing")
CHUNK_LENGTH = 600


@dataclass(frozen=True)
class Request:
    """What a client sent; `path` is the raw path, without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    @property
    def route(self) -> str:
        """Method and path without names of namespaces and documents."""
        path = re.sub(r"^/ns/[^/]*", "/ns/*", self.path)
        path = re.sub("/document/.*", "/document/*", path)
        return f"{self.method} {path}"

    @property
    def namespace(self) -> str:
        return self.path.split("/")[2]


@dataclass
class Document:
    """One document; `content` is what was published, `text` what was sent."""

    id: str
    own_id: str
    text: str
    metadata: dict[str, Any]
    created: datetime
    updated: datetime
    looks: int
    status: str = "queued"
    content: str | None = None
    chunks: list[tuple[str, str, Counter[str]]] = field(default_factory=list)
    title: str | None = None
    summary: str | None = None
    url: str | None = None


class Service(ScriptedService[Request]):
    """The service.

    Attributes:
        looks: how many requests about a document it takes until the document is processed.
        gives_own_ids: whether documents are answered under the service's ids also where the caller chose one.
        merges: whether a change of metadata keeps the keys it does not name.
        knows_namespaces: whether a namespace that has never had documents is answered with 404.
        names_documents: whether search tells the documents that passages belong to.
        fails, vanishes: texts of which the processing fails; then the document vanishes, if it `vanishes`.
        before: called with each request before it is answered.
    """

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.looks = 1
        self.gives_own_ids = False
        self.merges = False
        self.knows_namespaces = False
        self.names_documents = True
        self.fails: set[str] = set()
        self.vanishes = False
        self.before: Callable[[Request], object] = lambda request: None
        self.namespaces: dict[str, dict[str, Document]] = {}
        self._clock = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

    def routes(self) -> list[str]:
        """The routes of the requests so far."""
        return [request.route for request in self.requests]

    def put(self, namespace: str, id: str, text: str, **metadata: Any) -> Document:
        """A processed document that another program has stored."""
        now = self._now()
        document = Document(id, f"doc_{uuid.uuid4().hex}", text, metadata, now, now, 0)
        self._publish(document)
        self.namespaces.setdefault(namespace, {})[id] = document
        return document

    # What the API does

    def read(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> Request:
        url = urlsplit(target)
        return Request(method, url.path, dict(parse_qsl(url.query)), headers, body)

    def answer(self, request: Request) -> Reply:
        self.before(request)
        return super().answer(request)

    def late(self, seconds: float) -> Step[Request]:
        """A script step: do what is asked after a while."""

        def step(request: Request) -> Reply:
            time.sleep(seconds)
            return self.perform(request)

        return step

    def perform(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, {"error": "Unauthorized", "details": "invalid API key"})
        with self._lock:
            try:
                return Reply(body=self._routed(request))
            except RefusedError as refusal:
                return refusal.reply

    def _routed(self, request: Request) -> Any:
        parts = [unquote(part) for part in request.path.split("/")[1:]]
        match request.method, parts:
            case "GET", ["ns"]:
                return self._list_namespaces(request)
            case method, ["ns", namespace, *rest]:
                if not NAMESPACE.fullmatch(namespace):
                    raise _refused(400, "Invalid namespace", path=["namespace"])
                match method, rest:
                    case "POST", ["document"]:
                        return self._add(namespace, request.body)
                    case "DELETE", ["document"]:
                        return self._delete(namespace, request.body)
                    case "GET", ["document", id]:
                        return self._get(namespace, id)
                    case "PATCH", ["document", id]:
                        return self._update(namespace, id, request.body)
                    case "POST", ["list", "documents"]:
                        return self._list(namespace, request)
                    case "POST", ["search"]:
                        return self._search(namespace, request.body)
                    case "DELETE", []:
                        return {
                            "status": "deleted",
                            "documents": len(self.namespaces.pop(namespace, {})),
                            "memories": 0,
                        }
        raise _refused(404, "Not Found")

    def _add(self, namespace: str, body: Any) -> Any:
        self._check_body(body, {"content", "id", *_CHANGES}, {"content"})
        id = body.get("id") or f"doc_{uuid.uuid4().hex}"
        if not isinstance(id, str) or not 1 <= len(id) <= 255:
            raise _refused(400, "Invalid string", path=["id"])
        documents = self.namespaces.setdefault(namespace, {})
        if id in documents:
            known = documents[id]
            if known.text != body["content"]:
                self._take_in(known, f"{known.text}\n{body['content']}")
            return {"id": known.id, "status": known.status}
        now = self._now()
        own_id = f"doc_{uuid.uuid4().hex}"
        document = Document(own_id if self.gives_own_ids else id, own_id, "", body.get("metadata", {}), now, now, 0)
        self._take_in(document, body["content"])
        documents[id] = document
        return {"id": document.id, "status": document.status}

    def _take_in(self, document: Document, text: str) -> None:
        document.text = f"The page at {text}" if URL.fullmatch(text) else text
        document.url = text if URL.fullmatch(text) else None
        document.status, document.looks, document.updated = "queued", self.looks, self._now()
        document.chunks = []
        if self.looks == 0:
            self._publish(document)

    def _publish(self, document: Document) -> None:
        if document.text in self.fails:
            document.status = "failed"
            return
        document.status, document.content, document.updated = "done", document.text, self._now()
        pieces = [document.text[n : n + CHUNK_LENGTH] for n in range(0, len(document.text), CHUNK_LENGTH)]
        document.chunks = [(f"chunk_{uuid.uuid4().hex}", piece, _profile(piece)) for piece in pieces]

    def _look(self, namespace: str, id: str) -> Document:
        """A document; being asked for brings its processing one step on."""
        documents = self.namespaces.get(namespace, {})
        for name, document in documents.items():
            if id in (name, document.own_id):
                break
        else:
            raise _refused(404, "Document not found")
        if document.status in STAGES:
            document.looks -= 1
            document.status = STAGES[min(len(STAGES), self.looks - document.looks + 1) - 1]
            if document.looks <= 0:
                self._publish(document)
        elif document.status == "failed" and self.vanishes:
            del documents[name]
            raise _refused(404, "Document not found")
        return document

    def _get(self, namespace: str, id: str) -> Any:
        return _shown(self._look(namespace, id))

    def _update(self, namespace: str, id: str, body: Any) -> Any:
        self._check_body(body, {"content", *_CHANGES}, set())
        if not body:
            raise _refused(400, "At least one field is required", path=[])
        document = self._look(namespace, id)
        if document.status in STAGES:
            raise _refused(409, "Document is still processing")
        if "metadata" in body:
            document.metadata = (document.metadata if self.merges else {}) | body["metadata"]
        document.updated = self._now()
        if "content" in body:
            self._take_in(document, body["content"])
        return {"id": document.id, "status": document.status}

    def _delete(self, namespace: str, body: Any) -> Any:
        self._check_body(body, {"ids"}, {"ids"})
        ids = body["ids"]
        if not isinstance(ids, list) or not 1 <= len(ids) <= 100:
            raise _refused(400, "Invalid array", path=["ids"])
        documents = self.namespaces.get(namespace, {})
        errors = []
        for id in ids:
            name = next((name for name, document in documents.items() if id in (name, document.own_id)), None)
            if name is None:
                errors.append({"id": id, "error": "Document not found"})
            else:
                del documents[name]
        return {"count": len(ids) - len(errors), "errors": errors}

    def _list(self, namespace: str, request: Request) -> Any:
        body = request.body or {}
        self._check_body(body, {"filter", "include"}, set())
        include = body.get("include", {})
        if not set(include) <= {"content", "memoryCount", "forgotten"}:
            raise _refused(400, "Unrecognized key", path=["include"])
        page, limit = _number(request.query, "page", 1, 10**9), _number(request.query, "limit", 10, 100)
        if request.query.get("sort", "createdAt") != "createdAt":
            raise _refused(400, "This stand-in sorts by createdAt", path=["sort"])
        documents = [item for item in self._in(namespace) if _passes(item.metadata, body.get("filter"))]
        if request.query.get("order", "desc") == "desc":
            documents.reverse()
        items = []
        for document in documents[(page - 1) * limit : page * limit]:
            item = _shown(document) | {"url": document.url}
            if not include.get("content", False):
                del item["content"]
            items.append(item)
        pages = math.ceil(len(documents) / limit)
        pagination = {"currentPage": page, "limit": limit, "totalItems": len(documents), "totalPages": pages}
        return {"documents": items, "chunks": [], "memories": [], "pagination": pagination}

    def _search(self, namespace: str, body: Any) -> Any:
        keys = {"query", "filter", "searchMode", "limit", "include", "threshold", "rerank", "rewriteQuery"}
        self._check_body(body, keys, {"query"})
        limit, threshold = _number(body, "limit", 10, 100), body.get("threshold", 0.3)
        if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise _refused(400, "Invalid number", path=["threshold"])
        if body.get("searchMode", "hybrid") not in ("hybrid", "memories", "chunks"):
            raise _refused(400, "Invalid option", path=["searchMode"])
        profile = _profile(body["query"])
        found = []
        for document in self._in(namespace):
            if _passes(document.metadata, body.get("filter")):
                for id, text, chunk in document.chunks:
                    similarity = _similarity(profile, chunk)
                    if similarity >= threshold:
                        found.append((similarity, id, text, document))
        found.sort(key=lambda item: (-item[0], item[1]))
        shows = body.get("include", {}).get("documents", False) and self.names_documents
        results = [_result(item, shows) for item in found[:limit]]
        return {"results": results, "searchTime": 1.5}

    def _list_namespaces(self, request: Request) -> Any:
        page, limit = _number(request.query, "page", 1, 10**9), _number(request.query, "limit", 10, 100)
        pagination = {"currentPage": page, "limit": limit, "totalItems": 0, "totalPages": 0}
        return {"namespaces": [], "pagination": pagination}

    def _in(self, namespace: str) -> list[Document]:
        if self.knows_namespaces and namespace not in self.namespaces:
            raise _refused(404, "Namespace not found")
        return list(self.namespaces.get(namespace, {}).values())

    def _check_body(self, body: Any, allowed: set[str], required: set[str]) -> None:
        if not isinstance(body, dict):
            raise _refused(400, "Expected an object", path=[])
        if unknown := set(body) - allowed:
            raise _refused(400, f"Unrecognized key: {sorted(unknown)[0]}", path=[])
        for key in required - set(body):
            raise _refused(400, "Required", path=[key])
        for key in {"content", "query", "taskType", "date", "supportingContext"} & set(body):
            if not isinstance(body[key], str) or (key == "query" and not body[key]):
                raise _refused(400, "Invalid string", path=[key])
        if body.get("taskType", "memory") not in ("memory", "superrag"):
            raise _refused(400, "Invalid option", path=["taskType"])
        metadata = body.get("metadata", {})
        if not isinstance(metadata, dict) or not all(map(_is_metadata, metadata.values())):
            raise _refused(400, "Invalid metadata", path=["metadata"])

    def _now(self) -> datetime:
        self._clock += 0.001
        return datetime.fromtimestamp(self._clock, UTC)


def _refused(status: int, error: str, *, path: Sequence[str] | None = None) -> RefusedError:
    if path is None:
        return RefusedError(status, {"error": error})
    return RefusedError(status, {"success": False, "error": [{"message": error, "path": list(path)}], "data": {}})


_CHANGES = ("metadata", "group", "date", "supportingContext", "taskType", "dreaming")


def _is_metadata(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | int | float)


def _number(fields: Mapping[str, Any], name: str, default: int, largest: int) -> int:
    try:
        value = int(fields.get(name, default))
    except (TypeError, ValueError):
        value = 0
    if not 1 <= value <= largest:
        raise _refused(400, "Number out of range", path=[name])
    return value


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _shown(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "title": document.title,
        "type": "text" if document.url is None else "webpage",
        "summary": document.summary,
        "content": document.content,
        "metadata": document.metadata,
        "system": {
            "status": document.status,
            "dreamingStatus": "done",
            "createdAt": _time(document.created),
            "updatedAt": _time(document.updated),
        },
    }


def _result(item: tuple[float, str, str, Document], shows_document: bool) -> dict[str, Any]:
    similarity, id, text, document = item
    times = {"createdAt": _time(document.created), "updatedAt": _time(document.updated)}
    result: dict[str, Any] = {
        "id": id,
        "chunk": text,
        "metadata": document.metadata,
        "similarity": similarity,
        "isLatest": True,
        "isInference": False,
        "system": times,
    }
    if shows_document:
        shown = {key: value for key, value in _shown(document).items() if key not in ("content", "system")}
        result["included"] = {"document": shown | {"system": times}}
    return result


def _profile(text: str) -> Counter[str]:
    profile: Counter[str] = Counter()
    for word in re.findall(r"\w+", text.lower()):
        profile[word] += 3
        profile.update(f" {word} "[n : n + 3] for n in range(len(word)))
    return profile


def _similarity(one: Counter[str], other: Counter[str]) -> float:
    lengths = math.sqrt(sum(n * n for n in one.values()) * sum(n * n for n in other.values()))
    common = sum(count * other[gram] for gram, count in one.items() if gram in other)
    return min(1.0, common / lengths) if lengths else 0.0


def _passes(metadata: Mapping[str, Any], condition: Any, depth: int = 1) -> bool:
    """Whether metadata meet a filter; a key that is missing meets only what is negated."""
    if condition is None:
        return True
    if not isinstance(condition, dict) or depth > 5:
        raise _refused(400, "Invalid filter", path=["filter"])
    operator = condition.get("operator")
    if operator in ("and", "or"):
        operands = condition.get("operands")
        if (
            set(condition) != {"operator", "operands"}
            or not isinstance(operands, list)
            or not 1 <= len(operands) <= 200
        ):
            raise _refused(400, "Invalid filter", path=["filter"])
        met = [_passes(metadata, operand, depth + 1) for operand in operands]
        return all(met) if operator == "and" else any(met)
    if not {"field", "operator", "value"} <= set(condition) <= {"field", "operator", "value", "caseSensitive"}:
        raise _refused(400, "Invalid filter", path=["filter"])
    if not re.fullmatch(r"[a-zA-Z0-9_.-]+", condition["field"]):
        raise _refused(400, "Invalid field", path=["filter", "field"])
    held, value = metadata.get(condition["field"]), condition["value"]
    match operator:
        case "eq":
            return bool(held == value)
        case "neq":
            return bool(held != value)
        case "contains":
            return isinstance(held, str) and value in held
        case "arrayContains":
            return isinstance(held, list) and value in held
    raise _refused(400, "Invalid operator", path=["filter", "operator"])
