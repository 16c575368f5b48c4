"""An OpenAI-compatible embeddings endpoint on loopback, with an embedder of openmem behind it."""

from __future__ import annotations

import array
import base64
from collections.abc import Mapping
from typing import Any

from openmem.embedders.hashing import HashingEmbedder

from ..service import Reply, ScriptedService

MODEL = "text-embedding-3-small"
DIM = 256


class EmbeddingService(ScriptedService[Any]):
    """The endpoint; its `url` is the base URL that OpenAI's clients want, and requests are their bodies."""

    def __init__(self) -> None:
        self._embedder = HashingEmbedder(DIM)
        super().__init__()
        self.url += "/v1"

    def read(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> Any:
        return body

    def perform(self, request: Any) -> Reply:
        if request is None:
            return Reply(body={"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        vectors: list[Any] = [list(vector) for vector in self._embedder.embed(texts)]
        if request.get("encoding_format") == "base64":
            vectors = [base64.b64encode(array.array("f", vector).tobytes()).decode() for vector in vectors]
        data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return Reply(body={"object": "list", "data": data, "model": request["model"], "usage": usage})


def config_of(url: str) -> dict[str, Any]:
    """The ``embedding_config`` of an archive that embeds at the endpoint with this URL."""
    return {
        "embedding_dim": DIM,
        "embedding_endpoint_type": "openai",
        "embedding_endpoint": url,
        "embedding_model": MODEL,
        "embedding_chunk_size": 300,
    }
