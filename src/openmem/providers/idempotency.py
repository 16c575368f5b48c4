"""Rules about idempotency keys: how they are kept, and the errors for keys that do not fit."""

from __future__ import annotations

import hashlib

from ..errors import InvalidRequestError


def hashed(idempotency_key: str) -> str:
    """An idempotency key in a form of bounded length that tells nothing."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest()


def key_reused() -> InvalidRequestError:
    """The error for an idempotency key that comes with another memory than the first time."""
    return InvalidRequestError("Idempotency-Key: it was used with another body before; make a new key for each memory")


def memory_deleted_since(id: str) -> InvalidRequestError:
    """The error for an idempotency key whose memory is there no more."""
    return InvalidRequestError(f"Idempotency-Key: memory {id!r} was added with it, and deleted since")
