"""mem0's hosted API on loopback, with failures on demand.

It stands in for the service: written from the official client's source and from mem0's published
API description, and as strict as they are. It is not the service.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from openmem.embedders.hashing import HashingEmbedder

from ..service import RefusedError, Reply, ScriptedService

KEY = "m0-0123456789abcdefghij"

ENTITIES = ("user_id", "agent_id", "app_id", "run_id")
FILTER_KEYS = {
    *("AND", "OR", "NOT", *ENTITIES, "created_at", "updated_at", "timestamp", "expiration_date", "text"),
    *("categories", "metadata", "keywords_search", "memory_ids", "keywords"),
}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Request:
    """What a client sent; `verb` is the method and the path with ids left out."""

    verb: str
    id: str | None
    query: dict[str, str]
    body: Any
    headers: Mapping[str, str]


class Service(ScriptedService[Request]):
    """The service.

    Attributes:
        merges: whether an update merges metadata into what is stored, or replaces it.
        polls: how often a queued addition is still pending when it is asked for.
    """

    def __init__(self) -> None:
        self._embedder = HashingEmbedder()
        super().__init__()

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.memories: dict[str, dict[str, Any]] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.merges = False
        self.polls = 2

    @property
    def verbs(self) -> list[str]:
        """What was asked for, as method and path."""
        return [request.verb for request in self.requests]

    def put(self, text: str, **fields: Any) -> str:
        """Store a memory that openmem did not write; its id."""
        now = datetime.now(UTC).isoformat()
        id = str(uuid.uuid4())
        self.memories[id] = {
            **dict.fromkeys((*ENTITIES, "metadata", "categories", "expiration_date", "structured_attributes")),
            **{"id": id, "memory": text, "created_at": now, "updated_at": now, **fields},
        }
        return id

    def read(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> Request:
        parts = urlsplit(target)
        match = re.fullmatch(r"(.*/(?:memories|event)/)(?!add/|search/)([^/]+)(/.*)", parts.path)
        path, id = (f"{match[1]}{{id}}{match[3]}", unquote(match[2])) if match else (parts.path, None)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return Request(f"{method} {path}", id, query, body, headers)

    def perform(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Token {KEY}":
            return Reply(401, {"detail": f"Invalid API key: {request.headers.get('authorization')}"})
        routes: dict[str, Callable[[Request], Any]] = {
            "GET /v1/ping/": lambda _: {"org_id": "o", "project_id": "p", "user_email": "someone@example.com"},
            "POST /v3/memories/add/": self._add,
            "POST /v3/memories/": self._list,
            "POST /v3/memories/search/": self._search,
            "GET /v1/memories/{id}/": lambda request: self._outward(self._find(request), "session_id"),
            "PUT /v1/memories/{id}/": self._update,
            "DELETE /v1/memories/{id}/": self._delete,
            "GET /v1/event/{id}/": self._event,
        }
        if request.verb not in routes:
            return Reply(404, {"detail": "Not found."})
        try:
            with self._lock:
                return Reply(body=routes[request.verb](request))
        except RefusedError as refusal:
            return refusal.reply

    def _add(self, request: Request) -> Any:
        body = request.body
        entities = {name: body.get(name) for name in ENTITIES}
        if not any(entities.values()):
            raise RefusedError(400, {"error": "at least one of user_id, agent_id, app_id, run_id is required"})
        texts = [message["content"] for message in body["messages"] if message["role"] != "system"]
        event = str(uuid.uuid4())
        if body.get("infer", True):
            made = [self._keep(text, entities, body.get("metadata")) for text in texts]
            self.events[event] = {"left": self.polls, "results": [item for item in made if item is not None]}
            return {"message": "queued", "event_id": event, "status": "PENDING"}
        results = [self._keep(text, entities, body.get("metadata")) for text in texts]
        kept = [item for item in results if item is not None]
        return {"message": "done", "status": "SUCCEEDED", "event_id": event, "results": kept}

    def _keep(self, text: str, entities: Mapping[str, str | None], metadata: Any) -> dict[str, Any] | None:
        key = (hashlib.md5(text.encode()).digest(), *entities.values())
        for memory in self.memories.values():
            if (hashlib.md5(memory["memory"].encode()).digest(), *(memory[name] for name in ENTITIES)) == key:
                return None
        id = self.put(text, **entities, metadata=metadata)
        return {"id": id, "data": {"memory": text}, "event": "ADD"}

    def _find(self, request: Request) -> dict[str, Any]:
        assert request.id is not None
        if not UUID.fullmatch(request.id):
            raise RefusedError(400, {"error": f"{request.id!r} is not a valid UUID"})
        if request.id not in self.memories:
            raise RefusedError(404, {"error": "Memory not found!"})
        return self.memories[request.id]

    def _update(self, request: Request) -> Any:
        memory = self._find(request)
        memory["memory"] = request.body.get("text", memory["memory"])
        if "metadata" in request.body:
            kept = (memory["metadata"] or {}) if self.merges else {}
            memory["metadata"] = {**kept, **request.body["metadata"]}
        memory["updated_at"] = datetime.now(UTC).isoformat()
        return self._outward(memory, "session_id")

    def _delete(self, request: Request) -> Any:
        del self.memories[self._find(request)["id"]]
        return {"message": "Memory deleted successfully!"}

    def _list(self, request: Request) -> Any:
        page, size = int(request.query.get("page", 1)), int(request.query.get("page_size", 100))
        if not 1 <= size <= 200:
            raise RefusedError(400, {"error": "page_size must be 1 to 200"})
        found = sorted(self._select(request.body), key=lambda memory: str(memory["id"]))
        if page > 1 and (page - 1) * size >= len(found):
            raise RefusedError(404, {"error": "Invalid page."})
        rows = [self._outward(memory, "session_id") for memory in found[(page - 1) * size : page * size]]
        more = f"{self.url}/v3/memories/?page={page + 1}" if page * size < len(found) else None
        return {"count": len(found), "next": more, "previous": None, "results": rows}

    def _search(self, request: Request) -> Any:
        body = request.body
        top_k, threshold = body.get("top_k", 10), body.get("threshold", 0.1)
        if not 1 <= top_k <= 1000 or not 0 <= threshold <= 1:
            raise RefusedError(400, {"error": "top_k must be 1 to 1000 and threshold 0 to 1"})
        scored = [(self._score(body["query"], memory["memory"]), memory) for memory in self._select(body)]
        best = sorted(scored, key=lambda pair: -pair[0])[:top_k]
        return {
            "results": [
                self._outward(memory, "run_id") | {"score": score, "score_breakdown": {"semantic": score}}
                for score, memory in best
                if score >= threshold
            ]
        }

    def _score(self, query: str, text: str) -> float:
        first, second = self._embedder.embed([query, text])
        cosine = sum(a * b for a, b in zip(first, second, strict=True))
        asked, words = (set(re.findall(r"\w+", part.casefold())) for part in (query, text))
        weight = sum(len(word) ** 2 for word in asked & words) / (sum(len(word) ** 2 for word in asked) or 1)
        return min(1.0, max(0.0, 0.3 * cosine + 0.7 * weight))

    def _select(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        filters = body.get("filters") or {}
        if unknown := set(filters) - FILTER_KEYS:
            raise RefusedError(400, {"error": f"unknown filters: {sorted(unknown)}"})
        if not any(isinstance(filters.get(name), str) for name in ENTITIES):
            raise RefusedError(400, {"error": "filters must name an entity"})
        for value in filters.get("metadata", {}).values():
            if isinstance(value, dict) and set(value) - {"eq", "ne", "contains"}:
                raise RefusedError(400, {"error": "metadata filters know only eq, ne and contains"})
        today = datetime.now(UTC).date().isoformat()
        return [
            memory
            for memory in self.memories.values()
            if all(_matches(memory[name], filters[name]) for name in ENTITIES if name in filters)
            and all((memory["metadata"] or {}).get(key) == value for key, value in filters.get("metadata", {}).items())
            and (body.get("show_expired") or (memory["expiration_date"] or today) >= today)
        ]

    def _event(self, request: Request) -> Any:
        event = self.events.get(cast(str, request.id))
        if event is None:
            raise RefusedError(404, {"error": "Event not found"})
        event["left"] -= 1
        if event["left"] >= 0:
            return {"id": request.id, "status": "PENDING" if event["left"] else "RUNNING", "results": None}
        return {"id": request.id, "status": event.get("status", "SUCCEEDED"), "error": None} | {
            "results": event["results"]
        }

    def _outward(self, memory: dict[str, Any], run: str) -> dict[str, Any]:
        """A memory as the API shows it: the run's name depends on who asks."""
        return {run if name == "run_id" else name: value for name, value in memory.items()}


def _matches(value: str | None, wanted: str) -> bool:
    return value is not None if wanted == "*" else value == wanted
