"""The ids of memories in Letta."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_PREFIX: Final = "mem_"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PassageId:
    """All that is needed to find a memory. Its text, `str(id)`, is the memory's id.

    Attributes:
        archive: id of the archive.
        passage: id of the passage.
        created_at: when Letta says it was made, to the microsecond.
    """

    archive: str
    passage: str
    created_at: datetime

    def __str__(self) -> str:
        microseconds = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        packed = (
            _uuid_in(self.archive, "archive")
            + _uuid_in(self.passage, "passage")
            + microseconds.to_bytes(8, "big", signed=True)
        )
        return _PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def parse(cls, id: str) -> PassageId | None:
        """What an id says; None if no memory can have it."""
        try:
            packed = base64.b64decode(id.removeprefix(_PREFIX) + "==", altchars=b"-_", validate=True)
            archive, passage = uuid.UUID(bytes=packed[:16]), uuid.UUID(bytes=packed[16:32])
            moment = _EPOCH + timedelta(microseconds=int.from_bytes(packed[32:], "big", signed=True))
        except (binascii.Error, ValueError, OverflowError):
            return None
        if (archive.version, passage.version) != (4, 4):
            return None
        found = cls(f"archive-{archive}", f"passage-{passage}", moment)
        return found if str(found) == id else None


def _uuid_in(id: str, kind: str) -> bytes:
    prefix, _, rest = id.partition("-")
    parsed = uuid.UUID(rest)
    if prefix != kind or str(parsed) != rest or parsed.version != 4:
        raise ValueError(f"{id!r} is not '{kind}-' and a random UUID")
    return parsed.bytes
