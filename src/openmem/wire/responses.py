"""What a server's response means: the result of a verb, an error, or no OMP server at all."""

from __future__ import annotations

from typing import TypeVar

from ..errors import ProviderError
from ..models import Capabilities
from ..ports.http import HttpResponse
from .errors import decode_error
from .reply_json import parse_json
from .route import Route

R = TypeVar("R")


def decode_reply(route: Route[R], response: HttpResponse) -> R:
    """The result in a response.

    Raises:
        OMPError: the error the server reports, as a local provider would raise it, or a
            `ProviderError` for a reply that is not the protocol's.
    """
    if response.status != route.status:
        raise decode_error(response)
    if route.is_empty:
        return route.reply.decode(None)
    try:
        reply = parse_json(response.content)
    except ValueError as error:
        raise _not_omp(response, f"its reply {error}") from None
    try:
        return route.reply.decode(reply)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise _not_omp(response, f"its reply to {route.method} {route.path} has the wrong shape") from None


def decode_capabilities(response: HttpResponse) -> Capabilities | None:
    """The capabilities in a reply; None if it is not the reply of an OMP server."""
    try:
        reply = parse_json(response.content)
        if response.status == 200 and "omp_version" in reply:
            return Capabilities.model_validate(reply)
    except (ValueError, TypeError, OverflowError):
        pass
    return None


def _not_omp(response: HttpResponse, what: str) -> ProviderError:
    return ProviderError(
        f"this is no OMP server, or a proxy answered for it: {what} (status {response.status}); check base_url"
    )
