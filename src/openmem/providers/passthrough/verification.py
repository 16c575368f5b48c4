"""Whether a server's answer fits the request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..._ids import bucket_in, bucket_of
from ..._scopes import ScopeFilter
from ...errors import ProviderError
from ...models import MemoryRecord
from ...operations import Add, List, Search


class Verification:
    """The checks of one server's answers. Each raises `ProviderError` for an answer that does not fit the request.

    Args:
        base_url: the server, for messages.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def rows(self, records: Iterable[MemoryRecord], op: List | Search) -> None:
        scopes = None if op.scopes is None else ScopeFilter.of(op.scopes)
        for record in records:
            if record.user_id != op.user_id:
                raise self.of_another_user()
            if scopes is not None and not scopes.matches(record.scope):
                raise self.malformed("a memory outside the scope that was asked for; it was withheld")

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
