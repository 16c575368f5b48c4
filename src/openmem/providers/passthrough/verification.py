"""Whether a server's answer fits the request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..._ids import bucket_in, bucket_of
from ..._scopes import ScopeFilter
from ...errors import ProviderError
from ...models import Facet, MemoryRecord, UserSummary
from ...operations import Add, Facets, GetByKey, History, List, Put, RestoredMemory, ScopedQuery, Users


class Verification:
    """The checks of one server's answers. Each raises `ProviderError` for an answer that does not fit the request.

    Args:
        base_url: the server, for messages.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def rows(self, records: Iterable[MemoryRecord], op: ScopedQuery) -> None:
        """Refuse memories that the query does not select, as far as its text filters tell."""
        scopes = None if op.scopes is None else ScopeFilter.of(op.scopes)
        wanted = {*(op.tags or ()), *([op.tag] if isinstance(op, List) and op.tag is not None else [])}
        for record in records:
            tags = set(record.tags or ())
            if record.user_id != op.user_id:
                raise self.of_another_user()
            if scopes is not None and not scopes.matches(record.scope):
                raise self.malformed("a memory outside the scope that was asked for; it was withheld")
            if not wanted <= tags or (op.any_tags is not None and tags.isdisjoint(op.any_tags)):
                raise self.malformed("a memory without the tags that were asked for; it was withheld")

    def under_key(self, record: MemoryRecord, op: GetByKey | Put) -> None:
        if record.user_id != op.user_id:
            raise self.of_another_user()
        if (record.key, record.scope) != (op.key, op.scope):
            raise self.malformed("a memory with another key than was asked for; it was withheld")

    def facets(self, facets: Sequence[Facet], op: Facets) -> None:
        """Refuse more values than were asked for, and scopes that were not."""
        scopes = None if op.scopes is None else ScopeFilter.of(op.scopes)
        if len(facets) > op.limit:
            raise self.malformed(f"{len(facets)} values to a call that asked for {op.limit}")
        if op.by == "scope" and scopes is not None and not all(scopes.matches(facet.value) for facet in facets):
            raise self.malformed("a scope that was not asked for; it was withheld")

    def history(self, records: Sequence[MemoryRecord], op: History) -> MemoryRecord:
        """The memory that was asked for, among all that it replaced and that replaced it."""
        named = [record for record in records if record.id == op.id]
        if not named:
            raise self.malformed("the history of another memory than was asked for; it was withheld")
        if any(record.user_id != named[0].user_id for record in records):
            raise self.of_another_user()
        return named[0]

    def users(self, users: Iterable[UserSummary], op: Users) -> None:
        if op.prefix is not None and not all(user.user_id.startswith(op.prefix) for user in users):
            raise self.malformed("a user without the prefix that was asked for; it was withheld")

    def restored(self, records: Sequence[MemoryRecord], given: Sequence[RestoredMemory]) -> None:
        """Refuse other memories than were given; one that was there already may have another text."""
        if [(record.id, record.user_id) for record in records] != [(record.id, record.user_id) for record in given]:
            raise self.malformed("other memories than it was given")

    def ids(self, ids: Iterable[str], user_id: str) -> None:
        """Refuse ids whose buckets are those of other users."""
        if any(bucket_in(id) not in (None, bucket_of(user_id)) for id in ids):
            raise self.of_another_user()

    def added(self, records: Sequence[MemoryRecord], adds: Sequence[Add]) -> None:
        if len(records) != len(adds):
            raise self.malformed(f"{len(records)} memories to a call that added {len(adds)}")
        for record, add in zip(records, adds, strict=True):
            if record.user_id != add.user_id:
                raise self.of_another_user()
            if record.content != add.content:
                raise self.malformed("a memory with another text than it was given")

    def id(self, record: MemoryRecord, id: str) -> None:
        if record.id != id:
            raise self.malformed("another memory than was asked for; it was withheld")

    def of_another_user(self) -> ProviderError:
        return self.malformed("a memory of another user; it was withheld")

    def malformed(self, what: str) -> ProviderError:
        return ProviderError(
            f"{self._base_url} answered with {what}; check base_url, and what stands between this client and the server"
        )
