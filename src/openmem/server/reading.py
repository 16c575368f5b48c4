"""From an HTTP request to an operation, with every ambiguity refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request

from ..errors import InvalidRequestError
from ..operations import Operation
from ..routes import USER_ID_HEADER, Route
from .config import OmpServerConfig
from .errors import PayloadTooLargeError

MAX_HEADER_BYTES = 32 * 1024
MAX_QUERY_BYTES = 128 * 1024
MAX_HEAD_BYTES = MAX_HEADER_BYTES + MAX_QUERY_BYTES


class ClientGoneError(Exception):
    """The client closed the connection; nobody will read an answer."""


async def read_operation(route: Route[Any], id: str | None, request: Request, config: OmpServerConfig) -> Operation:
    """The operation a request carries.

    Raises:
        InvalidRequestError: the request is malformed, contradicts itself, or a field is wrong.
        PayloadTooLargeError: the body is over the limit; it was not read to its end.
        ClientGoneError: the client went away before the body was complete.
    """
    query = _single_values(request)
    body: dict[str, Any] | None = None
    if route.place == "body":
        body = _json_object(request, await _read_body(request, config.max_body_bytes, config.read_timeout))
    fields = query if body is None else body
    if "user_id" in route.operation_type.model_fields:
        _merge_user_id(fields, query, user_of_header(request))
    if route.operation_type.is_large:
        return await asyncio.to_thread(route.operation, id, query, body)
    return route.operation(id, query, body)


def user_of_header(request: Request) -> str | None:
    """The user in the header ``X-User-Id``, in which any but ASCII letters may be percent-encoded UTF-8.

    Raises:
        InvalidRequestError: there are several, or it is not UTF-8.
    """
    return _text_header(request, USER_ID_HEADER)


def _text_header(request: Request, name: str) -> str | None:
    values = set(request.headers.getlist(name))
    if not values:
        return None
    if len(values) > 1:
        raise InvalidRequestError(f"{name}: it is given twice, with different values")
    try:
        return unquote_to_bytes(values.pop().encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{name}: it is not percent-encoded UTF-8") from None


def app_of_header(request: Request, name: str) -> str | None:
    """The calling application's name in the header `name`, in the same encoding.

    Raises:
        InvalidRequestError: it is no usable name.
    """
    app = _text_header(request, name)
    if app is not None and (not app.strip() or len(app) > 128 or not app.isprintable()):
        raise InvalidRequestError(f"{name}: it is not a name of 1 to 128 printable characters")
    return app


def _single_values(request: Request) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if values.setdefault(name, value) != value:
            raise InvalidRequestError(f"{name[:80]}: the query string has it twice, with different values")
    return values


def _merge_user_id(fields: dict[str, Any], query: Mapping[str, str], header: str | None) -> None:
    """Take ``user_id`` from where it is given, and from nowhere if the places disagree."""
    for value in (query.get("user_id"), header):
        if value is not None and fields.setdefault("user_id", value) != value:
            raise InvalidRequestError(
                f"user_id: it is given twice, with different values; look at the query and at {USER_ID_HEADER}"
            )


async def _read_body(request: Request, max_bytes: int, timeout: float) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(timeout):
            async for chunk in request.stream():
                total += len(chunk)
                if total > max_bytes:
                    raise _too_large(max_bytes)
                chunks.append(chunk)
    except TimeoutError:
        raise InvalidRequestError(f"the body did not arrive within {timeout:g} s") from None
    except ClientDisconnect:
        raise ClientGoneError from None
    return b"".join(chunks)


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"the body is over the limit of {max_bytes} bytes; send less at a time")


def _json_object(request: Request, body: bytes) -> dict[str, Any]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise InvalidRequestError(f"Content-Type: {media_type[:80]!r} is not 'application/json'")
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidRequestError("the body is nested too deeply") from None
    except ValueError as error:
        raise InvalidRequestError(f"the body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidRequestError("the body is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
