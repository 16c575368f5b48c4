"""Measurements: Prometheus metrics if they are asked for, OpenTelemetry spans if its API is installed.

No label and no attribute holds a value from a request or a memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from starlette.types import Scope

from .._extras import is_installed, require_extra

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
KNOWN_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

SpanEnd = Callable[[str, str | None, int], None]


class Metrics:
    """Prometheus metrics of one server.

    Args:
        in_flight: returns how many requests are being worked on.

    Raises:
        ImportError: prometheus-client is not installed.
    """

    def __init__(self, in_flight: Callable[[], int]) -> None:
        require_extra("/metrics", "server", ("prometheus_client",))
        client = importlib.import_module("prometheus_client")
        self._client = client
        self._registry = client.CollectorRegistry()
        self._requests = client.Counter(
            "omp_requests", "Requests answered.", ("verb", "status"), registry=self._registry
        )
        self._seconds = client.Histogram(
            "omp_request_seconds", "Seconds until the answer.", ("verb",), registry=self._registry
        )
        client.Gauge("omp_requests_in_flight", "Requests being worked on.", registry=self._registry).set_function(
            in_flight
        )

    def watch_pool(self, usage: Callable[[], tuple[int, int] | None]) -> None:
        """Show the backend's connections, which `usage` returns as (busy, idle), or None where there is no pool."""
        gauge = self._client.Gauge(
            "omp_pool_connections", "Connections to the backend.", ("state",), registry=self._registry
        )
        for index, state in enumerate(("busy", "idle")):
            gauge.labels(state).set_function(lambda index=index: (usage() or (0, 0))[index])

    def count(self, verb: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(verb, str(status)).inc()
        self._seconds.labels(verb).observe(seconds)

    def exposition(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        text: bytes = self._client.generate_latest(self._registry)
        return text


class Tracing:
    """OpenTelemetry spans, which go where the process's OpenTelemetry set-up sends them.

    Names and attributes are those of OpenTelemetry's conventions for HTTP servers, and the verb. A package that would
    do it for any ASGI application does not know the verb, nor which paths have an id in them.
    """

    def __init__(self) -> None:
        self._trace = importlib.import_module("opentelemetry.trace")
        self._propagate = importlib.import_module("opentelemetry.propagate")
        self._tracer: Any = self._trace.get_tracer("openmem.server")

    @contextmanager
    def request(self, scope: Scope) -> Iterator[SpanEnd]:
        """A span for the time of the block, below the caller's if its headers name one.

        Yields:
            A function that takes the verb, the path of its route and the status, once they are known.
        """
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "_OTHER"
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._tracer.start_as_current_span(
            method,
            context=self._propagate.extract(carrier),
            kind=self._trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def end(verb: str, route: str | None, status: int) -> None:
                span.set_attribute("http.request.method", method)
                if route is not None:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                span.set_attribute("omp.verb", verb)
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(self._trace.StatusCode.ERROR)

            yield end


def tracing(scope: Scope, tracer: Tracing | None) -> AbstractContextManager[SpanEnd]:
    """The span of a request, or nothing where there is no tracing."""
    return nullcontext(_ignore) if tracer is None else tracer.request(scope)


def available_tracing() -> Tracing | None:
    """Tracing, if OpenTelemetry's API is installed."""
    return Tracing() if is_installed("opentelemetry") else None


def _ignore(verb: str, route: str | None, status: int) -> None:
    pass
