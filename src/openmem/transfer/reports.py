"""What a transfer has done, as numbers and sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from ..errors import OMPError
from .records import Loss, Place, Problem

MAX_LISTED: Final = 1000
"""How many problems, failures, changes and kinds of losses are listed; all are counted."""
MAX_NAME: Final = 512
"""Characters of an id or of the name of a field in a report, at most: those of a source may be of any length."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    Attributes:
        memories: how many are done.
        total: how many there are; None if that is not known.
        fraction: how much is done, from 0 to 1; None if that is not known.
    """

    memories: int
    total: int | None = None
    fraction: float | None = None

    @property
    def expected(self) -> int | None:
        """How many there are, as far as that can be told."""
        return round(self.memories / self.fraction) if self.total is None and self.fraction else self.total


OnProgress: TypeAlias = Callable[[Progress], None]
"""Called after each part of a transfer. An `OMPError` that it raises ends the transfer: an import tells it as
`ImportReport.stopped`, and an export raises it."""


@dataclass(slots=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        memories, users, audit: how many memories, users with memories, and entries of the audit log.
        sha256: digest of the lines between the first and the last one.
        consistent: whether all is of one moment.
        audit_cut: users of whose audit log only the newest 1,000 entries could be read, since the backend has no pages.
    """

    memories: int = 0
    users: int = 0
    audit: int = 0
    sha256: str = ""
    consistent: bool = False
    audit_cut: int = 0

    def to_json(self) -> dict[str, Any]:
        """All of it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class LossCount:
    """A loss that many records have.

    Attributes:
        count: how many.
        first: where the first one is.
    """

    count: int = 0
    first: Place | None = None


@dataclass(slots=True)
class ImportReport:
    """What an import, a migration or a verification found.

    Attributes:
        dry_run: whether nothing was written, and `written` is what would have been.
        read: records that the source holds, as far as it was read.
        written: those that were stored.
        equal: those that were there already.
        changed: those that were there already with other values, and stayed as they were there.
        invalid: parts of the source that are no valid memory.
        failed: records that the backend refused.
        expired: records whose memories have expired, and were left out.
        extra: memories that only the target has, of the users of the source; None if it was not asked.
        renamed: records that have another id there than in the source.
        queued: those of `written` that the backend processes later. A search does not find them until then.
        stopped: the error with which it ended before the source did; None if it did not.
        problems: the first of what is invalid or failed.
        changes: the first of what has other values, with the names of the fields.
        losses: what is not carried over, by field and reason.
    """

    dry_run: bool = False
    read: int = 0
    written: int = 0
    equal: int = 0
    changed: int = 0
    invalid: int = 0
    failed: int = 0
    renamed: int = 0
    expired: int = 0
    queued: int = 0
    extra: int | None = None
    stopped: OMPError | None = None
    problems: list[Problem] = field(default_factory=list)
    changes: list[tuple[Place, tuple[str, ...]]] = field(default_factory=list)
    losses: dict[tuple[str, str], LossCount] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether all of the source is in the target, but for what `losses` says."""
        return not (self.invalid or self.failed or self.changed or self.stopped)

    def note_invalid(self, problem: Problem) -> None:
        """Count a part of the source that is no valid memory."""
        self.invalid += 1
        self._list(problem)

    def note_failed(self, problem: Problem) -> None:
        """Count a record that the backend refused."""
        self.failed += 1
        self._list(problem)

    def note_changed(self, place: Place, names: tuple[str, ...]) -> None:
        """Count a record that has other values in the target."""
        self.changed += 1
        if len(self.changes) < MAX_LISTED:
            self.changes.append((place, names))

    def note_loss(self, loss: Loss) -> None:
        """Count a loss."""
        name = loss.field[:MAX_NAME], loss.reason
        if name not in self.losses and len(self.losses) >= MAX_LISTED:
            name = "other fields", "there are too many to list"
        self.losses.setdefault(name, LossCount(first=loss.place)).count += 1

    def lost(self) -> Mapping[str, int]:
        """How many records lost something of a field, by field."""
        counts: dict[str, int] = {}
        for (name, _), counted in self.losses.items():
            counts[name] = counts.get(name, 0) + counted.count
        return counts

    def to_json(self) -> dict[str, Any]:
        """All of it as a JSON object."""
        return {
            "dry_run": self.dry_run,
            "read": self.read,
            "written": self.written,
            "equal": self.equal,
            "changed": self.changed,
            "invalid": self.invalid,
            "failed": self.failed,
            "renamed": self.renamed,
            "expired": self.expired,
            "queued": self.queued,
            "extra": self.extra,
            "stopped": None if self.stopped is None else self.stopped.message,
            "lost": [
                {"field": name, "reason": reason, "count": counted.count, "first": _shown(counted.first)}
                for (name, reason), counted in sorted(self.losses.items())
            ],
            "problems": [
                {"place": str(problem.place), "field": problem.field, "id": problem.source_id, "reason": problem.reason}
                for problem in self.problems
            ],
            "changes": [{"place": str(place), "fields": list(names)} for place, names in self.changes],
        }

    def lines(self) -> Iterator[str]:
        """All of it for people, a line each."""
        is_verification = self.extra is not None
        verb = "missing" if is_verification else "would be written" if self.dry_run else "written"
        kept = "" if is_verification else f", and left as {'it is' if self.changed == 1 else 'they are'}"
        yield f"{self.read} read, {self.written} {verb}, {self.equal} there already"
        for count, one, many in (
            (self.changed, f"there already with other values{kept}", None),
            (self.invalid, "invalid", None),
            (self.failed, "refused by the backend", None),
            (self.expired, "has expired, and was left out", "have expired, and were left out"),
            (self.renamed, "has another id than in the source", "have another id than in the source"),
            (self.queued, "is queued, and can be searched later", "are queued, and can be searched later"),
            (self.extra, "is in the target only", "are in the target only"),
        ):
            if count:
                yield f"{count} {one if count == 1 or many is None else many}"
        for (name, reason), counted in sorted(self.losses.items()):
            yield f"lost: {name} of {counted.count}: {reason}"
        for problem in self.problems:
            subject = f"{problem.field} " if problem.field else ""
            yield f"{problem.place}: {subject}{problem.reason}"
        for place, names in self.changes:
            yield f"{place}: the target has other values of {', '.join(names) or 'some fields'}"
        hidden = self.invalid + self.failed - len(self.problems) + self.changed - len(self.changes)
        if hidden:
            yield f"and {hidden} more"
        if self.stopped is not None:
            yield f"stopped: {self.stopped.message}"

    def _list(self, problem: Problem) -> None:
        if len(self.problems) < MAX_LISTED:
            id = problem.source_id
            self.problems.append(replace(problem, source_id=id[:MAX_NAME]) if id else problem)


def _shown(place: Place | None) -> str | None:
    return None if place is None else str(place)
