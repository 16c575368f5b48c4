"""Rules about memories that supersede others, for backends that do not apply them by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ..errors import ConflictError, InvalidRequestError
from ..models import MemoryRecord
from ..operations import Add, Update


def check_not_ended(op: Add | Update, superseded: Iterable[MemoryRecord], now: datetime) -> None:
    """Hold what a write supersedes anew against what is stored.

    Raises:
        ConflictError: one of the memories has ended already, and the caller does not allow that.
    """
    never = datetime.min.replace(tzinfo=UTC)
    ended = [
        record.id
        for record in superseded
        if record.valid_to is not None and record.valid_to <= max(now, record.valid_from or never)
    ]
    if ended and not op.supersede_ended:
        raise has_ended(ended)


def has_ended(ids: Iterable[str]) -> ConflictError:
    """The error for a write that supersedes memories which have ended already."""
    return ConflictError(
        f"supersedes: {', '.join(map(repr, sorted(ids)))} ended before, so that this would be a second replacement; "
        "nothing was written. Read what is current and replace that, or set supersede_ended to true"
    )


def unknown_superseded(ids: Iterable[str]) -> InvalidRequestError:
    """The error for a write that supersedes memories the user does not have, or the caller may not write."""
    return InvalidRequestError(
        f"supersedes: this user has no memory {', '.join(map(repr, sorted(ids)))}; nothing was written"
    )


def related(first: MemoryRecord, known: Mapping[str, MemoryRecord]) -> Sequence[MemoryRecord]:
    """A memory with all that it superseded and all that superseded it.

    Args:
        known: all memories of its user, by id.
    """
    superseded = {id: record.supersedes or () for id, record in known.items()}
    superseding: defaultdict[str, list[str]] = defaultdict(list)
    for id, named in superseded.items():
        for other in named:
            superseding[other].append(id)
    ids = _reachable(first.id, superseded) | _reachable(first.id, superseding)
    return [known[id] for id in ids if id in known]


def without_names(record: MemoryRecord, is_readable: Mapping[str, bool]) -> MemoryRecord:
    """`record` without the names of superseded memories that the caller may not read.

    Args:
        is_readable: whether it may, by id; what is not in it, it may not.
    """
    if not record.supersedes or all(is_readable.get(id, False) for id in record.supersedes):
        return record
    named = [id for id in record.supersedes if is_readable.get(id, False)]
    return record.model_copy(update={"supersedes": named or None})


def _reachable(id: str, steps: Mapping[str, Sequence[str]]) -> set[str]:
    """The ids that steps lead to from one, and this one."""
    reached, ahead = {id}, [id]
    while ahead:
        ahead = [to for one in ahead for to in steps.get(one, ()) if to not in reached]
        reached |= set(ahead)
    return reached
