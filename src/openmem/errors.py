"""Every exception openmem raises.

::

    OMPError
    ├── UnauthorizedError             the backend refused the credentials
    ├── ScopeDeniedError              the client's grants do not cover the verb and scope
    ├── NotFoundError                 no memory with this id
    ├── ConflictError                 what is stored has changed; nothing was written
    ├── InvalidRequestError           an argument was refused before anything was sent
    │   └── UnsupportedProviderError  no provider with this name
    ├── RateLimitedError              too many requests; see ``retry_after``
    ├── UnsupportedCapabilityError    the provider does not have this verb or feature
    └── ProviderError                 the backend failed (``code`` says how)

The driver's or vendor's own exception is the ``__cause__``. Misuse of an object's life cycle
(closed, wrong event loop) is ``RuntimeError``, outside this tree.
"""

from __future__ import annotations

import traceback
from copy import copy
from typing import ClassVar, TypeVar


class OMPError(Exception):
    """Base of all errors of the Open Memory Protocol.

    Attributes:
        message: what was wrong, which value, what to do.
        code: machine-readable cause, for example ``not_found``.
        type: family of the code: ``auth``, ``not_found``, ``conflict``, ``invalid``, ``rate_limit`` or
            ``provider``.
        provider: name of the provider that failed, when one was involved.
        request_id: id of the failed call, the same as in the audit log.
    """

    default_code: ClassVar[str] = "provider_error"
    default_type: ClassVar[str] = "provider"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.type = type or self.default_type
        self.provider = provider
        self.request_id = request_id

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.__class__, self.message, self.__dict__))


def _rebuild(cls: type[OMPError], message: str, state: dict[str, object]) -> OMPError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class UnauthorizedError(OMPError):
    """The credentials are missing, wrong or expired."""

    default_code = "unauthorized"
    default_type = "auth"


class ScopeDeniedError(OMPError):
    """The client's grants do not allow this verb on this scope."""

    default_code = "scope_denied"
    default_type = "auth"


class NotFoundError(OMPError):
    """There is no memory with this id, or none this client may know of."""

    default_code = "not_found"
    default_type = "not_found"


class ConflictError(OMPError):
    """The stored memories are not in the state that the call expects. Nothing was written.

    `add`, `add_many` and `update` raise it where `supersedes` names a memory that has ended already, for
    example because another caller has replaced it. Read the current memories, and decide anew.
    """

    default_code = "conflict"
    default_type = "conflict"


class InvalidRequestError(OMPError):
    """An argument is wrong; the message names the field. Nothing was sent or written."""

    default_code = "invalid_request"
    default_type = "invalid"


class UnsupportedProviderError(InvalidRequestError):
    """No built-in or installed provider has this name."""


class RateLimitedError(OMPError):
    """The backend asks to slow down.

    Attributes:
        retry_after: seconds to wait before the next try, when the backend said so.
    """

    default_code = "rate_limited"
    default_type = "rate_limit"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        code: str | None = None,
        type: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, type=type, provider=provider, request_id=request_id)
        self.retry_after = retry_after


class UnsupportedCapabilityError(OMPError):
    """The provider does not have this verb or feature; nothing was sent."""

    default_code = "unsupported_capability"
    default_type = "invalid"


class ProviderError(OMPError):
    """The backend failed.

    ``code`` is ``provider_error``, ``provider_unavailable`` (unreachable, shutting down, or no free
    connection within the time-out; worth a retry) or ``ingestion_timeout``.
    """


E = TypeVar("E", bound=OMPError)


def copied(error: E) -> E:
    """The same error for another caller, on which its own request id can be written."""
    own = copy(error)
    own.__cause__ = error.__cause__
    return own


def unavailable(message: str) -> ProviderError:
    """A `ProviderError` that a later retry may cure."""
    return ProviderError(message, code="provider_unavailable")


def origin(error: BaseException) -> str:
    """Types and stack frames of an error and its causes for a log, without any message, since those hold values."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < 5:
        frames = traceback.extract_tb(current.__traceback__)[-6:]
        stack = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        state = getattr(current, "sqlstate", None)
        kind = type(current).__qualname__ + (f" (SQLSTATE {state})" if state else "")
        parts.append(f"{kind} at {stack}")
        current = current.__cause__ or current.__context__
    return "; caused by ".join(parts)
