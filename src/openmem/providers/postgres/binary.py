"""Values as PostgreSQL's types receive them in binary, and rows of them in the format of its COPY. Pure.

A row is the number of its fields and then each field, led by its length in bytes. All numbers are big-endian.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ...errors import ProviderError
from ...ports.postgres import HalfVector
from .retrieval.layout import LEXEME_IDS

_START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_TEXT_OID: Final = 25
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_pack_length = struct.Struct(">i").pack
_pack_count = struct.Struct(">h").pack


def copy_payload(rows: Iterable[Sequence[bytes | None]]) -> bytes:
    """What COPY reads: rows of received values, where None is NULL."""
    parts = [_START]
    for row in rows:
        parts.append(_pack_count(len(row)))
        for value in row:
            if value is None:
                parts.append(_NULL)
            else:
                parts += _pack_length(len(value)), value
    parts.append(_END)
    return b"".join(parts)


def text(value: str) -> bytes:
    """A value of ``text``, and of ``json``."""
    return value.encode()


def jsonb(value: str) -> bytes:
    """A value of ``jsonb``: the version of the format, and the text."""
    return b"\1" + value.encode()


def boolean(value: bool) -> bytes:
    """A value of ``boolean``."""
    return b"\1" if value else b"\0"


def text_array(values: Sequence[str]) -> bytes:
    """A value of ``text[]``."""
    if not values:
        return struct.pack(">iii", 0, 0, _TEXT_OID)
    parts = [struct.pack(">iiiii", 1, 0, _TEXT_OID, len(values), 1)]
    for value in values:
        data = value.encode()
        parts += _pack_length(len(data)), data
    return b"".join(parts)


def timestamp(moment: datetime) -> bytes:
    """A value of ``timestamptz``: microseconds since the year 2000."""
    return struct.pack(">q", (moment - _EPOCH) // _MICROSECOND)


def number(value: float) -> bytes:
    """A value of ``float8``."""
    return struct.pack(">d", value)


def whole_number(value: int) -> bytes:
    """A value of ``int``."""
    return _pack_length(value)


def small_number(value: int) -> bytes:
    """A value of ``smallint``."""
    return _pack_count(value)


def half_vector(vector: Sequence[float]) -> HalfVector:
    """A value of ``halfvec``, from finite numbers.

    Raises:
        ProviderError: a number is beyond what half precision can hold.
    """
    try:
        return HalfVector(struct.pack(f">hh{len(vector)}e", len(vector), 0, *vector))
    except OverflowError:
        raise ProviderError(
            f"the embedder returned {max(vector, key=abs)!r}, which is beyond the largest number "
            "of a stored vector, 65504"
        ) from None


def sparse_vector(ids: Sequence[int]) -> bytes:
    """A value of ``sparsevec`` of ones, from their positions in ascending order, which are counted from 1."""
    count = len(ids)
    return struct.pack(
        f">iii{count}i{count}f", LEXEME_IDS, count, 0, *(id - 1 for id in ids), *itertools.repeat(1.0, count)
    )
