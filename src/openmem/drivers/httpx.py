"""HTTP in both colours: httpx clients that keep connections alive and follow no redirect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from ..errors import unavailable
from ..io import ConnectionFailedError, HttpRequest, HttpResponse, HttpSettings


class HttpxIO:
    """The `HttpIO` port on ``httpx.AsyncClient``."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(**_client_arguments(settings))

    async def send(self, request: HttpRequest) -> HttpResponse:
        with _translated_errors(self._settings):
            return _response(await self._client.request(**_request_arguments(request)))

    async def close(self) -> None:
        await self._client.aclose()


class BlockingHttpxIO:
    """The `HttpIO` port on ``httpx.Client``; it blocks and never suspends, see `openmem.io`."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._client = httpx.Client(**_client_arguments(settings))

    async def send(self, request: HttpRequest) -> HttpResponse:
        with _translated_errors(self._settings):
            return _response(self._client.request(**_request_arguments(request)))

    async def close(self) -> None:
        self._client.close()


def _client_arguments(settings: HttpSettings) -> dict[str, Any]:
    return {
        "base_url": settings.base_url,
        "headers": dict(settings.headers),
        "timeout": httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
        "limits": httpx.Limits(max_connections=settings.max_connections),
        "follow_redirects": False,
    }


def _request_arguments(request: HttpRequest) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "method": request.method,
        "url": request.path,
        "headers": dict(request.headers),
    }
    if request.query:
        arguments["params"] = dict(request.query)
    if request.body is not None:
        arguments["json"] = request.body
    return arguments


def _response(response: httpx.Response) -> HttpResponse:
    return HttpResponse(response.status_code, dict(response.headers.items()), response.content)


@contextmanager
def _translated_errors(settings: HttpSettings) -> Iterator[None]:
    try:
        yield
    except httpx.PoolTimeout as error:
        raise unavailable(
            f"all {settings.max_connections} connections were busy for {settings.timeout:g} s; raise pool_max_size"
        ) from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ConnectionFailedError(
            f"{settings.base_url} cannot be reached: {error or 'no connection in time'}; check base_url, "
            "and that the server runs"
        ) from error
    except httpx.TimeoutException as error:
        raise unavailable(f"{settings.base_url} did not answer within {settings.timeout:g} s") from error
    except httpx.TransportError as error:
        raise ConnectionFailedError(f"the connection to {settings.base_url} broke: {error}") from error
