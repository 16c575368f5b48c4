"""What the clients of one `MemoryStore` have in common: memories, audit log and idempotency keys."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final, NamedTuple

from ..._clock import IncreasingClock
from ..._forking import PerProcess, undisturbed
from ...analysis import MemoryTerms
from ...models import AuditEntry, MemoryRecord
from ...ports.models import Vectors
from ...ranking.reference import Candidate
from ...selection import Selection

KEY_LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Stored:
    """A memory with what a search compares.

    Attributes:
        sequence_no: its number in the order in which the memories of its user were added.
        moment: when it is from, at the offset from UTC that was given.
        terms: its words, and those of the date that it is from.
    """

    record: MemoryRecord
    sequence_no: int
    moment: datetime
    terms: MemoryTerms
    vector: Sequence[float]

    def candidate(self, model: str) -> Candidate:
        """The memory as the ranking sees it, compared with the vectors of `model`."""
        record = self.record
        return Candidate(
            id=f"{self.sequence_no:020}",
            sequence_no=self.sequence_no,
            moment=self.moment,
            is_dated=record.valid_from is not None,
            lexemes=self.terms.lexemes,
            speakers=self.terms.speakers,
            is_question=self.terms.is_question,
            vector=self.vector if record.embedding_model == model else None,
        )


class RememberedAdd(NamedTuple):
    """The memory that was added with an idempotency key, the digest of what was asked for, and when."""

    memory_id: str
    fingerprint: str
    at: datetime


class MemoryStore:
    """The memories of one or more clients, in this process.

    Clients with ``Memory("memory", store=store)`` and the same store see the same memories. It may be used by threads
    and by event loops at once. A forked child begins with a copy.
    """

    def __init__(self) -> None:
        self._lock = PerProcess(threading.Lock)
        self._by_id: dict[str, Stored] = {}
        self._by_user: defaultdict[str, dict[str, Stored]] = defaultdict(dict)
        self._clock = IncreasingClock()
        self._audit_log: defaultdict[str, list[AuditEntry]] = defaultdict(list)
        self._keys: dict[tuple[str, str], RememberedAdd] = {}
        self.baselines: dict[str, Vectors] = {}
        """Those of models that a search asked for; see `openmem.ranking.calibration`."""

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Within the block, which must not await anything, nobody else reads or changes the store."""
        with undisturbed(), self._lock.get():
            yield

    def now(self) -> datetime:
        """The time, later than at any call before, so that memories are in the order in which they were added."""
        return self._clock.next(datetime.now(UTC))

    def find(self, id: str) -> Stored | None:
        """The memory with an id, if there is one."""
        return self._by_id.get(id)

    def count(self, user_id: str) -> int:
        """How many memories a user has."""
        return len(self._by_user.get(user_id, ()))

    def of_user(self, user_id: str, ids: Iterable[str]) -> dict[str, Stored]:
        """Those of some memories that are the user's, by id."""
        own = self._by_user.get(user_id, {})
        return {id: own[id] for id in ids if id in own}

    def selected(self, selection: Selection) -> list[Stored]:
        """The memories of a user that a query reads, in the order in which they were added."""
        own, now = self._by_user.get(selection.user_id, {}), self.now()
        return [stored for stored in own.values() if selection.matches(stored.record, now)]

    def count_stale(self, model: str) -> int:
        """How many memories another model embedded, of all users."""
        return sum(stored.record.embedding_model != model for stored in self._by_id.values())

    def stale(self, model: str, after_id: str, limit: int) -> list[Stored]:
        """The next memories behind `after_id` that another model embedded, of all users."""
        ids = sorted(id for id, stored in self._by_id.items() if stored.record.embedding_model != model)
        return [self._by_id[id] for id in ids if id > after_id][:limit]

    def add(self, record: MemoryRecord, moment: datetime, terms: MemoryTerms, vector: Sequence[float]) -> None:
        """Store a new memory behind those that its user has, but before those whose calls of `add` began later."""
        own = self._by_user[record.user_id]
        later = list(takewhile(lambda stored: stored.record.id > record.id, reversed(own.values())))
        for stored in later:
            del own[stored.record.id]
        last = next(reversed(own.values()), None)
        self.put(Stored(record, 1 if last is None else last.sequence_no + 1, moment, terms, vector))
        for stored in reversed(later):
            self.put(replace(stored, sequence_no=stored.sequence_no + 1))

    def put(self, stored: Stored) -> None:
        """Store a memory in place of the one with its id, if there is one."""
        self._by_id[stored.record.id] = self._by_user[stored.record.user_id][stored.record.id] = stored

    def close_validity(self, superseded: Iterable[Stored], moment: datetime, now: datetime) -> None:
        """End the memories that have not ended at a moment, though not before they began."""
        for stored in superseded:
            record = self._by_id[stored.record.id].record
            begin, end = record.valid_from, record.valid_to
            if end is not None and end <= max(begin or now, now):
                continue
            new_end = max(begin or moment, moment)
            changes = {"valid_to": new_end if end is None else min(end, new_end), "updated_at": now}
            self.put(replace(stored, record=record.model_copy(update=changes)))

    def remove(self, stored: Stored) -> None:
        """Remove a memory."""
        del self._by_id[stored.record.id], self._by_user[stored.record.user_id][stored.record.id]

    def log(self, user_id: str, entry: AuditEntry) -> None:
        """Add to the audit log of a user."""
        self._audit_log[user_id].append(entry)

    def audit_log(self, user_id: str) -> list[AuditEntry]:
        """The audit log of a user, newest first."""
        return self._audit_log.get(user_id, [])[::-1]

    def added_before(self, user_id: str, key: str) -> RememberedAdd | None:
        """What was added with an idempotency key in the last `KEY_LIFETIME`."""
        limit = self.now() - KEY_LIFETIME
        for oldest in list(self._keys):
            if self._keys[oldest].at >= limit:
                break
            del self._keys[oldest]
        return self._keys.get((user_id, key))

    def remember_add(self, user_id: str, key: str, added: RememberedAdd) -> None:
        """Remember what was added with an idempotency key."""
        self._keys[user_id, key] = added
