"""OpenAI's embeddings endpoint on loopback, with failures on demand."""

from __future__ import annotations

import array
import base64
import json
import threading
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openai.types import CreateEmbeddingResponse, Embedding
from openai.types.create_embedding_response import Usage

KEY = "sk-test-0123456789abcdef"
FULL_DIMS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


def vector_of(text: str, dim: int) -> list[float]:
    """What the service answers for a text: exact in 32 bits."""
    return [1.0 + (zlib.crc32(text.encode()) >> (8 * (place % 3))) % 256 for place in range(dim)]


@dataclass
class Reply:
    """An answer out of the ordinary."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Script = Reply | Callable[[dict[str, Any]], Reply]


class Service:
    """The service; `script` holds its next answers, after which it answers well."""

    def __init__(self) -> None:
        self.script: deque[Script] = deque()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.stuck = threading.Event()
        self.release = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                service.connections += 1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.bodies.append(body)
                service.headers.append({name.lower(): value for name, value in self.headers.items()})
                reply = service._reply(self.path, body)
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: object) -> None:
                """A client that hung up is part of some tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hang(self, body: dict[str, Any]) -> Reply:
        """A script step: answer only when the test is over."""
        self.stuck.set()
        self.release.wait(30)
        return Reply(body=answer(body))

    def _reply(self, path: str, body: dict[str, Any]) -> Reply:
        if path != "/v1/embeddings":
            return error(404, f"no such path: {path}")
        if self.headers[-1].get("authorization") != f"Bearer {KEY}":
            return error(401, f"Incorrect API key provided: {self.headers[-1].get('authorization')}", "invalid_api_key")
        if self.script:
            step = self.script.popleft()
            return step if isinstance(step, Reply) else step(body)
        return Reply(body=answer(body))


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """The good answer to a request, in the encoding it asks for."""
    dim = body.get("dimensions") or FULL_DIMS.get(body["model"], 4)
    items = []
    for index, text in enumerate(body["input"]):
        vector: Any = vector_of(text, dim)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(array.array("f", vector).tobytes()).decode()
        items.append(Embedding.model_construct(embedding=vector, index=index, object="embedding"))
    response = CreateEmbeddingResponse.model_construct(
        data=items, model=body["model"], object="list", usage=Usage(prompt_tokens=1, total_tokens=1)
    )
    return response.model_dump(warnings=False)


def error(status: int, message: str, code: str | None = None, **headers: str) -> Reply:
    """An error in the form the service gives it."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
