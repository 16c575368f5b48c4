"""OpenAI's embeddings endpoint on loopback, with failures on demand."""

from __future__ import annotations

import array
import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..service import Reply, ScriptedService

KEY = "sk-test-0123456789abcdef"
FULL_DIMS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


def vector_of(text: str, dim: int) -> list[float]:
    """What the service answers for a text: exact in 32 bits."""
    return [1.0 + (zlib.crc32(text.encode()) >> (8 * (place % 3))) % 256 for place in range(dim)]


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class Service(ScriptedService[Request]):
    """The service; its `url` is the base URL that clients want, `refuse` answers what it does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.url += "/v1"
        self.refuse: Callable[[dict[str, Any]], Reply | None] = lambda body: None

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    def read(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> Request:
        return Request(target, headers, body)

    def perform(self, request: Request) -> Reply:
        if request.path != "/v1/embeddings":
            return error(404, f"no such path: {request.path}")
        key = request.headers.get("authorization")
        if key != f"Bearer {KEY}":
            return error(401, f"Incorrect API key provided: {key}", "invalid_api_key")
        return self.refuse(request.body) or Reply(body=answer(request.body))


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """The good answer to a request, in the encoding it asks for."""
    dim = body.get("dimensions") or FULL_DIMS.get(body["model"], 4)
    items = []
    for index, text in enumerate(body["input"]):
        vector: Any = vector_of(text, dim)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(array.array("f", vector).tobytes()).decode()
        items.append({"object": "embedding", "index": index, "embedding": vector})
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": items, "model": body["model"], "usage": usage}


def error(status: int, message: str, code: str | None = None, **headers: str) -> Reply:
    """An error in the form the service gives it."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
