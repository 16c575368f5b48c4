"""The errors that calls of a vendor's SDK end with, in the words of openmem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import (
    InvalidRequestError,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    UnauthorizedError,
    unavailable,
)
from ...ports.errors import ConnectionFailedError

MAX_QUOTED_CHARACTERS = 300
"""Characters of a backend's own words that a message shows."""


class ServiceUnavailableError(ConnectionFailedError):
    """The backend asks to come back later.

    Attributes:
        retry_after: seconds to wait before the next try, when the backend said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class VendorErrors:
    """Makes the errors about one vendor's backend.

    Attributes:
        vendor: the vendor's name as people write it.
        timeout: seconds that the SDK waits for each part of a reply.
    """

    vendor: str
    timeout: float

    def from_status(self, status: int, detail: str, retry_after: float | None = None) -> OMPError:
        """The error for a reply with this HTTP status.

        Args:
            detail: what the backend said.
            retry_after: seconds it asked to wait.
        """
        message = f"{self.vendor} answered {status}: {shorten(detail)}"
        match status:
            case 400 | 413 | 422:
                return InvalidRequestError(message)
            case 401 | 403:
                return UnauthorizedError(f"{message}; check api_key")
            case 404:
                return NotFoundError(message)
            case 429:
                return RateLimitedError(message, retry_after=retry_after)
            case 503:
                return ServiceUnavailableError(message, retry_after=retry_after)
            case 408 | 502 | 504:
                return unavailable(message)
        return ProviderError(message)

    def unreachable(self, detail: str) -> ConnectionFailedError:
        """The error for a connection that could not be made, or broke."""
        return ConnectionFailedError(f"the connection to {self.vendor} failed: {shorten(detail)}")

    def timed_out(self) -> ProviderError:
        """The error for an answer that did not come in time."""
        return unavailable(f"{self.vendor} did not answer within {self.timeout:g} s")

    def malformed(self, what: str) -> ProviderError:
        """The error for an answer that is not what the SDK promises.

        Args:
            what: the answer in words, as in ``"no 'id' where one was expected"``.
        """
        return ProviderError(f"{self.vendor} answered with {what}")


def collapse_whitespace(text: str) -> str:
    """`text` on one line, with single spaces between words."""
    return " ".join(text.split())


def shorten(text: str, length: int = MAX_QUOTED_CHARACTERS) -> str:
    """`text` on one line, of at most `length` characters."""
    line = collapse_whitespace(text)
    return line if len(line) <= length else line[: length - 1] + "…"
