"""The pages as an ASGI application: who asks, whether the request may be answered, and errors as pages."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, tzinfo
from typing import Any, Final
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from .._time_zones import name_of, time_zone
from ..client import Client
from ..errors import NotFoundError, OMPError
from ..server.config import OmpServerConfig
from ..server.disconnect import cancel_on_disconnect
from ..server.errors import ClientDisconnectedError, KeyRefusedError, MethodNotAllowedError, for_clients
from ..server.health import Health
from ..server.keys import ANYONE, KeyRing
from ..server.limits import InFlight, RateLimit
from ..server.middleware import request_info
from ..server.request_parsing import query_values, read_body
from . import OPENING
from .forms import Values
from .jobs import Jobs
from .page import Page
from .rendering import url
from .routes import HOME, PAGES
from .safety import HEADERS, SAFE_METHODS, check_is_local, check_site, is_own_path, is_secure, session_cookie
from .sessions import Sessions
from .static_files import PREFIX, static_files
from .visit import Site, Visit

ZONE_COOKIE: Final = "omp_zone"
SIGN_IN: Final = "login"
SIGN_OUT: Final = "logout"
_DOORS: Final = frozenset({SIGN_IN, SIGN_OUT, OPENING})
"""The paths that are there for those who have not signed in."""

_MEDIA_TYPE_OF_FORMS: Final = "application/x-www-form-urlencoded"
_UTC: Final = ("UTC", UTC)


class Application:
    """Everything below ``/ui``.

    Args:
        config: how the server serves.
        client: the core that performs the verbs.
        keys: the keys that sign in; without any, the pages are for this machine only.
        in_flight: the requests that are being worked on.
        health: learns that the backend answers.
        rate_limit: how many requests there may be; None for no limit.
    """

    def __init__(
        self,
        config: OmpServerConfig,
        client: Client,
        keys: KeyRing,
        in_flight: InFlight,
        health: Health,
        rate_limit: RateLimit | None,
    ) -> None:
        self._site = Site(
            config, client, keys, health, {page.path: page.link for page in PAGES if page.link is not None}, Jobs()
        )
        self._pages: Mapping[str, Page] = {
            **{page.path: page for page in PAGES},
            SIGN_IN: Page(SIGN_IN, self._ask_for_key, self._sign_in),
            SIGN_OUT: Page(SIGN_OUT, None, self._sign_out),
            **({} if config.ui_ticket is None else {OPENING: Page(OPENING, self._open)}),
        }
        self._keys = keys
        if config.ui_ticket is None:
            self._sessions = Sessions(keys)
        else:
            # Who has left it for long could not sign in again.
            self._sessions = Sessions(keys, idle_seconds=math.inf, ticket=config.ui_ticket, ticket_key=config.keys[0])
        self._in_flight = in_flight
        self._rate_limit = rate_limit

    async def close(self) -> None:
        """End what goes on behind the pages."""
        await self._site.jobs.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["path"].removeprefix(PREFIX).removeprefix("/")
        info = request_info(scope)
        info.verb = "ui"
        response = self._static(request, path)
        if response is None:
            try:
                response = await self._answer(request, path)
            except ClientDisconnectedError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: told to the log, and to people as far as they may know
                response = await self._error_page(request, path, for_clients(error, info.id))
        await response(scope, receive, send)

    def _static(self, request: Request, path: str) -> Response | None:
        file = static_files().get(path)
        if file is None or request.method not in SAFE_METHODS:
            return None
        headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
        return Response(file.content, 200, headers, file.media_type)

    async def _answer(self, request: Request, path: str) -> Response:
        check_site(request)
        if self._keys.is_open:
            check_is_local(request)
        info = request_info(request.scope)
        page = self._pages.get(path)
        if path not in _DOORS:
            try:
                token = request.cookies.get(session_cookie(request))
                info.principal = ANYONE if self._keys.is_open else self._sessions.principal(token)
            finally:
                self._count(request)
        else:
            self._count(request)
        if path == "":
            return RedirectResponse(url(HOME), 303, HEADERS)
        if page is None:
            raise NotFoundError("there is no such page")
        info.route = f"{PREFIX}/{path}"
        reads = request.method in SAFE_METHODS
        handler = page.get if reads else page.post if request.method == "POST" else None
        if handler is None:
            allowed = ", ".join([*(["GET", "HEAD"] if page.get else []), *(["POST"] if page.post else [])])
            raise MethodNotAllowedError("this page does not take such a request", allowed)
        with self._in_flight.one():
            if page.takes_upload and not reads:
                return await handler(Visit(self._site, request, path, Values({}), _zone(request)))
            visit = await self._visit(request, path, reads)
            return await cancel_on_disconnect(request.receive, _as_coroutine(handler, visit))

    def _count(self, request: Request) -> None:
        if self._rate_limit is not None:
            principal = request_info(request.scope).principal
            self._rate_limit.take(principal.id or f"address {request.client.host if request.client else ''}")

    async def _visit(self, request: Request, path: str, reads: bool) -> Visit:
        query = Values(query_values(request.scope["query_string"]))
        if reads:
            return Visit(self._site, request, path, query, _zone(request))
        config = self._site.config
        body = await read_body(request, config.max_body_bytes, config.read_timeout)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        form = Values(query_values(body)) if media_type == _MEDIA_TYPE_OF_FORMS else None
        return Visit(self._site, request, path, query, _zone(request), form=form, body=body)

    async def _error_page(self, request: Request, path: str, error: OMPError) -> Response:
        if isinstance(error, KeyRefusedError):
            if request.method in SAFE_METHODS and path not in _DOORS:
                return await self._to_sign_in(request, path)
            visit = Visit(self._site, request, SIGN_IN, Values({}), _zone(request))
            return await self._key_form(visit, error, "")
        visit = Visit(self._site, request, path, Values({}), _zone(request))
        response = await visit.failure(error)
        if visit.is_partial:
            # Whatever part was asked for, the error takes the place of the page's content.
            response.headers.update({"HX-Retarget": "#content", "HX-Reselect": "#content", "HX-Reswap": "outerHTML"})
        return response

    async def _to_sign_in(self, request: Request, path: str) -> Response:
        """The way to the form for the key, and from there back to the page that was asked for."""
        query = request.scope["query_string"].decode("latin-1")
        destination = f"{PREFIX}/{quote(path)}" + (f"?{query}" if query else "")
        if not path or not is_own_path(destination, PREFIX):
            destination = url(HOME)
        if request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={**HEADERS, "HX-Redirect": url(SIGN_IN)})
        if request.headers.get("sec-fetch-site") == "cross-site":
            # Who follows a link of another site may have signed in: the cookie comes with a request of this page.
            visit = Visit(self._site, request, path, Values({}), _zone(request))
            return await visit.page("go_on.html", title="One moment", address=destination)
        return RedirectResponse(url(SIGN_IN, next=destination), 303, HEADERS)

    async def _ask_for_key(self, visit: Visit) -> Response:
        if self._keys.is_open:
            return visit.redirect(HOME)
        return await self._key_form(visit, None, visit.query.one("next") or "")

    async def _sign_in(self, visit: Visit) -> Response:
        if self._keys.is_open:
            return visit.redirect(HOME)
        destination = visit.form.one("next") or ""
        try:
            token = self._sessions.start((visit.form.one("key") or "").strip())
        except KeyRefusedError as error:
            return await self._key_form(visit, error, destination)
        return self._signed_in(visit, token, destination)

    async def _open(self, visit: Visit) -> Response:
        """Sign the first browser in that comes with the ticket."""
        destination = visit.query.one("next") or ""
        request = visit.request
        if request.method != "GET" or "prefetch" in request.headers.get("sec-purpose", ""):
            # Nobody sees the answer, so that the ticket is kept for who will.
            return Response(status_code=204, headers=HEADERS)
        try:
            self._sessions.principal(request.cookies.get(session_cookie(request)))
        except KeyRefusedError:
            pass
        else:
            return visit.redirect_to(destination if is_own_path(destination, PREFIX) else url(HOME))
        try:
            token = self._sessions.redeem(visit.query.one("ticket") or "")
        except KeyRefusedError as error:
            response = await self._key_form(visit, error, "")
            response.headers["Referrer-Policy"] = "no-referrer"
            return response
        return self._signed_in(visit, token, destination)

    def _signed_in(self, visit: Visit, token: str, destination: str) -> Response:
        self._sessions.end(visit.request.cookies.get(session_cookie(visit.request)))
        response = visit.redirect_to(destination if is_own_path(destination, PREFIX) else url(HOME))
        name, secure = session_cookie(visit.request), is_secure(visit.request)
        response.set_cookie(name, token, path=PREFIX, secure=secure, httponly=True, samesite="strict")
        return response

    async def _sign_out(self, visit: Visit) -> Response:
        self._sessions.end(visit.request.cookies.get(session_cookie(visit.request)))
        response = visit.redirect(SIGN_IN)
        response.delete_cookie(session_cookie(visit.request), path=PREFIX, httponly=True, samesite="strict")
        return response

    async def _key_form(self, visit: Visit, error: OMPError | None, destination: str) -> Response:
        status = 200 if error is None else 401
        response = await visit.page("login.html", title="Sign in", error=error, status=status, destination=destination)
        if visit.is_partial:
            response.headers["HX-Redirect"] = url(SIGN_IN)
        return response


def _as_coroutine(handler: Callable[[Visit], Awaitable[Response]], visit: Visit) -> Any:
    async def handle() -> Response:
        return await handler(visit)

    return handle()


def _zone(request: Request) -> tuple[str, tzinfo]:
    """The zone that the reader's browser told, as a name and as a zone; UTC if it told none."""
    name = unquote(request.cookies.get(ZONE_COOKIE, ""))
    try:
        zone = time_zone(name)
        return name_of(zone), zone
    except ValueError:
        return _UTC
