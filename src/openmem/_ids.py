"""Ids of memories and calls."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH_MS: Final = 1_577_836_800_000


def new_memory_id() -> str:
    """A fresh id: ``mem_`` and 18 base-32 characters, of later calls the greater one.

    The first 8 characters are the milliseconds since 2020, which keeps neighbours in time together
    in an index; the other 10 are 50 random bits. It is short because `context` pays for it in tokens.
    """
    value = (time.time_ns() // 1_000_000 - _EPOCH_MS) << 50 | secrets.randbits(50)
    digits = [_ALPHABET[value >> shift & 31] for shift in range(85, -5, -5)]
    return "mem_" + "".join(digits)


def new_request_id() -> str:
    """A fresh id for one call of a verb."""
    return uuid.uuid4().hex
