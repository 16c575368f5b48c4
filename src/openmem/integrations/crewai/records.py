"""What CrewAI calls a storage, on openmem: records of a user by their ids, scopes and categories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from crewai.memory.types import MemoryRecord, ScopeInfo
from crewai.memory.utils import join_scope_paths

from ... import models
from ...errors import NotFoundError
from ...models import MemorySource
from ...operations import Add, AddMany, Count, DeleteMany, Facets, Get, List, Search, Update
from ..clients import AnyClient, Runner, runner_of
from ..rules import as_query, user_of
from ..segments import decoded, encoded, field_name

MAX_RANKED: Final = 100
PAGE: Final = 500
MAX_FACETS: Final = 1000
ATTRIBUTES: Final = "_crewai"
"""Where metadata has what openmem has no field for: the source of a record, and whether it is private."""


class Records:
    """The records of a user, as what CrewAI calls a storage, but for its search by vectors."""

    def __init__(self, client: AnyClient, user_id: str | Callable[[], str | None], app: str) -> None:
        self.runner: Runner = runner_of(client)
        self._user_id = user_id
        self._source = app

    @property
    def _user(self) -> str:
        found = self._user_id
        return user_of((lambda _: found()) if callable(found) else found, None)

    def check(self, root_scope: str | None) -> None:
        """Refuse arguments that no operation would take."""
        Add(content="-", user_id="-", scope=_scope_of(root_scope or "/"), source=MemorySource(app=self._source))
        if not callable(self._user_id):
            Count(user_id=self._user)

    def add(
        self,
        content: str,
        path: str,
        categories: Sequence[str] | None,
        metadata: dict[str, Any] | None,
        importance: float | None,
        source: str | None,
        private: bool,
    ) -> Add:
        """The operation that stores a fact."""
        attributes = {**({"source": source} if source else {}), **({"private": True} if private else {})}
        return Add(
            content=content,
            user_id=self._user,
            scope=_scope_of(path),
            tags=categories or None,
            metadata={**(metadata or {}), **({ATTRIBUTES: attributes} if attributes else {})} or None,
            confidence=importance,
            source=MemorySource(app=self._source, type="explicit"),
        )

    def add_many(self, contents: Sequence[str], path: str, *fields: Any) -> AddMany:
        """The operation that stores facts which have all else in common, with the other arguments of `add`."""
        return AddMany(records=tuple(self.add(content, path, *fields) for content in contents))

    def search(
        self,
        query: str,
        path: str,
        categories: Sequence[str] | None,
        limit: int,
        source: str | None,
        include_private: bool,
    ) -> Search | None:
        """The operation that finds what answers a query, and what is private by its source only; None for nothing."""
        if not query.strip() or limit < 1:
            return None
        visible: list[dict[str, Any]] = [{f"{ATTRIBUTES}.private": {"$exists": False}}]
        if source is not None:
            visible.append({f"{ATTRIBUTES}.source": source})
        return Search(
            query=as_query(query),
            user_id=self._user,
            scope=_pattern_of(path),
            any_tags=categories or None,
            limit=min(limit, MAX_RANKED),
            where=None if include_private else {"$or": visible},
        )

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Erase what meets all that is given; without anything, all of the user. How many there were.

        An empty list of ids or categories is met by nothing.
        """
        if record_ids == [] or categories == []:
            return 0
        chosen = {
            "scope": _pattern_of(scope_prefix),
            "any_tags": categories,
            "ids": record_ids,
            "until": None if older_than is None else _aware(older_than),
            "where": {field_name(name): {"$eq": wanted} for name, wanted in (metadata_filter or {}).items()} or None,
        }
        everything = all(value is None for value in chosen.values())
        return self.runner.run(DeleteMany(user_id=self._user, everything=everything, **chosen))

    def reset(self, scope_prefix: str | None = None) -> None:
        """Erase what is in a scope and below."""
        self.delete(scope_prefix)

    def update(self, record: MemoryRecord) -> None:
        """Replace a record of the same id."""
        current = self.runner.run(Get(id=record.id, user_id=self._user))
        kept = (current.metadata or {}).get(ATTRIBUTES)
        self.runner.run(
            Update(
                id=record.id,
                user_id=self._user,
                scope=_scope_of(record.scope),
                tags=record.categories,
                metadata={**record.metadata, **({ATTRIBUTES: kept} if kept else {})},
                confidence=record.importance,
                if_version=current.version,
                **({} if record.content == current.content else {"content": record.content}),
            )
        )

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """A record by its id."""
        try:
            return record_of(self.runner.run(Get(id=record_id, user_id=self._user)))
        except NotFoundError:
            return None

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """The records in a scope and below, the newest first."""
        return list(map(record_of, islice(self._listed(scope_prefix, offset + limit), offset, offset + limit)))

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """What is in a scope and below."""
        pattern = _pattern_of(scope)
        ends = [
            self.runner.run(List(user_id=self._user, scope=pattern, order=order, limit=1)).items
            for order in ("oldest", "newest")
        ]
        oldest, newest = (next((_naive(record.created_at) for record in items), None) for items in ends)
        return ScopeInfo(
            path=join_scope_paths(None, scope),
            record_count=self.count(scope),
            categories=sorted(self.list_categories(scope)),
            oldest_record=oldest,
            newest_record=newest,
            child_scopes=self.list_scopes(scope),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """The scopes directly below one, of the 1,000 that have most records."""
        above = join_scope_paths(None, parent).rstrip("/")
        facets = self.runner.run(Facets(user_id=self._user, by="scope", scope=_pattern_of(parent), limit=MAX_FACETS))
        paths = (_path_of(facet.value) for facet in facets)
        below = (path.removeprefix(f"{above}/") for path in paths if path.startswith(f"{above}/") and path != "/")
        return sorted({f"{above}/{path.partition('/')[0]}" for path in below})

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """How many records have each category, of the 1,000 that most have."""
        op = Facets(user_id=self._user, by="tag", scope=_pattern_of(scope_prefix), limit=MAX_FACETS)
        return {facet.value: facet.count for facet in self.runner.run(op)}

    def count(self, scope_prefix: str | None = None) -> int:
        """How many records are in a scope and below."""
        return self.runner.run(Count(user_id=self._user, scope=_pattern_of(scope_prefix)))

    def _listed(self, scope_prefix: str | None, count: int) -> Iterator[models.MemoryRecord]:
        op = List(user_id=self._user, scope=_pattern_of(scope_prefix), limit=max(1, min(count, PAGE)))
        while True:
            page = self.runner.run(op)
            yield from page.items
            if page.next_cursor is None:
                return
            op = op.model_copy(update={"cursor": page.next_cursor})


def _scope_of(path: str) -> str | None:
    """The scope of a path of CrewAI; None for ``/``."""
    return "/".join(encoded(segment) for segment in join_scope_paths(None, path).split("/") if segment) or None


def _pattern_of(path: str | None) -> str | None:
    """The pattern of what is at a path of CrewAI and below; None for all."""
    scope = _scope_of(path or "/")
    return None if scope is None else f"{scope}/**"


def _path_of(scope: str | None) -> str:
    return "/" + "/".join(map(decoded, scope.split("/"))) if scope else "/"


def _aware(moment: datetime) -> datetime:
    """CrewAI's times are in UTC and do not say so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def record_of(record: models.MemoryRecord) -> MemoryRecord:
    """A memory as a record of CrewAI."""
    metadata = dict(record.metadata or {})
    attributes = metadata.pop(ATTRIBUTES, None)
    if not isinstance(attributes, dict):
        attributes = {}
    source = attributes.get("source")
    return MemoryRecord(
        id=record.id,
        content=record.content,
        scope=_path_of(record.scope),
        categories=record.tags or [],
        metadata=metadata,
        created_at=_naive(record.created_at),
        last_accessed=_naive(record.updated_at or record.created_at),
        source=source if isinstance(source, str) else None,
        private="private" in attributes,
        **({} if record.confidence is None else {"importance": record.confidence}),
    )
