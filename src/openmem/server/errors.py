"""Errors that only the server raises, and how any error becomes a response."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping

from starlette.responses import Response

from ..errors import InvalidRequestError, OMPError, ProviderError, RateLimitedError, UnauthorizedError, origin
from ..wire.errors import STATUS_OF_CODE, error_body

logger = logging.getLogger("openmem.server")


class ClientDisconnectedError(Exception):
    """The client closed the connection; nobody will read an answer."""


class MethodNotAllowedError(InvalidRequestError):
    """The path has no such method."""

    default_code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class PayloadTooLargeError(InvalidRequestError):
    """The body is over the server's limit."""

    default_code = "payload_too_large"


class ServerBusyError(ProviderError):
    """The server works on as many requests as it may."""

    default_code = "provider_unavailable"
    retry_after = 1


class KeyRefusedError(UnauthorizedError):
    """The request's API key is missing or not good."""


class InternalError(OMPError):
    """A defect of the server; only the log says what it was."""

    default_code = "internal_error"
    default_type = "internal"


def error_response(error: BaseException, request_id: str) -> Response:
    """The response for an error, as much of it as the client may know."""
    shown = for_clients(error, request_id)
    shown.request_id = request_id
    response = Response(
        json.dumps(error_body(shown)), STATUS_OF_CODE.get(shown.code, 502), media_type="application/json"
    )
    response.headers.update(headers_of(shown))
    return response


def headers_of(error: OMPError) -> Mapping[str, str]:
    """The headers that go with an error."""
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": error.allowed}
    if isinstance(error, KeyRefusedError):
        return {"WWW-Authenticate": "Bearer"}
    retry_after = getattr(error, "retry_after", None)
    if isinstance(error, RateLimitedError) or retry_after is not None:
        return {"Retry-After": str(max(1, math.ceil(retry_after or 1)))}
    return {}


def for_clients(error: BaseException, request_id: str) -> OMPError:
    """The error to show: those of the backend name hosts and accounts, which clients need not know."""
    match error:
        case ServerBusyError() | KeyRefusedError():
            return error
        case ProviderError(code="provider_unavailable"):
            logger.warning("request %s: %s", request_id, error.message)
            return ProviderError(
                "the backend is not available; try again later", code=error.code, provider=error.provider
            )
        case ProviderError(code="ingestion_timeout"):
            return error
        case ProviderError() | UnauthorizedError():
            logger.error("request %s: the backend failed: %s", request_id, origin(error))
            return ProviderError(
                "the backend failed; the server's log tells more under this request id", provider=error.provider
            )
        case OMPError():
            return error
    logger.error("request %s: internal error: %s", request_id, origin(error))
    return InternalError("internal error; the server's log tells more under this request id")
