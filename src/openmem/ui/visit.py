"""One request for a page: what it asks for, for whom, and what it is answered with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ..call import Call
from ..client import Client
from ..errors import NotFoundError, OMPError, ScopeDeniedError
from ..models import Capabilities
from ..operations import Get, List, Operation
from ..providers.base import no_such_memory
from ..providers.sample import Sample
from ..server.config import OmpServerConfig
from ..server.errors import for_clients, headers_of
from ..server.health import Health
from ..server.keys import KeyRing, Principal
from ..server.middleware import request_info
from ..server.request_parsing import query_values
from ..wire.errors import STATUS_OF_CODE
from ..wire.route import Route
from .forms import Values
from .jobs import Jobs
from .navigation import Link, Place
from .notices import UNDONE_BY, notice
from .rendering import render, url
from .safety import HEADERS, is_own_path
from .static_files import PREFIX

R = TypeVar("R")

APP: Final = "omp-server ui"
"""What the audit log calls the browser; behind it stands the application of the key that signed in."""


@dataclass(frozen=True, slots=True, repr=False)
class Site:
    """What all visits of one server share.

    Attributes:
        config: how the server serves; ``keys_file`` has its keys.
        client: the core that performs the verbs.
        keys: the keys that sign in.
        health: learns that the backend answers.
        links: the navigation, by the paths of the pages.
        jobs: what goes on behind the pages.
    """

    config: OmpServerConfig
    client: Client
    keys: KeyRing
    health: Health
    links: Mapping[str, Link]
    jobs: Jobs


class Visit:
    """A request for a page.

    Attributes:
        site: what all visits share.
        request: the request; its body has been read.
        path: the path of the page behind ``/ui/``.
        query: what the query string says.
        form: what the form says that was sent; empty for a request that only reads.
        body: the body as it came; empty for a request that only reads.
        principal: whom the request comes from.
        zone: the time zone of the reader.
        zone_name: the zone's name.
    """

    def __init__(
        self,
        site: Site,
        request: Request,
        path: str,
        query: Values,
        zone: tuple[str, tzinfo],
        *,
        form: Values | None = None,
        body: bytes = b"",
    ) -> None:
        self.site = site
        self.request = request
        self.path = path
        self.query = query
        self.form = Values({}) if form is None else form
        self.body = body
        self.zone_name, self.zone = zone

    @property
    def principal(self) -> Principal:
        return request_info(self.request.scope).principal

    @property
    def here(self) -> str:
        """The address of this page, without what is said of the last change."""
        return url(self.path, **self.query.without("done", "n", "undo"))

    @property
    def came_from(self) -> str | None:
        """The address of the page with the link or form of this request, if it is another one of the browser's."""
        host, _, rest = self.request.headers.get("referer", "").partition("://")[2].partition("/")
        address = f"/{rest}"
        if host != self.request.headers.get("host") or not is_own_path(address, PREFIX):
            return None
        here = self.request.url
        return None if address == here.path + (f"?{here.query}" if here.query else "") else address

    def at(self, address: str) -> Visit:
        """The same visitor on another page of the browser, whose address is one of `openmem.ui.rendering.url`."""
        path, _, query = address.partition("?")
        values = Values(query_values(query.encode("ascii")))
        return Visit(self.site, self.request, path.removeprefix(f"{PREFIX}/"), values, (self.zone_name, self.zone))

    @property
    def is_signed_in(self) -> bool:
        """Whether it is known who visits, or nobody needs to."""
        return not self.site.config.has_keys or self.principal.id is not None

    @property
    def is_administrator(self) -> bool:
        """Whether the visitor may see and change everything."""
        return self.principal.users is None and self.principal.grants.are_unrestricted

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks, for a part of the page."""
        return self.request.headers.get("hx-request") == "true"

    async def run(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        """Perform a verb. A memory that the visitor may not read is as if it did not exist.

        Args:
            idempotency_key: as in `openmem.call.Call`.

        Raises:
            OMPError: it was refused or failed.
        """
        call = replace(self.call(), idempotency_key=idempotency_key)
        try:
            result = await self.site.client.run(op, call)
        except ScopeDeniedError as error:
            id = vars(op).get("id")
            if id is not None and await self._is_hidden(op, call):
                # The message names the scope of the memory.
                raise no_such_memory(id) from error
            raise
        self.site.health.saw_answer()
        return result

    async def _is_hidden(self, op: Operation[Any], call: Call) -> bool:
        """Whether a verb was refused for a memory that the caller may not read, and so must not learn of."""
        user_id = vars(op).get("user_id")
        if user_id is not None and not call.may_act_for(user_id):
            return False
        if op.access == "read":
            return call.grants.allow("read")
        try:
            await self.site.client.run(Get(id=vars(op)["id"], user_id=user_id), call)
        except (NotFoundError, ScopeDeniedError):
            return True
        return False

    async def sample(self, op: List, size: int) -> Sample:
        """Memories from all of a list, about `size` of them at most.

        Raises:
            OMPError: it was refused or failed.
        """
        result = await self.site.client.sample(op, self.call(), size=size)
        self.site.health.saw_answer()
        return result

    def call(self) -> Call:
        """Who performs a verb here, and on whose behalf."""
        info = request_info(self.request.scope)
        app = APP if info.principal.app is None else f"{APP}: {info.principal.app}"[:512]
        return Call(request_id=info.id, app=app, grants=info.principal.grants, users=info.principal.users)

    def check_of_key(self) -> Callable[[], None]:
        """What refuses to go on, with `UnauthorizedError`, once the key that signed in has been revoked or changed."""
        keys, principal = self.site.keys, self.principal
        return lambda: keys.check_unchanged(principal)

    def require_administrator(self) -> None:
        """Refuse a visitor who may not see and change everything.

        Raises:
            ScopeDeniedError: that is so.
        """
        if not self.is_administrator:
            raise ScopeDeniedError("this is for API keys of all users with all grants; yours is limited")

    def shown(self, error: OMPError) -> OMPError:
        """An error as far as people may know it, for a page that shows it beside other things."""
        return for_clients(error, request_info(self.request.scope).id)

    async def capabilities(self) -> Capabilities:
        """What the backend can do; it is not asked again."""
        return await self.site.client.capabilities()

    def kept(self, route: Route[Any], op: Operation[Any]) -> dict[str, Sequence[str]]:
        """What a link says that asks for the same again: times are moments, and there is no limit."""
        return {name: texts for name, texts in route.request(op).query.items() if name != "limit"}

    async def page(
        self,
        template: str,
        *,
        title: str,
        user_id: str | None = None,
        error: OMPError | None = None,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """A page as the answer.

        Args:
            template: the template's file.
            title: the heading.
            user_id: whose page it is; None for a page of the site.
            error: what went wrong, shown above the rest.
            status: of the answer.
            values: what the template shows.
        """
        shared = {
            "title": title,
            "user_id": user_id,
            "error": error,
            "request_id": request_info(self.request.scope).id,
            "notice": notice(self.query.one("done"), self.query.one("n")) if error is None else None,
            "undone_by": UNDONE_BY.get(self.query.one("done") or ""),
            "undo": self.query.many("undo"),
            "outcome": None,
            "here": self.here,
            "zone": self.zone,
            "zone_name": self.zone_name,
            "path": self.path,
            "site_links": self._links("site"),
            "user_links": [] if user_id is None else self._links("user"),
            "has_sessions": self.site.config.has_keys and self.site.config.ui_ticket is None,
            "has_ticket": self.site.config.ui_ticket is not None,
            "is_signed_in": self.is_signed_in,
            "may_write": self.principal.grants.allow("write"),
            "may_delete": self.principal.grants.allow("delete"),
            "may_reload": self.request.method == "GET",
        }
        # A memory may be long, and other requests are waiting.
        return HTMLResponse(await asyncio.to_thread(render, template, shared | values), status, HEADERS)

    async def failure(
        self, error: OMPError, *, user_id: str | None = None, back: str | None = None, **values: Any
    ) -> Response:
        """The page of an error, with a way back.

        Args:
            error: as far as people may know it.
            user_id: whose page it is; None for a page of the site.
            back: the address of the page to go back to; by default the one that the request came from.
            values: what the template shows beside it.
        """
        response = await self.page(
            "error.html",
            title="This did not work",
            user_id=user_id,
            error=error,
            status=status_of(error),
            back=back or self.came_from,
            **values,
        )
        response.headers.update(headers_of(error))
        return response

    def redirect(self, page: str, **query: Any) -> Response:
        """An answer that sends the browser to another page, as after a change."""
        return self.redirect_to(url(page, **query))

    def redirect_to(self, path: str) -> Response:
        """The same for an address of `openmem.ui.rendering.url`."""
        return RedirectResponse(path, 303, HEADERS)

    def _links(self, place: Place) -> list[tuple[str, Link]]:
        return [
            (path, link)
            for path, link in self.site.links.items()
            if link.place == place and (self.is_administrator or not link.is_administrative)
        ]


def status_of(error: OMPError) -> int:
    """The HTTP status of a page that shows an error."""
    return STATUS_OF_CODE.get(error.code, 502)
