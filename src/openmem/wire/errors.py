"""The protocol's error object: which error has which code and status, and how a client reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .._retrying import retry_after
from ..errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    ScopeDeniedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
)
from ..ports.http import HttpResponse
from .reply_json import Json, parse_json

MAX_MESSAGE_CHARACTERS: Final = 1000
MAX_LABEL_CHARACTERS: Final = 128
MAX_RETRY_AFTER_SECONDS: Final = 86_400.0

STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "unsupported_capability": 400,
    "unauthorized": 401,
    "scope_denied": 403,
    "not_found": 404,
    "conflict": 409,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "rate_limited": 429,
    "internal_error": 500,
    "provider_error": 502,
    "provider_unavailable": 503,
    "ingestion_timeout": 504,
}

_ERROR_OF_CODE: Final[Mapping[str, type[OMPError]]] = {
    "invalid_request": InvalidRequestError,
    "payload_too_large": InvalidRequestError,
    "unsupported_capability": UnsupportedCapabilityError,
    "unauthorized": UnauthorizedError,
    "scope_denied": ScopeDeniedError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "rate_limited": RateLimitedError,
    "provider_error": ProviderError,
    "provider_unavailable": ProviderError,
    "ingestion_timeout": ProviderError,
}

_CODE_OF_STATUS: Final[Mapping[int, str]] = {
    400: "invalid_request",
    401: "unauthorized",
    403: "scope_denied",
    404: "not_found",
    413: "payload_too_large",
    422: "invalid_request",
    429: "rate_limited",
    503: "provider_unavailable",
    504: "provider_unavailable",
}


def error_body(error: OMPError) -> Json:
    """The JSON envelope of an error."""
    fields = {
        "code": error.code,
        "message": error.message,
        "type": error.type,
        "provider": error.provider,
        "request_id": error.request_id,
    }
    return {"error": {name: value for name, value in fields.items() if value is not None}}


def decode_error(response: HttpResponse) -> OMPError:
    """The exception for a response that is not a success.

    What the server says of it is trusted as little as the rest: the code is one of the protocol's, texts have a
    bounded length and no control characters.
    """
    try:
        envelope = parse_json(response.content)["error"]
        code, message = envelope["code"], _plain(envelope["message"], MAX_MESSAGE_CHARACTERS)
        if code not in _ERROR_OF_CODE or not message:
            code, message = "provider_error", message or _unexplained(response)
    except (ValueError, KeyError, TypeError):
        envelope = {}
        code, message = _CODE_OF_STATUS.get(response.status, "provider_error"), _unexplained(response)
        if code in ("invalid_request", "not_found"):
            code = "provider_error"
    error = _ERROR_OF_CODE[code](
        message,
        code=code,
        provider=_plain(envelope.get("provider"), MAX_LABEL_CHARACTERS),
        request_id=_plain(envelope.get("request_id") or response.headers.get("x-request-id"), MAX_LABEL_CHARACTERS),
    )
    if isinstance(error, RateLimitedError):
        error.retry_after = asked_to_wait(response)
    return error


def asked_to_wait(response: HttpResponse) -> float | None:
    """Seconds that the server asks to wait before the next try, at most a day; None if it does not ask."""
    seconds = retry_after(response.headers.get("retry-after"))
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER_SECONDS)


def _plain(text: object, length: int) -> str | None:
    """A text of the server's, on one line and of at most `length` characters; None if it is none."""
    if not isinstance(text, str):
        return None
    line = " ".join("".join(character if character.isprintable() else " " for character in text[:length]).split())
    return line if len(text) <= length else f"{line}…"


def _unexplained(response: HttpResponse) -> str:
    message = f"the server answered {response.status} without the protocol's error object"
    if 300 <= response.status < 400:
        message += "; redirects are not followed, so give the final address as base_url"
    return message
