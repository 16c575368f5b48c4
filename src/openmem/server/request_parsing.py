"""From an HTTP request to an operation, with every ambiguity refused."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request

from ..errors import InvalidRequestError
from ..operations import Name, Operation
from ..wire import USER_ID_HEADER
from ..wire.parameters import only
from ..wire.route import Route
from ..wire.strict_json import read_json
from .conditions import FIELD, version_condition
from .config import OmpServerConfig
from .errors import ClientDisconnectedError, PayloadTooLargeError

MAX_HEADER_BYTES = 32 * 1024
MAX_HEADERS = 128
MAX_QUERY_BYTES = 128 * 1024
MAX_HEAD_BYTES = MAX_HEADER_BYTES + MAX_QUERY_BYTES

_NAME: Final = TypeAdapter[str](Name)
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


async def read_operation(route: Route[Any], request: Request, config: OmpServerConfig) -> tuple[Operation, str | None]:
    """The operation a request carries, and the user whose memories alone it may touch if it does not say so itself.

    Raises:
        InvalidRequestError: the request is malformed, contradicts itself, has a parameter that would have no
            effect, or a field is wrong.
        PayloadTooLargeError: the body is over the limit; it was not read to its end.
        ClientDisconnectedError: the client went away before the body was complete.
    """
    query = query_values(request.scope["query_string"])
    body: dict[str, Any] | None = None
    if route.location == "body":
        body = _json_object(request, await read_body(request, config.max_body_bytes, config.read_timeout))
    in_query = query.pop("user_id", None)
    user = _user(None if in_query is None else only("user_id", in_query), _text_header(request, USER_ID_HEADER))
    if user is not None and "user_id" in route.operation_type.model_fields:
        if "user_id" in route.path_parameters:
            same = request.path_params["user_id"] == user
        else:
            same = _set(query, body, "user_id", user)
        if not same:
            raise _two_users()
        user = None
    version = version_condition(route, request)
    if version is not None and not _set(query, body, FIELD, version):
        raise InvalidRequestError(f"{FIELD}: it is given twice, with different values; look at the headers as well")
    if route.operation_type.validate_in_thread:
        return await asyncio.to_thread(route.operation, request.path_params, query, body), user
    return route.operation(request.path_params, query, body), user


def check_path(raw_path: bytes) -> None:
    """Refuse a path in which different texts would become one.

    Raises:
        InvalidRequestError: it is not percent-encoded UTF-8.
    """
    _decoded(raw_path, "the path")


def app_of_header(request: Request, name: str) -> str | None:
    """The calling application's name in the header `name`, in the same encoding as that of the user.

    Raises:
        InvalidRequestError: it is no usable name.
    """
    return _name(_text_header(request, name), name)


def user_of_header(request: Request) -> str | None:
    """The user that the header ``X-User-Id`` names; None if it names none.

    Raises:
        InvalidRequestError: it is no usable name.
    """
    return _name(_text_header(request, USER_ID_HEADER), USER_ID_HEADER)


def _text_header(request: Request, name: str) -> str | None:
    """The text of a header in which any but ASCII characters may be percent-encoded UTF-8."""
    values = set(request.headers.getlist(name))
    if not values:
        return None
    if len(values) > 1:
        raise InvalidRequestError(f"{name}: it is given twice, with different values; give it once")
    return _decoded(values.pop().encode("latin-1"), name)


def query_values(query_string: bytes) -> dict[str, list[str]]:
    """The values of a query string by name, or of a form, which is written alike.

    Raises:
        InvalidRequestError: it is not percent-encoded UTF-8.
    """
    values: dict[str, list[str]] = {}
    for pair in query_string.replace(b"+", b" ").split(b"&"):
        if pair:
            raw_name, _, raw_value = pair.partition(b"=")
            name = _decoded(raw_name, "the query string")
            values.setdefault(name, []).append(_decoded(raw_value, _label(name)))
    return values


def _set(query: dict[str, list[str]], body: dict[str, Any] | None, name: str, value: str | int) -> bool:
    """Whether a field has this value now: it was not given, or is the same."""
    if body is None:
        return query.setdefault(name, [str(value)]) == [str(value)]
    given = body.setdefault(name, value)
    return type(given) is type(value) and given == value


def _decoded(raw: bytes, label: str) -> str:
    """The text in percent-encoded UTF-8.

    Replacing what cannot be decoded, as libraries do, would make one of two users, or of two ids.
    """
    if _BROKEN_ESCAPE.search(raw):
        raise InvalidRequestError(
            f"{label}: a '%' is not followed by two hexadecimal digits; write '%' itself as '%25'"
        )
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"{label}: it is not percent-encoded UTF-8; encode the text as UTF-8, in which 'ü' is '%C3%BC'"
        ) from None


def _label(name: str) -> str:
    return name if name.isascii() and name.isidentifier() and len(name) <= 80 else repr(name[:80])


def _user(in_query: str | None, in_header: str | None) -> str | None:
    if in_query is not None and in_header is not None and in_query != in_header:
        raise _two_users()
    return _name(in_header if in_query is None else in_query, "user_id")


def _name(text: str | None, label: str) -> str | None:
    try:
        return None if text is None else _NAME.validate_python(text)
    except ValidationError as error:
        raise InvalidRequestError(f"{label}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _two_users() -> InvalidRequestError:
    return InvalidRequestError(
        f"user_id: it is given twice, with different values; look at the body, the query string and {USER_ID_HEADER}"
    )


async def read_body(request: Request, max_bytes: int, timeout: float) -> bytes:
    """The body of a request.

    Raises:
        InvalidRequestError: it did not arrive within `timeout` seconds.
        PayloadTooLargeError: it has more than `max_bytes`; it was not read to its end.
        ClientDisconnectedError: the client went away before it was complete.
    """
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
        raise ClientDisconnectedError from None
    return b"".join(chunks)


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"the body is over the limit of {max_bytes} bytes; send less at a time")


def _json_object(request: Request, body: bytes) -> dict[str, Any]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise InvalidRequestError(f"Content-Type: {media_type[:80]!r} is not 'application/json'")
    charset = request.headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise InvalidRequestError(f"Content-Type: {charset[:80]!r} is not the encoding of JSON; send UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidRequestError("Content-Encoding: bodies are not decompressed; send the JSON as it is")
    try:
        value = read_json(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"the body is not UTF-8 at byte {error.start}; JSON is sent as UTF-8") from None
    except ValueError as error:
        raise InvalidRequestError(f"the body {error}") from None
    if not isinstance(value, dict):
        raise InvalidRequestError("the body is not a JSON object")
    return value
