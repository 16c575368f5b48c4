"""The rule of validity that updates keep."""

from __future__ import annotations

from datetime import datetime

from ..errors import InvalidRequestError
from ..operations import Update


def check_order(op: Update, valid_from: datetime | None, valid_to: datetime | None) -> None:
    """Refuse an update after which a validity would end before it begins.

    Args:
        valid_from, valid_to: those of the memory as it was.
    """
    if op.changes.isdisjoint({"valid_from", "valid_to"}):
        return
    begin = op.valid_from if "valid_from" in op.changes else valid_from
    end = op.valid_to if "valid_to" in op.changes else valid_to
    if begin is None or end is None or begin <= end:
        return
    if "valid_to" in op.changes:
        raise InvalidRequestError(f"valid_to: {end.isoformat()} is before the memory's valid_from {begin.isoformat()}")
    raise InvalidRequestError(f"valid_from: {begin.isoformat()} is after the memory's valid_to {end.isoformat()}")
