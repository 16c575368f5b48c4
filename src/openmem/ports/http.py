"""An HTTP server as the logic sees it: requests and responses as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

FIRST_BYTE_TIMEOUT_SECONDS: Final = 4.5


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a value.

    Attributes:
        path: below the server's base URL, and quoted.
        query: the parameters of the query string by name, each with all its values.
        body: what is sent as JSON; None for no body.
        timeout: seconds for all of it, up to the end of the reply; None for those of the settings.
        max_reply_bytes: most bytes of the reply's body, as sent and uncompressed.
        may_repeat: whether it may be sent again although the server may have performed it.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    timeout: float | None = None
    max_reply_bytes: int = 16 * 1024 * 1024
    may_repeat: bool = True


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response as a value; header names are in lower case.

    Attributes:
        is_repeated: whether the request was sent before, and the server may have performed it then.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    is_repeated: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class HttpSettings:
    """How to reach an HTTP server.

    Attributes:
        base_url: prefix of all paths, without a trailing slash; it holds no credential.
        headers: sent with every request; they may hold a credential and are never shown.
        timeout: seconds a request may take in all: the wait for a connection, and the whole reply.
        connect_timeout: seconds to wait for a new connection.
        max_connections: connections open at most.
        first_byte_timeout: seconds after which a reply that has not begun on a connection that was used before is
            given up, since the network may have forgotten the connection; longer for a server that has been slow.
    """

    base_url: str
    headers: Mapping[str, str]
    timeout: float
    connect_timeout: float
    max_connections: int
    first_byte_timeout: float = FIRST_BYTE_TIMEOUT_SECONDS


class HttpIO(Protocol):
    """A pool of connections to one HTTP server. Redirects are not followed, cookies not kept."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one request and read the whole reply, whatever its status.

        Raises:
            ConnectionFailedError: no connection, or it broke before the reply was complete.
            ProviderError: the reply was not complete in time (``provider_unavailable``), or it is no
                HTTP, damaged or too long.
        """
        ...

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        ...
