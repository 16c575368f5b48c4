"""Opaque list cursors: the position of the last item seen, bound to the query it belongs to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import datetime
from typing import NamedTuple

from ._text import check_text
from .errors import InvalidRequestError
from .models import as_utc
from .operations import List


class Position(NamedTuple):
    """Where a page ended: the sort key of its last memory."""

    created_at: datetime
    id: str


def encode_cursor(op: List, position: Position) -> str:
    """The cursor for the page behind `position` of the list `op`."""
    payload = json.dumps([_fingerprint(op), position.created_at.isoformat(), position.id])
    return base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")


def decode_cursor(op: List) -> Position | None:
    """The position in `op.cursor`; None on the first page.

    Raises:
        InvalidRequestError: the cursor is malformed, or was made by a list with other filters.
    """
    if op.cursor is None:
        return None
    try:
        payload = base64.b64decode(op.cursor + "=" * (-len(op.cursor) % 4), altchars=b"-_", validate=True)
        fingerprint, created_at, id = json.loads(payload)
        position = Position(as_utc(datetime.fromisoformat(created_at)), check_text(id))
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError):
        raise InvalidRequestError(
            "cursor: this is not a cursor; pass next_cursor of the previous page unchanged"
        ) from None
    if fingerprint != _fingerprint(op):
        raise InvalidRequestError(
            "cursor: it belongs to a list of another user or with other filters; repeat the arguments of the first page"
        )
    return position


def _fingerprint(op: List) -> str:
    query = op.model_dump_json(exclude={"cursor", "limit"})
    return hashlib.blake2b(query.encode(), digest_size=9).hexdigest()
