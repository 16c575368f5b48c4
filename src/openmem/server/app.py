"""The FastAPI application: every route of the table over one `AsyncMemory`."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as PathRoute
from starlette.types import Receive, Scope, Send

from ..async_memory import AsyncMemory
from ..errors import InvalidRequestError, NotFoundError, ProviderError
from ..models import OMP_VERSION, MemoryPage, UserPage
from ..operations import Add, AddMany, Operation
from ..providers.base import Call
from ..ui import require_ui_extra
from ..wire import (
    APP_HEADER,
    CAPABILITIES_PATH,
    HEALTH_PATH,
    IDEMPOTENCY_HEADER,
    REQUEST_ID_HEADER,
    USER_ID_HEADER,
)
from ..wire.route import Route
from ..wire.routes import ROUTES
from .conditions import ETAG_HEADER, IF_MATCH_HEADER, IF_NONE_MATCH_HEADER, entity_tag
from .config import OmpServerConfig
from .disconnect import cancel_on_disconnect
from .errors import MethodNotAllowedError, error_response
from .health import Health
from .idempotency import IdempotencyStore
from .keys import KeyRing
from .limits import InFlight, RateLimit
from .mcp_endpoint import MCP_HEADERS, MCP_PATH, McpEndpoint
from .middleware import OPENAPI_PATH, REFERENCE_PATH, AccessLogMiddleware, AdmissionMiddleware, Cors, request_info
from .openapi import openapi_document
from .purging import Purging
from .reference import CONTENT_SECURITY_POLICY, reference_page
from .request_parsing import app_of_header, read_operation
from .telemetry import METRICS_CONTENT_TYPE, Metrics

METRICS_PATH: Final = "/metrics"
UI_PATH: Final = "/ui"
LARGE_RESULT_ITEMS: Final = 50
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

logger = logging.getLogger("openmem.server")


class Endpoint:
    """What one path answers, by method. An ASGI application."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers
        if "GET" in handlers:
            handlers.setdefault("HEAD", handlers["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["method"])
        if handler is None:
            allowed = ", ".join(sorted(self._handlers))
            raise MethodNotAllowedError(f"this path has no {scope['method'][:16]}; it has {allowed}", allowed)
        response = await handler(Request(scope, receive))
        await response(scope, receive, send)


class Server:
    """The handlers, and what they share."""

    def __init__(self, config: OmpServerConfig) -> None:
        if "grants" in config.settings:
            raise InvalidRequestError("settings: grants are given to the API keys of a server")
        self.config = config
        self.memory = AsyncMemory(config.provider, **config.settings)
        self.keys = KeyRing(config.keys_file, config.keys)
        self.in_flight = InFlight(config.max_in_flight)
        self.metrics = Metrics(lambda: self.in_flight.count) if config.metrics else None
        if self.metrics is not None:
            self.metrics.watch_pool(self.memory.client.pool_usage)
        self.health = Health(self.memory.client.ping)
        rate = config.rate_limit_per_minute
        self.rate_limit = None if rate is None else RateLimit(rate)
        self.adds = IdempotencyStore()
        every = config.purge_every
        self.purging = None if every is None else Purging(self.memory.client, every)
        self.mcp = McpEndpoint(config, self.memory.client, self.in_flight, self.health) if config.mcp else None
        self.ui = self._browser() if config.ui else None

    def _browser(self) -> Any:
        require_ui_extra(f"omp-server at {UI_PATH}")
        return importlib.import_module("openmem.ui.application").Application(
            self.config, self.memory.client, self.keys, self.in_flight, self.health, self.rate_limit
        )

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Open the backend, and close it at the end. One that is not there yet is waited for by the verbs."""
        try:
            try:
                await self.memory.client.ping()
            except ProviderError as error:
                if error.code != "provider_unavailable":
                    raise
                logger.warning("the backend is not available yet: %s", error.message)
            if self.purging is not None:
                self.purging.start()
            async with nullcontext() if self.mcp is None else self.mcp.running():
                yield
        finally:
            if self.ui is not None:
                await self.ui.close()
            if self.purging is not None:
                await self.purging.close()
            await self.health.close()
            await self.adds.close()
            await self.memory.close()

    def verb(self, route: Route[Any]) -> Handler:
        """The handler of one verb."""

        async def handle(request: Request) -> Response:
            info = request_info(request.scope)
            info.verb, info.route = route.verb, route.path
            op, user = await read_operation(route, request, self.config)
            call = self._call(request, op, user)
            with self.in_flight.one():
                result = await cancel_on_disconnect(request.receive, self._perform(op, call))
                self.health.saw_answer()
                if route.is_empty:
                    return Response(status_code=route.status)
                if _is_big(result):
                    content = await asyncio.to_thread(_json, route.reply.encode, result)
                else:
                    content = _json(route.reply.encode, result)
            tag = entity_tag(result)
            headers = {} if tag is None else {ETAG_HEADER: tag}
            return Response(content, route.status, headers, media_type="application/json")

        return handle

    async def capabilities(self, request: Request) -> Response:
        capabilities = await self.memory.capabilities()
        rate = self.config.rate_limit_per_minute
        if rate is not None:
            limits = capabilities.limits.model_copy(update={"rate_limit_per_minute": rate})
            capabilities = capabilities.model_copy(update={"limits": limits})
        return _json_response(capabilities.to_wire())

    async def healthz(self, request: Request) -> Response:
        if await self.health.is_ready():
            return _json_response({"status": "ok", "provider": self.config.provider, "omp_version": OMP_VERSION})
        failure = ProviderError(
            "the backend does not answer", code="provider_unavailable", provider=self.config.provider
        )
        return error_response(failure, request_info(request.scope).id)

    async def exposition(self, request: Request) -> Response:
        assert self.metrics is not None
        return Response(self.metrics.exposition(), media_type=METRICS_CONTENT_TYPE)

    def _call(self, request: Request, op: Operation, user: str | None) -> Call:
        info = request_info(request.scope)
        principal = info.principal
        users = principal.users
        if user is not None:
            users = frozenset({user}) if users is None else users & {user}
        if isinstance(op, AddMany) and IDEMPOTENCY_HEADER in request.headers and not self.memory.client.remembers_keys:
            raise InvalidRequestError(
                f"{IDEMPOTENCY_HEADER}: it would be forgotten; leave it out, or add the memories one by one"
            )
        app = principal.app or app_of_header(request, APP_HEADER) or self.config.settings.get("app")
        return Call(
            request_id=info.id,
            app=app,
            grants=principal.grants,
            users=users,
            idempotency_key=_idempotency_key(request, principal.id) if type(op) in (Add, AddMany) else None,
        )

    async def _perform(self, op: Any, call: Call) -> Any:
        if call.idempotency_key is None or self.memory.client.remembers_keys:
            return await self.memory.client.run(op, call)
        return await self.adds.once(op, call.idempotency_key, lambda: self.memory.client.run(op, call))


def create_app(config: OmpServerConfig) -> FastAPI:
    """The OMP server as an ASGI application.

    The backend is opened when the application starts and closed when it stops. A request whose client
    goes away is cancelled, and its query with it.

    Raises:
        OMPError: the provider's settings are wrong, or the keys file is.
        ImportError: an extra is not installed.
    """
    server = Server(config)
    middleware = [
        Middleware(AccessLogMiddleware, metrics=server.metrics),
        *([_cors(config)] if config.cors_origins else []),
        Middleware(
            AdmissionMiddleware,
            keys=server.keys,
            in_flight=server.in_flight,
            rate_limit=server.rate_limit,
            loopback_only=config.loopback_only,
            own_door=UI_PATH if config.ui else None,
        ),
    ]
    app = FastAPI(
        title="omp-server",
        version=OMP_VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=server.lifespan,
        middleware=middleware,
    )
    handlers: dict[str, dict[str, Handler]] = defaultdict(dict)
    for route in ROUTES:
        handlers[route.path.replace("}", ":path}")][route.method] = server.verb(route)
    handlers[CAPABILITIES_PATH]["GET"] = server.capabilities
    handlers[HEALTH_PATH]["GET"] = server.healthz
    if server.metrics is not None:
        handlers[METRICS_PATH]["GET"] = server.exposition
    app.openapi = openapi_document  # type: ignore[method-assign]
    handlers[OPENAPI_PATH]["GET"] = _document
    handlers[REFERENCE_PATH]["GET"] = _reference
    for path, by_method in handlers.items():
        app.router.routes.append(PathRoute(path, Endpoint(by_method)))
    if server.mcp is not None:
        app.router.routes.append(PathRoute(MCP_PATH, server.mcp))
    if server.ui is not None:
        app.router.routes += [PathRoute(UI_PATH, server.ui), PathRoute(f"{UI_PATH}/{{path:path}}", server.ui)]
    app.router.default = _no_such_path
    return app


def _cors(config: OmpServerConfig) -> Middleware:
    return Middleware(
        Cors,
        allow_origins=list(config.cors_origins),
        allow_methods=sorted({route.method for route in ROUTES}),
        allow_headers=[
            "Authorization", "Content-Type", "X-API-Key", IF_MATCH_HEADER, IF_NONE_MATCH_HEADER,
            APP_HEADER, IDEMPOTENCY_HEADER, REQUEST_ID_HEADER, USER_ID_HEADER,
            *(MCP_HEADERS if config.mcp else ()),
        ],
        expose_headers=[REQUEST_ID_HEADER, ETAG_HEADER, "Retry-After"],
    )  # fmt: skip


async def _document(request: Request) -> Response:
    return _json_response(openapi_document())


async def _reference(request: Request) -> Response:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return Response(reference_page(), headers=headers, media_type="text/html")


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    off = scope["path"].rstrip("/") == MCP_PATH and "; omp-server --mcp has /mcp, without a slash at its end"
    raise NotFoundError(f"there is no such path{off or ''}")


def _idempotency_key(request: Request, client: str | None) -> str | None:
    values = set(request.headers.getlist(IDEMPOTENCY_HEADER))
    if not values:
        return None
    key = values.pop()
    if values or not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequestError(f"{IDEMPOTENCY_HEADER}: give one value of 1 to 255 visible ASCII characters")
    return f"{client or ''}:{key}"


def _is_big(result: Any) -> bool:
    """Whether encoding the result would keep the event loop busy for long."""
    items = result.items if isinstance(result, MemoryPage | UserPage) else result
    return isinstance(items, list) and len(items) > LARGE_RESULT_ITEMS


def _json(encode: Callable[[Any], Any], result: Any) -> bytes:
    return json.dumps(encode(result), ensure_ascii=False, separators=(",", ":")).encode()


def _json_response(value: Any) -> Response:
    return Response(_json(lambda same: same, value), media_type="application/json")
