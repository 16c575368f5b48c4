"""What happens to every request: an id, a line in the access log, security headers, admission, errors."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._ids import new_request_id
from .._network import is_loopback
from ..errors import InvalidRequestError, ScopeDeniedError
from ..wire import CAPABILITIES_PATH, HEALTH_PATH, REQUEST_ID_HEADER
from .errors import ClientDisconnectedError, ServerBusyError, error_response
from .keys import ANYONE, KeyRing, Principal
from .limits import InFlight, RateLimit
from .request_parsing import MAX_HEADER_BYTES, MAX_HEADERS, MAX_QUERY_BYTES, check_path
from .telemetry import OTHER, Metrics, available_tracing, tracing

OPENAPI_PATH: Final = "/openapi.json"
REFERENCE_PATH: Final = "/docs"
OPEN_PATHS: Final = frozenset({CAPABILITIES_PATH, HEALTH_PATH, OPENAPI_PATH, REFERENCE_PATH})

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)

# Clients that ask again at once would otherwise keep the event loop from the requests it has taken on.
REFUSAL_DELAY_SECONDS: Final = 0.25

MAX_PORT: Final = 65_535

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~!$&'()*+,;=%-]*))(?::(?P<port>[0-9]{0,5}))?")
_USER_IN_PATH = re.compile(r"(?<=/users/)[^/]+")
_CLIENT_DISCONNECTED = 499
_INFO: Final = "openmem.request"

access_log = logging.getLogger("openmem.access")


@dataclass(slots=True)
class RequestInfo:
    """What the server knows of a request.

    Attributes:
        id: the client's ``X-Request-Id``, or a new one.
        principal: whom it comes from.
        verb: the verb it calls, once known.
        route: the path of its route, once known.
    """

    id: str
    principal: Principal = ANYONE
    verb: str | None = None
    route: str | None = None


def request_info(scope: Scope) -> RequestInfo:
    """What the server knows of the request, made when it is first asked for."""
    info: RequestInfo | None = scope.get(_INFO)
    if info is None:
        info = scope[_INFO] = RequestInfo(request_id(scope["headers"]))
    return info


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's ``X-Request-Id`` if it may be taken over, else a new id."""
    given = [value.decode("latin-1") for name, value in headers if name == b"x-request-id"]
    return given[0] if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]) else new_request_id()


def common_headers(id: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of every reply."""
    return ((REQUEST_ID_HEADER.lower().encode(), id.encode()), *SECURITY_HEADERS)


class AccessLogMiddleware:
    """Gives every request an id, a line in the access log and security headers."""

    def __init__(self, app: ASGIApp, metrics: Metrics | None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = available_tracing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        info = request_info(scope)
        status = _CLIENT_DISCONNECTED

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*message.get("headers", ())]
                names = {name for name, _ in own}
                message["headers"] = [*own, *(pair for pair in common_headers(info.id) if pair[0] not in names)]
            await send(message)

        with tracing(scope, self._tracing) as end_span:
            try:
                await self._app(scope, receive, observed)
            finally:
                seconds = time.perf_counter() - started
                verb = info.verb or OTHER
                end_span(verb, info.route, status)
                if self._metrics is not None:
                    self._metrics.count(verb, status, seconds)
                access_log.log(
                    logging.WARNING if status >= 500 else logging.INFO,
                    "method=%s path=%s status=%d ms=%.1f request_id=%s",
                    scope["method"][:16],
                    _shown_path(scope),
                    status,
                    seconds * 1000,
                    info.id,
                )


def _shown_path(scope: Scope) -> str:
    """The path as the log has it, without the id of a user."""
    path = scope.get("raw_path", b"").decode("latin-1")
    return _USER_IN_PATH.sub("{user_id}", path)[:256]


class AdmissionMiddleware:
    """Lets in whom the keys and limits allow, and answers every error in the protocol's form.

    Args:
        own_door: a path below which the application itself finds out who asks, and counts the requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        in_flight: InFlight,
        rate_limit: RateLimit | None,
        loopback_only: bool,
        own_door: str | None = None,
    ) -> None:
        self._app = app
        self._in_flight = in_flight
        self._keys = keys
        self._rate_limit = rate_limit
        self._loopback_only = loopback_only
        self._own_door = own_door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_answered = False

        async def tracked(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        failure: BaseException
        try:
            self._admit(scope)
            await self._app(scope, receive, tracked)
            return
        except ClientDisconnectedError:
            return
        except ServerBusyError as error:
            await asyncio.sleep(REFUSAL_DELAY_SECONDS)
            failure = error
        except asyncio.CancelledError:
            failure = ServerBusyError("the server is stopping; try again in a moment")
        except Exception as error:  # noqa: BLE001 - the boundary: told to the log, and to the client as far as it may know
            failure = error
        response = error_response(failure, request_info(scope).id)
        # Of a reply that has begun, the server closes the connection.
        if not has_answered:
            await response(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        if len(scope["query_string"]) > MAX_QUERY_BYTES:
            raise InvalidRequestError(f"the query string is over {MAX_QUERY_BYTES} bytes")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            raise InvalidRequestError(f"the headers are over {MAX_HEADER_BYTES} bytes")
        if len(scope["headers"]) > MAX_HEADERS:
            raise InvalidRequestError(f"there are more than {MAX_HEADERS} headers")
        check_path(scope.get("raw_path") or b"")
        host = requested_host(scope["headers"])
        if self._loopback_only and not is_loopback(host):
            raise ScopeDeniedError(
                "Host: without API keys the server only answers to requests for localhost; "
                "make a key with 'omp-server keys create', or start it with --no-auth"
            )
        if scope["path"] in OPEN_PATHS or self._has_own_door(scope["path"]):
            return
        self._in_flight.check()
        info = request_info(scope)
        info.principal = self._keys.principal(scope["headers"])
        if self._rate_limit is not None:
            client = scope.get("client") or ("",)
            self._rate_limit.take(info.principal.id or f"address {client[0]}")

    def _has_own_door(self, path: str) -> bool:
        return self._own_door is not None and (path == self._own_door or path.startswith(f"{self._own_door}/"))


def requested_host(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The name or address in the header ``Host``; empty if there is none.

    A web page may have a name of its own resolve to this machine, so that it matters that the name is read as the
    browser meant it.

    Raises:
        InvalidRequestError: it is not one host.
    """
    values = [value.decode("latin-1") for name, value in headers if name == b"host"]
    found = _HOST.fullmatch(values[0] if values else "")
    if len(values) > 1 or found is None or int(found["port"] or 0) > MAX_PORT:
        raise _bad_host()
    if found["ipv6"] is None:
        return found["name"].lower()
    try:
        return str(ipaddress.IPv6Address(found["ipv6"]))
    except ValueError:
        raise _bad_host() from None


def _bad_host() -> InvalidRequestError:
    return InvalidRequestError("Host: it is not one host, by name or address, with or without a port")


class Cors(CORSMiddleware):
    """Starlette's, with refusals in the protocol's form."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        return response if response.status_code < 400 else _RefusedPreflight(response.body)


class _RefusedPreflight(Response):
    """The refusal of a browser's question whether it may send a request; `body` says what is not allowed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = InvalidRequestError(f"a page may not send this request: {bytes(self.body).decode()}")
        await error_response(error, request_info(scope).id)(scope, receive, send)
