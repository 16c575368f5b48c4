"""HTTP in both modes: connections of httpcore, with the bounds that a client needs of a server it cannot trust.

A request has a deadline for all of it, its reply a bound in bytes, compressed or not. Connections are kept
alive, but only as long as they can be trusted: networks forget idle ones without a word to either end. Nothing
is kept from one request to the next: no cookies, no redirects, no credentials from files. The URL, which holds
user ids and queries, reaches no log.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

import httpcore
import httpx

from ..._forking import undisturbed
from ..._network import proxy_for
from ..._quiet import quiet
from ...errors import InvalidRequestError, ProviderError, unavailable
from ...ports.errors import ConnectionFailedError
from ...ports.http import HttpRequest, HttpResponse, HttpSettings
from .body import Body, ReplyError
from .connections import (
    LONGEST_WAIT_SECONDS,
    SOCKET_OPTIONS,
    AsyncNetwork,
    BlockingNetwork,
    Exchange,
    Trust,
    current_exchange,
)

C = TypeVar("C")

KEEP_ALIVE_SECONDS: Final = 30.0


class _Client:
    """What both modes share."""

    def __init__(self, settings: HttpSettings) -> None:
        self._target = _Target(settings)
        self._trust = Trust(settings.first_byte_timeout)

    def _make_pool(self, direct: Callable[..., C], by_proxy: Callable[..., C], network: object) -> C:
        """httpcore's connections to the server, or to the proxy before it."""
        proxy = self._target.proxy
        make = direct if proxy is None else partial(by_proxy, **proxy)
        return make(network_backend=network, **self._target.pool)

    @contextmanager
    def _exchange(self, request: HttpRequest) -> Iterator[tuple[Exchange, dict[str, Any]]]:
        """A request on its way, and what httpcore is asked for. Translates errors."""
        exchange = self._target.begin(request)
        token = current_exchange.set(exchange)
        try:
            with self._target.translate_errors(exchange, self._trust), quiet():
                yield exchange, self._target.arguments(request, exchange)
        finally:
            current_exchange.reset(token)


class HttpcoreIO(_Client):
    """The `HttpIO` port on ``httpcore.AsyncConnectionPool``."""

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(settings)
        network = AsyncNetwork(self._trust)
        self._pool = self._make_pool(httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy, network)

    async def send(self, request: HttpRequest) -> HttpResponse:
        with self._exchange(request) as (exchange, arguments):
            async with asyncio.timeout(exchange.remaining()), self._pool.stream(**arguments) as response:
                body = Body(response.headers, request.max_reply_bytes)
                async for chunk in response.aiter_stream():
                    body.feed(chunk)
                return HttpResponse(response.status, body.headers, body.finish())

    async def close(self) -> None:
        with quiet():
            await self._pool.aclose()


class BlockingHttpcoreIO(_Client):
    """The `HttpIO` port on ``httpcore.ConnectionPool``; it blocks and never suspends, see `openmem.ports`."""

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(settings)
        self._pool = self._make_pool(httpcore.ConnectionPool, httpcore.HTTPProxy, BlockingNetwork(self._trust))

    async def send(self, request: HttpRequest) -> HttpResponse:
        with self._exchange(request) as (_, arguments), self._pool.stream(**arguments) as response:
            body = Body(response.headers, request.max_reply_bytes)
            for chunk in response.iter_stream():
                body.feed(chunk)
            return HttpResponse(response.status, body.headers, body.finish())

    async def close(self) -> None:
        with quiet():
            self._pool.close()


class _Target:
    """A server: how its requests are made, and what is said when one fails."""

    @undisturbed()
    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        try:
            url = httpx.URL(settings.base_url)
        except httpx.InvalidURL as error:
            raise InvalidRequestError(f"base_url: {error}") from None
        self._scheme, self._host, self._port = url.raw_scheme, url.raw_host, url.port
        self._path = url.raw_path.rstrip(b"/")
        self.proxy = _proxy_arguments(settings.base_url)
        self.pool: dict[str, Any] = {
            "max_connections": settings.max_connections,
            "max_keepalive_connections": settings.max_connections,
            "keepalive_expiry": KEEP_ALIVE_SECONDS,
            "socket_options": SOCKET_OPTIONS,
        }
        if url.scheme == "https":
            # It reads SSL_CERT_FILE and SSL_CERT_DIR.
            self.pool["ssl_context"] = httpx.create_ssl_context()

    def begin(self, request: HttpRequest) -> Exchange:
        """A request whose time begins now."""
        timeout = self._settings.timeout if request.timeout is None else request.timeout
        return Exchange(time.monotonic() + min(timeout, LONGEST_WAIT_SECONDS), request.may_repeat)

    def arguments(self, request: HttpRequest, exchange: Exchange) -> dict[str, Any]:
        """What httpcore is asked for."""
        remaining = exchange.remaining()
        path = self._path + request.path.encode()
        if request.query:
            path += b"?" + urlencode(request.query, doseq=True, quote_via=quote).encode()
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **self._settings.headers, **request.headers}
        content = None
        if request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        timeouts = {"connect": min(self._settings.connect_timeout, remaining), "pool": remaining}
        return {
            "method": request.method,
            "url": httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=path),
            "headers": list(headers.items()),
            "content": content,
            "extensions": {"timeout": timeouts},
        }

    @contextmanager
    def translate_errors(self, exchange: Exchange, trust: Trust) -> Iterator[None]:
        """Turn the library's exceptions into ours, and learn from them which connections to trust."""
        settings = self._settings
        try:
            yield
        except httpcore.PoolTimeout as error:
            raise unavailable(
                f"all {settings.max_connections} connections were busy for {settings.timeout:g} s; raise pool_max_size"
            ) from error
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError) as error:
            by_proxy = "" if self.proxy is None else ", and the proxy that the environment names"
            raise ConnectionFailedError(
                f"{settings.base_url} cannot be reached: {error or 'no connection in time'}; check base_url{by_proxy}, "
                "and that the server runs"
            ) from error
        except (httpcore.TimeoutException, TimeoutError) as error:
            trust.lose()
            raise unavailable(f"{settings.base_url} did not answer completely within {settings.timeout:g} s") from error
        except httpcore.NetworkError as error:
            trust.lose()
            raise ConnectionFailedError(f"the connection to {settings.base_url} broke: {error}") from error
        except httpcore.ProtocolError as error:
            if exchange.is_broken:
                trust.lose()
                raise ConnectionFailedError(f"the connection to {settings.base_url} broke: {error}") from error
            raise ProviderError(
                f"{settings.base_url} does not speak HTTP as it should: {str(error)[:200]}; check base_url"
            ) from error
        except ReplyError as error:
            raise ProviderError(f"{settings.base_url} sent {error}") from None


def _proxy_arguments(url: str) -> dict[str, Any] | None:
    proxy = proxy_for(url)
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequestError(
            f"the environment names a {parts.scheme or 'wrong'} proxy for base_url, but only HTTP proxies are "
            "supported; name another in HTTPS_PROXY or HTTP_PROXY, or except the host in NO_PROXY"
        )
    arguments: dict[str, Any] = {"proxy_url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"}
    if parts.username is not None:
        arguments["proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "https":
        arguments["proxy_ssl_context"] = httpx.create_ssl_context()
    return arguments
