"""Opaque cursors: the position of the last memory or user seen, bound to the query it belongs to."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from ._text import check_text
from .errors import InvalidRequestError
from .models import as_utc
from .selection import Position


def encode_cursor(fingerprint: str, position: Position) -> str:
    """The cursor for the page behind `position`.

    Args:
        fingerprint: a digest of the query, the same for all of its pages.
    """
    return _encode(fingerprint, position.moment.isoformat(), position.id)


def decode_cursor(cursor: str, fingerprint: str) -> Position:
    """The position in a cursor.

    Args:
        fingerprint: a digest of the query that comes with it.

    Raises:
        InvalidRequestError: the cursor is malformed, or was made by another query.
    """
    try:
        encoded, moment, id = _decode(cursor)
        position = Position(as_utc(datetime.fromisoformat(moment)), check_text(id))
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError):
        raise malformed_cursor() from None
    _check_fingerprint(encoded, fingerprint)
    return position


def encode_user_cursor(fingerprint: str, user_id: str) -> str:
    """The cursor for the page of users behind `user_id`."""
    return _encode(fingerprint, user_id)


def decode_user_cursor(cursor: str, fingerprint: str) -> str:
    """The user in such a cursor.

    Raises:
        InvalidRequestError: the cursor is malformed, or was made by another query.
    """
    try:
        encoded, user_id = _decode(cursor)
        checked = check_text(user_id)
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError):
        raise malformed_cursor() from None
    _check_fingerprint(encoded, fingerprint)
    return checked


def _encode(*parts: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _decode(cursor: str) -> Any:
    return json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))


def malformed_cursor() -> InvalidRequestError:
    """The error for what is no cursor."""
    return InvalidRequestError(
        "cursor: this is not a cursor of this verb and backend; pass next_cursor of the previous page unchanged"
    )


def _check_fingerprint(encoded: str, fingerprint: str) -> None:
    if encoded != fingerprint:
        raise InvalidRequestError(
            "cursor: it belongs to a list of another user or with other filters; repeat the arguments of the first page"
        )
