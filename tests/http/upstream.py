"""A server on loopback that answers as a test says, byte by byte if need be: what a wrong upstream sends."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from openmem.models import Capabilities, CapabilityFeatures, CapabilityLimits

MOMENT = "2026-01-31T12:00:00Z"
FEATURES = CapabilityFeatures(scopes="native", temporal=True, supports_supersession=True, max_content_length=65_536)
VERBS = ["add", "add_many", "get", "update", "delete", "list", "search", "context", "audit", "capabilities"]


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Any

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of the query string, in their order."""
        return parse_qsl(urlsplit(self.target).query)

    @property
    def query(self) -> dict[str, str]:
        """The same by name, of those that are given once."""
        return dict(self.parameters)


Piece: TypeAlias = bytes | float
"""What to send, or how many seconds to wait; a connection is closed after a wait of less than none."""
Answer: TypeAlias = Callable[[Request], Iterable[Piece]]

HANG_UP = -1.0


class Upstream:
    """The server. Use it in a ``with`` block.

    Args:
        answer: what it sends for a request that is not about its capabilities.
        greeting: what it sends for one that is.
        features, limits, verbs: what it says of itself.

    Attributes:
        url: where it listens.
        requests: all so far, but for those about capabilities.
        greetings: those.
        connections: how many have been made.
        open: how many are open.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        greeting: Answer | None = None,
        features: CapabilityFeatures | None = None,
        limits: CapabilityLimits | None = None,
        verbs: Sequence[str] = VERBS,
    ) -> None:
        self.answer = answer
        self._greeting = greeting or (lambda request: reply(self._capabilities.to_wire()))
        self.requests: list[Request] = []
        self.greetings: list[Request] = []
        self.connections = 0
        self.open = 0
        self._capabilities = Capabilities(
            provider="upstream",
            verbs=list(verbs),
            features=features or FEATURES,
            limits=limits or CapabilityLimits(),
        )
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []
        self._wake, self._ends = socket.socketpair()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()
        self._listener.shutdown(socket.SHUT_RDWR)
        for wire in self._sockets:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        self._wake.close()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(wire)
            thread = threading.Thread(target=self._serve, args=(wire,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, wire: socket.socket) -> None:
        with self._lock:
            self.open += 1
        try:
            with wire, wire.makefile("rb") as stream, contextlib.suppress(OSError):
                while (request := _read(stream)) is not None:
                    is_greeting = request.path.endswith("/capabilities")
                    (self.greetings if is_greeting else self.requests).append(request)
                    pieces = self._greeting(request) if is_greeting else self.answer(request)
                    for piece in pieces:
                        if isinstance(piece, bytes):
                            wire.sendall(piece)
                        elif piece < 0 or not self._wait(wire, piece):
                            return
        finally:
            with self._lock:
                self.open -= 1

    def _wait(self, wire: socket.socket, seconds: float) -> bool:
        """Whether both ends are still there after some time."""
        ready, _, _ = select.select([wire, self._wake], [], [], seconds)
        return not ready


def _read(stream: Any) -> Request | None:
    line = stream.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers = {}
    while (header := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    content = stream.read(int(headers.get("content-length", 0)))
    return Request(line[0], line[1], headers, json.loads(content) if content else None)


def head(status: int, length: int | None, *headers: str) -> bytes:
    """The beginning of a reply."""
    lines = [f"HTTP/1.1 {status} Because", "Content-Type: application/json", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def reply(body: object, status: int = 200, *headers: str) -> list[Piece]:
    """A reply with a body: JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [head(status, len(content), *headers) + content]


def record(request: Request, **fields: Any) -> dict[str, Any]:
    """The memory that a request asks for, or gives."""
    given = request.body or {}
    return {
        "id": request.path.removeprefix("/memories/") if request.path.count("/") == 2 else "m1",
        "content": given.get("content", "tea"),
        "user_id": given.get("user_id", request.query.get("user_id", "maya")),
        "created_at": MOMENT,
        "scope": given.get("scope", request.query.get("scope")),
        **fields,
    }


def good(request: Request, **fields: Any) -> list[Piece]:
    """A good answer to any request, with other `fields` in its memories than were asked for."""
    match request.method, request.path:
        case "POST", "/memories":
            return reply(record(request, **fields), 201)
        case "POST", "/memories/batch":
            adds = [Request("POST", "/memories", {}, body) for body in request.body["records"]]
            return reply({"memories": [record(add, **fields) for add in adds]}, 201)
        case "GET", "/memories":
            return reply({"items": [record(request, **fields)]})
        case "GET", "/memories/search":
            return reply({"results": [{"memory": record(request, **fields), "score": 0.5}]})
        case "POST", "/context":
            id = fields.get("id", "m1")
            return reply({"text": f"- tea [{id}]", "citations": [{"memory_id": id, "score": 0.5}], "token_count": 5})
        case "GET", "/audit":
            entry = {"timestamp": MOMENT, "action": "add", "memory_id": fields.get("id", "m1"), **fields}
            return reply({"entries": [entry]})
        case "GET", "/healthz":
            return reply({"status": "ok"})
        case "DELETE", _:
            return [head(204, None)]
    return reply(record(request, **fields))


def dripping(data: bytes, seconds: float) -> Iterable[Piece]:
    """`data`, a byte at a time."""
    for byte in data:
        yield bytes([byte])
        yield seconds


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether the condition holds within some time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
