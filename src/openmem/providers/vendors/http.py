"""The HTTP client that vendors' SDKs are given. It blocks."""

from __future__ import annotations

import functools
import ssl

import httpx

from ..._network import HTTP_CONNECT_TIMEOUT_SECONDS, trusts_environment


def timeouts(timeout: float) -> httpx.Timeout:
    """The time limits of requests.

    Args:
        timeout: seconds to wait for each part of a reply; a connection has `HTTP_CONNECT_TIMEOUT_SECONDS` at most.
    """
    return httpx.Timeout(timeout, connect=min(HTTP_CONNECT_TIMEOUT_SECONDS, timeout))


def http_client(url: str | None, timeout: float, *, follow_redirects: bool = False) -> httpx.Client:
    """A client for the server at `url`, through a proxy that the environment names, unless it is this machine.

    Args:
        url: None for the vendor's hosted service.
        timeout: seconds to wait for each part of a reply.
    """
    return httpx.Client(
        timeout=timeouts(timeout),
        verify=_ssl_context(),
        trust_env=trusts_environment(url),
        follow_redirects=follow_redirects,
    )


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """Reading the certificates takes longer than a request, so it is done once."""
    return httpx.create_ssl_context()
