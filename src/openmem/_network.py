"""Which addresses are of this machine, and which proxy is used for the others."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import unquote, urlsplit

from .errors import InvalidRequestError

EXAMPLE_URL: Final = "http://127.0.0.1:8080"
HTTP_CONNECT_TIMEOUT_SECONDS: Final = 5.0


def split_url(setting: str, url: str) -> tuple[str, str | None, str]:
    """The URL of a server without a trailing slash or a credential, the user name in it, and the password.

    Args:
        setting: whose value it is, for the message.

    Raises:
        InvalidRequestError: it is not an http(s) URL, or has a query; the message does not show it.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidRequestError(f"{setting}: it is not an http(s) URL without query; one looks like {EXAMPLE_URL!r}")
    user = None if parts.username is None else unquote(parts.username)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return shown.rstrip("/"), user, unquote(parts.password or "")


def is_loopback(host: str) -> bool:
    """Whether only this machine can be meant by `host`, a name or an address without brackets.

    These are the loopback addresses, ``localhost``, and the names below it, which RFC 6761 keeps for this machine.
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def trusts_environment(url: str | None) -> bool:
    """Whether a vendor's client may read proxies from the environment: not for a loopback address, see `proxy_for`."""
    return not is_loopback(urlsplit(url or "").hostname or "")


def proxy_for(url: str) -> str | None:
    """The URL of the proxy that the environment names for `url`; None to go there directly.

    It is what ``HTTPS_PROXY``, ``HTTP_PROXY`` or ``ALL_PROXY`` names, unless ``NO_PROXY`` excepts the host. A
    loopback address never has one: a proxy would look for it on its own machine, and be shown the key.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    import urllib.request  # noqa: PLC0415 - it takes longer than all else that choosing an embedder loads

    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    where = f"{host}:{parts.port}" if parts.port else host
    if not proxy or urllib.request.proxy_bypass(where):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
