"""Opaque list cursors: the position of the last memory seen, bound to the query it belongs to."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime

from ._text import check_text
from .errors import InvalidRequestError
from .models import as_utc
from .selection import Position


def encode_cursor(fingerprint: str, position: Position) -> str:
    """The cursor for the page behind `position`.

    Args:
        fingerprint: a digest of the query, the same for all of its pages.
    """
    payload = json.dumps([fingerprint, position.moment.isoformat(), position.id])
    return base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, fingerprint: str) -> Position:
    """The position in a cursor.

    Args:
        fingerprint: a digest of the query that comes with it.

    Raises:
        InvalidRequestError: the cursor is malformed, or was made by another query.
    """
    try:
        payload = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        encoded, moment, id = json.loads(payload)
        position = Position(as_utc(datetime.fromisoformat(moment)), check_text(id))
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError):
        raise InvalidRequestError(
            "cursor: this is not a cursor; pass next_cursor of the previous page unchanged"
        ) from None
    if encoded != fingerprint:
        raise InvalidRequestError(
            "cursor: it belongs to a list of another user or with other filters; repeat the arguments of the first page"
        )
    return position
