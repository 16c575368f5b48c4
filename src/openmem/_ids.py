"""Ids of memories and calls."""

from __future__ import annotations

import hashlib
import random
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ._forking import PerProcess

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH_MS: Final = 1_577_836_800_000
_RANDOM_BITS: Final = 40
_STEP_BITS: Final = 30
_BUCKET_BITS: Final = 10
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_MEMORY_ID: Final = re.compile(f"mem_[{_ALPHABET}]{{18}}")


_chance: Final = PerProcess(random.Random)
_last_numbers = [0]
"""The number in the newest id of this process. Threads at once may overwrite each other's: their order is theirs."""


def new_memory_id(user_id: str) -> str:
    """A fresh id for a memory of `user_id`: ``mem_`` and 18 base-32 characters, of later calls the greater one.

    The first 8 characters are the milliseconds since 2020, which keeps neighbours in time together
    in an index; then come 40 random bits, and last the user's bucket, so that a call that knows no more than
    an id can tell where the memory is. It is short because `context` pays for it in tokens. Of calls in one
    millisecond, or after the clock was set back, each id is the one before and a random number more.
    """
    moment = time.time_ns() // 1_000_000 - _EPOCH_MS
    number = moment << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    if number <= _last_numbers[0]:
        number = _last_numbers[0] + 1 + secrets.randbits(_STEP_BITS)
    _last_numbers[0] = number
    return _id_of(number, user_id)


def memory_id_of(user_id: str, key: str) -> str:
    """The id for the memory of `user_id` that `key` stands for: always the same one, and another for each user.

    It is of the same form as those of `new_memory_id`, but says nothing about time.
    """
    digest = hashlib.sha256(f"{key} {user_id}".encode()).digest()
    return _id_of(int.from_bytes(digest[:10]), user_id)


def _id_of(number: int, user_id: str) -> str:
    value = number << _BUCKET_BITS | bucket_of(user_id)
    return "mem_" + "".join([_PAIRS[value >> shift & 1023] for shift in range(80, -10, -10)])


@lru_cache(4096)
def bucket_of(user_id: str) -> int:
    """The bucket of a user, 0 to 1023: the first 10 bits of the SHA-256 of the id in UTF-8.

    Databases can be partitioned by it; it never changes.
    """
    return int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:2]) >> 16 - _BUCKET_BITS


def bucket_in(memory_id: str) -> int | None:
    """The bucket of the user a memory belongs to, read from its id; None if no memory can have this id."""
    if not _MEMORY_ID.fullmatch(memory_id):
        return None
    return _ALPHABET.index(memory_id[-2]) << 5 | _ALPHABET.index(memory_id[-1])


def new_memory_ids(user_ids: Sequence[str]) -> list[str]:
    """Fresh ids for memories of these users, ascending among those of one user."""
    ids = [new_memory_id(user_id) for user_id in user_ids]
    by_user: defaultdict[str, list[str]] = defaultdict(list)
    for user_id, id in zip(user_ids, ids, strict=True):
        by_user[user_id].append(id)
    ascending = {user_id: iter(sorted(own)) for user_id, own in by_user.items()}
    return [next(ascending[user_id]) for user_id in user_ids]


def new_request_id() -> str:
    """A fresh id for one call of a verb: 32 hexadecimal digits. It is no secret, so its numbers need not come from the
    system, which takes longer."""
    return f"{_chance.get().getrandbits(128):032x}"
