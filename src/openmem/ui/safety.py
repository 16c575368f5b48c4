"""What browsers are told and asked, so that no other site can use the pages, see them or frame them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from .._network import is_loopback
from ..errors import ScopeDeniedError
from ..server.middleware import requested_host

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With no referrer at all, browsers would send forms with the origin "null".
    "Referrer-Policy": "same-origin",
}
"""Of every reply, beside those that all replies of the server have."""


def check_site(request: Request) -> None:
    """Refuse what another site sent: forms, and what it reads but for links that a person follows.

    Browsers say in ``Sec-Fetch-Site`` where a request comes from, if the connection is secure or stays on the machine,
    and else at least in ``Origin``.

    Raises:
        ScopeDeniedError: it comes from another site, or nothing says that it does not.
    """
    site = request.headers.get("sec-fetch-site")
    if request.method in SAFE_METHODS:
        is_link = request.headers.get("sec-fetch-mode") == "navigate" and request.headers.get("sec-fetch-dest") in (
            "document",
            "empty",
        )
        if site not in (None, "same-origin", "none") and not is_link:
            raise ScopeDeniedError("Sec-Fetch-Site: another site may not read these pages")
        return
    if site is not None:
        is_own = site == "same-origin"
    else:
        is_own = _is_own_origin(request.headers.get("origin"), request.headers.get("host"))
    if not is_own:
        raise ScopeDeniedError("this form was not sent by a page of this server; open the page anew and send it again")


def check_is_local(request: Request) -> None:
    """Refuse what does not come from this machine: the rule where there are no keys.

    Raises:
        ScopeDeniedError: it comes from elsewhere, or is for a name of this machine that others may have given it.
    """
    client = request.client
    if not is_loopback(requested_host(request.scope["headers"])) or (client is not None and not _is_here(client.host)):
        raise ScopeDeniedError(
            "without API keys the memory browser is for this machine only; make a key with 'omp-server keys create'"
        )


def is_secure(request: Request) -> bool:
    """Whether the browser's connection is encrypted, as far as a proxy says it."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").partition(",")[0].strip())


def session_cookie(request: Request) -> str:
    """The name of the cookie with the session. Browsers send cookies to every port of a host, so it has the port."""
    _, _, port = request.headers.get("host", "").rpartition(":")
    return f"omp_ui_{port}" if port.isascii() and port.isdecimal() and len(port) <= 5 else "omp_ui"


def is_own_path(path: str, prefix: str) -> bool:
    """Whether a browser that is sent to this path stays within `prefix`."""
    parts = path.partition("?")[0].lower().replace("%2e", ".").split("/")
    is_plain = path.isprintable() and path.isascii() and "\\" not in path
    return path.startswith(f"{prefix}/") and is_plain and not {".", ".."} & set(parts)


def _is_own_origin(origin: str | None, host: str | None) -> bool:
    scheme, _, authority = (origin or "").partition("://")
    return scheme in ("http", "https") and bool(host) and authority == host


def _is_here(host: str) -> bool:
    return is_loopback(host.removeprefix("::ffff:"))
