"""An OpenAI-compatible embeddings endpoint on loopback, with an embedder of openmem behind it."""

from __future__ import annotations

import array
import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from openmem.embedders.hashing import HashingEmbedder

MODEL = "text-embedding-3-small"
DIM = 256


class EmbeddingService:
    """The endpoint, for as long as the ``with`` block runs.

    Attributes:
        url: base URL, as OpenAI's clients want it.
    """

    def __init__(self) -> None:
        embedder = HashingEmbedder(DIM)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._answer({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
                vectors: list[Any] = [list(vector) for vector in embedder.embed(texts)]
                if request.get("encoding_format") == "base64":
                    vectors = [base64.b64encode(array.array("f", vector).tobytes()).decode() for vector in vectors]
                data = [
                    {"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)
                ]
                usage = {"prompt_tokens": 1, "total_tokens": 1}
                self._answer({"object": "list", "data": data, "model": request["model"], "usage": usage})

            def _answer(self, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def config_of(url: str) -> dict[str, Any]:
    """The ``embedding_config`` of an archive that embeds at the endpoint with this URL."""
    return {
        "embedding_dim": DIM,
        "embedding_endpoint_type": "openai",
        "embedding_endpoint": url,
        "embedding_model": MODEL,
        "embedding_chunk_size": 300,
    }
