"""The path ``/mcp``: the Model Context Protocol over HTTP, for whoever the API keys let in.

Every request stands for itself, so that any of several servers can answer it, and none keeps anything of a client.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from ..access import Grants
from ..call import Call
from ..client import Client
from ..errors import InvalidRequestError, OMPError, ProviderError, ScopeDeniedError
from ..mcp import require_mcp_extra
from ..models import Capabilities
from ..operations import Operation
from ..wire import APP_HEADER, USER_ID_HEADER
from .config import OmpServerConfig
from .disconnect import cancel_on_disconnect
from .errors import MethodNotAllowedError, for_clients
from .health import Health
from .limits import InFlight
from .middleware import request_info
from .request_parsing import app_of_header, read_body, user_of_header

if TYPE_CHECKING:
    from ..mcp.callers import Caller, RequestContext

R = TypeVar("R")

MCP_PATH: Final = "/mcp"
MCP_HEADERS: Final = ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Last-Event-ID")
"""Headers of requests that browsers must be allowed to send."""

_SCHEME: Final = re.compile(r"https?://")


class McpEndpoint:
    """What the path answers. An ASGI application.

    Args:
        config: how the server serves.
        client: the core that performs the verbs.
        in_flight: the requests that are being worked on.
        health: learns that the backend answers.

    Raises:
        ImportError: the extra is not installed; the message has the command.
    """

    def __init__(self, config: OmpServerConfig, client: Client, in_flight: InFlight, health: Health) -> None:
        require_mcp_extra(f"omp-server at {MCP_PATH}")
        self._config = config
        self._in_flight = in_flight
        self._server = importlib.import_module("openmem.mcp.server").MemoryServer(
            KeyHolders(config, client, health), for_chatgpt=config.mcp_chatgpt
        )
        self._of_handshakes: Any = None
        self._of_requests: Any = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within the block requests can be answered."""
        server = self._server.build()
        # Hosts of older revisions get plain JSON, since of a stream the SDK leaves a task behind.
        self._of_handshakes, self._of_requests = self._manager(server, as_json=True), self._manager(server)
        async with self._of_handshakes.run(), self._of_requests.run():
            yield

    def _manager(self, server: Any, *, as_json: bool = False) -> Any:
        sdk = importlib.import_module("mcp.server.streamable_http_manager")
        # Hosts, origins, keys and the size of bodies are checked here, as for the other paths.
        return sdk.StreamableHTTPSessionManager(
            server, stateless=True, json_response=as_json, max_request_body_size=self._config.max_body_bytes
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        info = request_info(scope)
        info.verb, info.route = "mcp", MCP_PATH
        if scope["method"] != "POST":
            raise MethodNotAllowedError(f"this path has no {scope['method'][:16]}; it has POST", "POST")
        headers = Headers(scope=scope)
        self._check_origin(headers)
        body = await read_body(Request(scope, receive), self._config.max_body_bytes, self._config.read_timeout)
        with self._in_flight.one():
            if _shakes_hands(headers):
                work = self._of_handshakes.handle_request(scope, _again(body, _nothing), send)
                await cancel_on_disconnect(receive, work)
            else:
                await self._of_requests.handle_request(scope, _again(body, receive), send)

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what a web page sends, unless it is of an origin that is allowed, or of this server's own."""
        allowed = self._config.cors_origins
        host = headers.get("host", "")
        for origin in headers.getlist("origin"):
            if "*" not in allowed and origin not in allowed and _SCHEME.sub("", origin) != host:
                raise ScopeDeniedError(
                    "Origin: pages of this origin may not call the server; --cors-origins names those that may"
                )


class KeyHolders:
    """Says whom requests come from: by their API keys, and by the header ``X-User-Id`` of the host's configuration."""

    def __init__(self, config: OmpServerConfig, client: Client, health: Health) -> None:
        self._config = config
        self._client = client
        self._health = health

    def grants(self, context: RequestContext) -> Grants:
        return request_info(_request(context).scope).principal.grants

    def caller(self, context: RequestContext) -> Caller:
        callers = importlib.import_module("openmem.mcp.callers")
        request = _request(context)
        info = request_info(request.scope)
        user_id = _user(user_of_header(request), info.principal.users)
        app = (
            info.principal.app
            or app_of_header(request, APP_HEADER)
            or self._config.settings.get("app")
            or callers.name_of_client(context)
        )
        call = Call(request_id=info.id, app=app, grants=info.principal.grants, users=frozenset({user_id}))

        async def run(op: Operation[R]) -> R:
            info.verb = op.verb
            result = await self._client.run(op, call)
            self._health.saw_answer()
            return result

        async def capabilities() -> Capabilities:
            return await self._client.capabilities()

        caller: Caller = callers.Caller(user_id, info.principal.grants, app, run, capabilities)
        return caller

    def shown(self, context: RequestContext, error: Exception) -> OMPError:
        return for_clients(error, request_info(_request(context).scope).id)


def _request(context: RequestContext) -> Request:
    request = context.request
    if not isinstance(request, Request):
        raise ProviderError("the request did not come over HTTP")
    return request


def _shakes_hands(headers: Headers) -> bool:
    """Whether the host speaks a revision of the protocol before 2026-07-28."""
    versions = importlib.import_module("mcp.types.version")
    version = headers.get("mcp-protocol-version")
    return version is None or version in versions.HANDSHAKE_PROTOCOL_VERSIONS


def _user(named: str | None, allowed: frozenset[str] | None) -> str:
    if named is not None:
        if allowed is not None and named not in allowed:
            raise ScopeDeniedError(f"{USER_ID_HEADER}: the API key may not act for this user")
        return named
    if allowed is not None and len(allowed) == 1:
        return next(iter(allowed))
    raise InvalidRequestError(
        f"{USER_ID_HEADER}: nothing says whose memories these are; set this header in the configuration of the host, "
        "or give it an API key for one user, made with 'omp-server keys create --user NAME'"
    )


async def _nothing() -> Message:
    """Receives nothing: somebody else learns of the client's end."""
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await never


def _again(body: bytes, receive: Receive) -> Receive:
    """Receives a body that has been read already, and then what comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
