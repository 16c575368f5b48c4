"""What the clients of one `MemoryStore` have in common: memories, audit log and idempotency keys."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Final, NamedTuple

from ..._clock import IncreasingClock
from ..._forking import PerProcess, undisturbed
from ...analysis import MemoryTerms
from ...models import AuditEntry, MemoryRecord
from ...ports.models import Vectors
from ...ranking.reference import Candidate
from ...selection import Selection, has_expired

KEY_LIFETIME: Final = timedelta(hours=24)
NO_TERMS: Final = MemoryTerms(frozenset(), frozenset(), False)
"""Those of a memory that no search finds."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A memory with what a search compares.

    Attributes:
        sequence_no: its number in the order in which the memories of its user were added.
        moment: when it is from, at the offset from UTC that was given.
        terms: its words, and those of the date that it is from.
        vector: None if no search finds it.
    """

    record: MemoryRecord
    sequence_no: int
    moment: datetime
    terms: MemoryTerms
    vector: Sequence[float] | None

    @property
    def version(self) -> int:
        """That of the record."""
        assert self.record.version is not None
        return self.record.version

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
    """The memories that were added with an idempotency key, the digest of what was asked for, and when."""

    memory_ids: tuple[str, ...]
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
        self._by_key: dict[tuple[str, str | None, str], Stored] = {}
        self._audit_log: defaultdict[str, list[tuple[int, AuditEntry]]] = defaultdict(list)
        self._entries_logged = 0
        self._added: dict[tuple[str, str], RememberedAdd] = {}
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
        """The memory with an id, if there is one that has not expired."""
        return self._not_expired(self._by_id.get(id))

    def at(self, id: str) -> Stored:
        """The memory with an id, also if it has expired."""
        return self._by_id[id]

    def with_key(self, user_id: str, scope: str | None, key: str) -> Stored | None:
        """The memory with a key, if there is one that has not expired."""
        return self._not_expired(self._by_key.get((user_id, scope, key)))

    def size_of(self, user_id: str) -> int:
        """How many memories are kept for a user, those that have expired among them."""
        return len(self._by_user.get(user_id, ()))

    def users(self) -> Iterable[str]:
        """The users for whom memories are kept."""
        return [user for user, own in self._by_user.items() if own]

    def of_user(self, user_id: str, ids: Iterable[str]) -> dict[str, Stored]:
        """Those of some memories that are the user's and have not expired, by id."""
        found = {id: self.find(id) for id in ids}
        return {id: stored for id, stored in found.items() if stored is not None and stored.record.user_id == user_id}

    def selected(self, selection: Selection) -> list[Stored]:
        """The memories of a user that a query reads, in the order in which they were added."""
        own, now = self._by_user.get(selection.user_id, {}), self.now()
        return [stored for stored in own.values() if selection.matches(stored.record, now)]

    def count_stale(self, model: str) -> int:
        """How many memories another model embedded, of all users."""
        return sum(_is_stale(stored, model) for stored in self._by_id.values())

    def stale(self, model: str, after_id: str, limit: int) -> list[Stored]:
        """The next memories behind `after_id` that another model embedded, of all users."""
        ids = sorted(id for id, stored in self._by_id.items() if _is_stale(stored, model))
        return [self._by_id[id] for id in ids if id > after_id][:limit]

    def add(self, record: MemoryRecord, moment: datetime, terms: MemoryTerms, vector: Sequence[float] | None) -> None:
        """Store a new memory behind those that its user has, but before those whose calls of `add` began later."""
        if record.id in self._by_id:
            self.remove(self._by_id[record.id])  # it has expired
        if record.key is not None and (holder := self._by_key.get(_key_of(record, record.key))) is not None:
            self.remove(holder)  # it has expired, too
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
        if stored.record.id in self._by_id:
            self._free_key(self._by_id[stored.record.id].record)
        self._by_id[stored.record.id] = self._by_user[stored.record.user_id][stored.record.id] = stored
        if stored.record.key is not None:
            self._by_key[_key_of(stored.record, stored.record.key)] = stored

    def close_validity(self, superseded: Iterable[Stored], moment: datetime, now: datetime) -> None:
        """End the memories that have not ended at a moment, though not before they began."""
        for stored in superseded:
            current = self._by_id[stored.record.id]
            if changes := end_of(current.record, moment, now):
                changes |= {"updated_at": now, "version": current.version + 1}
                self.put(replace(current, record=current.record.model_copy(update=changes)))

    def remove(self, stored: Stored) -> None:
        """Remove a memory."""
        self._free_key(stored.record)
        del self._by_id[stored.record.id], self._by_user[stored.record.user_id][stored.record.id]

    def remove_ended(self, ended_before: datetime | None) -> int:
        """Remove what has expired, and what ended before a moment, of all users; how many memories that was."""
        now = self.now()
        ended = [
            stored
            for stored in self._by_id.values()
            if has_expired(stored.record, now)
            or (ended_before is not None and _end(stored.record, now) < min(ended_before, now))
        ]
        for stored in ended:
            self.remove(stored)
        return len(ended)

    def forget(self, user_id: str) -> tuple[int, int]:
        """Remove all that is kept of a user; how many memories and audit entries that was."""
        own = list(self._by_user.pop(user_id, {}).values())
        for stored in own:
            self._free_key(stored.record)
            del self._by_id[stored.record.id]
        for name in [name for name in self._added if name[0] == user_id]:
            del self._added[name]
        return len(own), len(self._audit_log.pop(user_id, []))

    def log(self, user_id: str, entry: AuditEntry) -> None:
        """Add to the audit log of a user."""
        self._entries_logged += 1
        self._audit_log[user_id].append((self._entries_logged, entry))

    def audit_log(self, user_id: str) -> list[tuple[int, AuditEntry]]:
        """The audit log of a user, newest first, each entry with its number."""
        return self._audit_log.get(user_id, [])[::-1]

    def remove_audit_entries(self, before: datetime) -> int:
        """Remove what was logged before a moment, of all users; how many entries that was."""
        count = 0
        for user_id, entries in list(self._audit_log.items()):
            kept = [(number, entry) for number, entry in entries if entry.timestamp >= before]
            count += len(entries) - len(kept)
            self._audit_log[user_id] = kept
        return count

    def added_before(self, user_id: str, key: str) -> RememberedAdd | None:
        """What was added with an idempotency key in the last `KEY_LIFETIME`."""
        limit = self.now() - KEY_LIFETIME
        for oldest in list(self._added):
            if self._added[oldest].at >= limit:
                break
            del self._added[oldest]
        return self._added.get((user_id, key))

    def remember_add(self, user_id: str, key: str, added: RememberedAdd) -> None:
        """Remember what was added with an idempotency key."""
        self._added[user_id, key] = added

    def _not_expired(self, stored: Stored | None) -> Stored | None:
        if stored is None or (stored.record.expires_at is not None and has_expired(stored.record, self.now())):
            return None
        return stored

    def _free_key(self, record: MemoryRecord) -> None:
        """Forget which memory has a key, if it is this one."""
        if record.key is not None:
            name = _key_of(record, record.key)
            holder = self._by_key.get(name)
            if holder is not None and holder.record.id == record.id:
                del self._by_key[name]


def end_of(record: MemoryRecord, moment: datetime, now: datetime) -> dict[str, Any]:
    """What changes in a memory whose validity ends at a moment, though not before it began: nothing if it has ended."""
    begin, end = record.valid_from, record.valid_to
    if end is not None and end <= max(begin or now, now):
        return {}
    new_end = max(begin or moment, moment)
    return {"valid_to": new_end if end is None else min(end, new_end)}


def _key_of(record: MemoryRecord, key: str) -> tuple[str, str | None, str]:
    return record.user_id, record.scope, key


def _end(record: MemoryRecord, now: datetime) -> datetime:
    return now if record.valid_to is None else record.valid_to


def _is_stale(stored: Stored, model: str) -> bool:
    return stored.record.indexed and stored.record.embedding_model != model
