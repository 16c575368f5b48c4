"""Letta's API on loopback, as far as archives go, with failures on demand.

It stands in for the server: it answers in the official SDK's types, and as server 0.16.8 was seen to
answer; `test_server.py` holds both to the same facts. It is not the server.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from letta_client.types import Archive, EmbeddingConfig, Passage
from letta_client.types.passage_search_response import PassageSearchResponseItem

from openmem.embedders.hashing import HashingEmbedder
from openmem.models import as_utc

from ..service import RefusedError, Reply, ScriptedService

HANDLE = "openai/text-embedding-3-small"
CONFIG: dict[str, Any] = {
    "embedding_dim": 256,
    "embedding_endpoint_type": "openai",
    "embedding_endpoint": "http://127.0.0.1:9/v1",
    "embedding_model": "text-embedding-3-small",
    "embedding_chunk_size": 300,
}
ACTOR = "user-00000000-0000-4000-8000-000000000000"
# What the server says of an unknown archive holds the actor, and some of its errors hold SQL.
LEAK = f"access level in ['read'] for actor='id='{ACTOR}' [SQL: ... FROM archives WHERE ...]"


@dataclass(frozen=True)
class Request:
    """What a client sent; `verb` is the method and the path with ids left out, which are in `ids`."""

    verb: str
    ids: Sequence[str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class Service(ScriptedService[Request]):
    """The service.

    Attributes:
        key: the password it wants, if any.
        default_config: the model of archives that name none.
        index: False if its search reads the passages; True if it reads an index apart, as the hosted
            service does, which knows neither metadata and tags nor when a passage says it was made.
    """

    def __init__(self) -> None:
        self._embedder = HashingEmbedder()
        super().__init__()

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.archives: dict[str, Archive] = {}
        self.passages: dict[str, Passage] = {}
        self.key: str | None = None
        self.default_config: dict[str, Any] | None = None
        self.index = False

    @property
    def verbs(self) -> list[str]:
        """What was asked for, as method and path."""
        return [request.verb for request in self.requests]

    def read(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> Request:
        parts = urlsplit(target)
        ids: list[str] = []
        segments = parts.path.split("/")
        kinds = {"archives": "archive", "passages": "passage"}
        for place in range(1, len(segments)):
            kind, segment = kinds.get(segments[place - 1]), segments[place]
            if kind is not None and segment not in ("", "batch", "search"):
                ids.append(unquote(segment))
                segments[place] = f"{{{kind}}}"
        return Request(f"{method} {'/'.join(segments)}", ids, dict(parse_qsl(parts.query)), headers, body)

    def perform(self, request: Request) -> Reply:
        if request.verb == "GET /v1/health/":
            return Reply(body={"version": "0.16.8", "status": "ok"})
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(401, {"detail": "Unauthorized"})
        routes: dict[str, Callable[[Request], Any]] = {
            "POST /v1/archives/": self._create_archive,
            "GET /v1/archives/": self._list_archives,
            "GET /v1/archives/{archive}": lambda request: self._archive(request.ids[0]),
            "DELETE /v1/archives/{archive}": self._delete_archive,
            "POST /v1/archives/{archive}/passages": self._create_passage,
            "POST /v1/archives/{archive}/passages/batch": self._create_passages,
            "DELETE /v1/archives/{archive}/passages/{passage}": self._delete_passage,
            "POST /v1/passages/search": self._search,
        }
        if request.verb not in routes:
            return Reply(404, {"detail": "Not Found"})
        try:
            with self._lock:
                for id in request.ids:
                    _check_id(id, 422)
                made = routes[request.verb](request)
        except RefusedError as refusal:
            return refusal.reply
        return (
            Reply(204) if made is None and request.verb.startswith("DELETE /v1/archives") else Reply(body=_json(made))
        )

    # Archives

    def _create_archive(self, request: Request) -> Archive:
        config = request.body.get("embedding_config")
        if config is None:
            match request.body.get("embedding"):
                case None:
                    config = self.default_config
                case handle if handle == HANDLE:
                    config = CONFIG
                case handle:
                    raise RefusedError(400, {"detail": f"INVALID_ARGUMENT: Embedding model {handle} not found"})
        archive = Archive(
            id=f"archive-{uuid.uuid4()}",
            name=request.body["name"],
            created_at=datetime.now(UTC),
            embedding_config=config and EmbeddingConfig(**config),
            vector_db_provider="tpuf" if self.index else "native",
        )
        self.archives[archive.id] = archive
        return archive

    def _list_archives(self, request: Request) -> list[Archive]:
        found = [item for item in self.archives.values() if request.query.get("name", item.name) == item.name]
        found.sort(key=lambda item: (item.created_at, item.id), reverse=request.query.get("order") != "asc")
        after = request.query.get("after")
        if after is not None:
            self._archive(after)
            found = found[[item.id for item in found].index(after) + 1 :]
        return found[: int(request.query.get("limit", 50))]

    def _archive(self, id: str) -> Archive:
        if id not in self.archives:
            raise RefusedError(404, {"detail": f"Archive not found with id='['{id}']', {LEAK}"})
        return self.archives[id]

    def _delete_archive(self, request: Request) -> None:
        id = self._archive(request.ids[0]).id
        del self.archives[id]
        self.passages = {key: item for key, item in self.passages.items() if item.archive_id != id}

    # Passages

    def _create_passage(self, request: Request) -> Passage:
        return self._keep(self._archive(request.ids[0]), request.body, datetime.now(UTC))

    def _create_passages(self, request: Request) -> list[Passage]:
        archive = self._archive(request.ids[0])
        if archive.embedding_config is None:
            raise RefusedError(500, {"detail": "An unknown error occurred"})
        now = datetime.now(UTC)
        return [self._keep(archive, fields, now) for fields in request.body["passages"]]

    def _keep(self, archive: Archive, fields: Mapping[str, Any], now: datetime) -> Passage:
        created_at = now
        if fields.get("created_at") is not None:
            try:
                created_at = as_utc(datetime.fromisoformat(fields["created_at"]))
            except ValueError as error:
                raise RefusedError(400, {"detail": str(error)}) from None
        text = fields["text"].replace("\0", "")
        passage = Passage(
            id=f"passage-{uuid.uuid4()}",
            text=text,
            archive_id=archive.id,
            created_at=created_at,
            updated_at=now,
            created_by_id=ACTOR,
            last_updated_by_id=ACTOR,
            is_deleted=False,
            metadata=fields.get("metadata") or {},
            tags=sorted(set(fields["tags"])) if fields.get("tags") is not None else None,
            embedding=None if archive.embedding_config is None else list(self._embedder.embed([text])[0]),
            embedding_config=archive.embedding_config,
        )
        self.passages[cast(str, passage.id)] = passage
        return passage

    def _delete_passage(self, request: Request) -> None:
        archive, id = self._archive(request.ids[0]), request.ids[1]
        if id not in self.passages:
            raise RefusedError(404, {"detail": f"Agent passage with id {id} not found in database."})
        if self.passages[id].archive_id != archive.id:
            raise RefusedError(400, {"detail": f"Passage {id} does not belong to archive {archive.id}"})
        del self.passages[id]

    def _search(self, request: Request) -> list[PassageSearchResponseItem]:
        body = request.body
        limit = body.get("limit", 50)
        if not isinstance(limit, int) or not 1 <= limit <= 100:
            raise RefusedError(422, {"detail": "[{'type': 'less_than_equal', 'loc': ('body', 'limit')}]"})
        query, archive_id = body.get("query"), body.get("archive_id")
        config = None
        if query:
            _check_id(archive_id, 400)
            config = self._archive(archive_id).embedding_config
        since, until = (
            body.get(name) and as_utc(datetime.fromisoformat(body[name])) for name in ("start_date", "end_date")
        )
        found = [
            item
            for item in self.passages.values()
            if (archive_id is None or item.archive_id == archive_id)
            and (since is None or _made(item) >= since)
            and (until is None or _made(item) <= until)
        ]
        if config is not None:
            [wanted] = self._embedder.embed([query])
            found.sort(key=lambda item: -sum(a * b for a, b in zip(wanted, item.embedding or (), strict=True)))
            if self.index:
                return [_indexed(item, rank) for rank, item in enumerate(found[:limit], 1)]
        elif query:
            pattern = _like(query)
            found = [item for item in found if pattern.search(item.text)][::-1]
        else:
            found.sort(key=_position)
        found = found[:limit]
        if body.get("tags"):
            wanted_tags = set(body["tags"])
            everything = body.get("tag_match_mode") == "all"
            tagged = [(item, wanted_tags & set(item.tags or ())) for item in found]
            found = [item for item, tags in tagged if (tags == wanted_tags if everything else tags)]
        return [PassageSearchResponseItem(passage=item, score=0.0, metadata={}) for item in found]


def _check_id(id: str, status: int) -> None:
    if not re.fullmatch(r"(archive|passage)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id):
        raise RefusedError(status, {"detail": f"{id} does not match 'archive-{{uuid4}}'"})


def _made(passage: Passage) -> datetime:
    return cast(datetime, passage.created_at)


def _position(passage: Passage) -> tuple[datetime, str]:
    return _made(passage), cast(str, passage.id)


def _like(query: str) -> re.Pattern[str]:
    """The pattern of ``LIKE`` that the server makes of a query, in which some characters are special."""
    pieces = re.findall(r"\\?.", query, re.DOTALL)
    special = {"%": ".*", "_": "."}
    text = "".join(special.get(piece) or re.escape(piece.removeprefix("\\")) for piece in pieces)
    return re.compile(text, re.DOTALL | re.IGNORECASE)


def _indexed(passage: Passage, rank: int) -> PassageSearchResponseItem:
    """A result of the hosted service's index."""
    known = Passage(
        id=passage.id,
        text=passage.text,
        archive_id=passage.archive_id,
        created_at=datetime.now(UTC),
        metadata={},
        tags=[],
        embedding=[],
        embedding_config=passage.embedding_config,
    )
    return PassageSearchResponseItem(passage=known, score=1 / (60 + rank), metadata={"vector_rank": rank})


def _json(made: Any) -> Any:
    if isinstance(made, list):
        return [_json(item) for item in made]
    return made.model_dump(mode="json") if hasattr(made, "model_dump") else made
