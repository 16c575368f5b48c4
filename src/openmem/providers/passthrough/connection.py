"""The connection to an OMP server: its address and credential, time limits, and trying again."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from ..._network import EXAMPLE_URL, HTTP_CONNECT_TIMEOUT_SECONDS, split_url
from ..._retrying import Backoff
from ...config import ClientConfig
from ...errors import InvalidRequestError
from ...ports import Ports
from ...ports.errors import ConnectionFailedError
from ...ports.http import HttpIO, HttpRequest, HttpResponse, HttpSettings
from ...wire import APP_HEADER
from ...wire.errors import asked_to_wait

DEFAULT_TIMEOUT_SECONDS: Final = 30.0
RETRIED_STATUSES: Final = frozenset({429, 503})


class Connection:
    """Sends requests to one server, and sends them again after a lost connection, a 429 or a 503.

    Attributes:
        base_url: the server's URL, without a credential.
        secrets: what must not be shown.

    Raises:
        InvalidRequestError: there is no URL, it is none of a server, or there are two credentials.
    """

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        self.base_url, self._credential, self.secrets = _checked_base_url(
            config.base_url or config.host, config.api_key
        )
        self._config = config
        self._ports = ports
        self._io: HttpIO | None = None

    async def open(self) -> None:
        """Make the connection pool, once."""
        if self._io is None:
            self._io = await self._ports.http(self._settings())

    async def close(self) -> None:
        """Release the connection pool."""
        if self._io is not None:
            await self._io.close()

    def deadline(self) -> float:
        """When a verb that begins now must be done."""
        return self._ports.monotonic() + (self._config.timeout or DEFAULT_TIMEOUT_SECONDS)

    async def send(self, request: HttpRequest, deadline: float | None = None) -> HttpResponse:
        """The reply, trying again after a lost connection and where the server asks for it.

        Args:
            deadline: when all of it must be done; by default it takes no longer than ``timeout``.
        """
        assert self._io is not None, "open() comes first"
        backoff = Backoff()
        end = self.deadline() if deadline is None else deadline
        is_repeated = False
        while True:
            remaining = end - self._ports.monotonic()
            try:
                response = await self._io.send(replace(request, timeout=remaining))
            except ConnectionFailedError:
                pause = backoff.next_delay() if request.may_repeat else None
                if pause is None or self._ports.monotonic() + pause >= end:
                    raise
                is_repeated = True
            else:
                is_retried = response.status in RETRIED_STATUSES if request.may_repeat else response.status == 429
                pause = backoff.next_delay(asked_to_wait(response)) if is_retried else None
                if pause is None or self._ports.monotonic() + pause >= end:
                    return replace(response, is_repeated=is_repeated)
                is_repeated = is_repeated or response.status != 429
            await self._ports.sleep(pause)

    def _settings(self) -> HttpSettings:
        headers = {"User-Agent": "openmem-python"}
        if self._credential is not None:
            headers["Authorization"] = self._credential
        if self._config.app is not None:
            headers[APP_HEADER] = quote(self._config.app)
        return HttpSettings(
            base_url=self.base_url,
            headers=headers,
            timeout=self._config.timeout or DEFAULT_TIMEOUT_SECONDS,
            connect_timeout=HTTP_CONNECT_TIMEOUT_SECONDS,
            max_connections=self._config.pool_max_size,
        )


def _checked_base_url(base_url: str | None, api_key: str | None) -> tuple[str, str | None, tuple[str, ...]]:
    """The server's URL without a credential, the value of the header that has it, and what must not be shown.

    Raises:
        InvalidRequestError: there is no URL, it is none of a server, or there are two credentials.
    """
    if base_url is None:
        raise InvalidRequestError(f"base_url: provider 'passthrough' needs the server's URL, as in {EXAMPLE_URL!r}")
    url, user, password = split_url("base_url", base_url)
    if user is None:
        return (url, None, ()) if api_key is None else (url, f"Bearer {api_key}", (api_key,))
    if api_key is not None:
        raise InvalidRequestError("base_url: it has a user name, and there is an api_key; pass only one of them")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    return url, f"Basic {basic}", (basic, password)
