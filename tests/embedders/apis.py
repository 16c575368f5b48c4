"""The embedding APIs of Cohere, Voyage and Ollama on loopback, which take nothing but what they document."""

from __future__ import annotations

import array
import base64
from typing import Any, ClassVar

from ..service import RefusedError, Reply
from .service import KEY, Request, Service, vector_of


class Api(Service):
    """A service; `dim` is the length of its model's own vectors."""

    path: str
    required: ClassVar[dict[str, type]]
    optional: ClassVar[dict[str, type]]
    most_texts: int
    dim = 6

    def __init__(self) -> None:
        super().__init__()
        self.url = self.url.removesuffix("/v1")

    def refused(self, status: int, message: str) -> RefusedError:
        """An error as the service writes it."""
        raise NotImplementedError

    def answer_of(self, body: dict[str, Any]) -> dict[str, Any]:
        """The good answer to a request that is valid."""
        raise NotImplementedError

    def texts(self, body: dict[str, Any]) -> list[str]:
        texts: list[str] = body["input"]
        return texts

    def vectors(self, body: dict[str, Any], dim: int | None) -> list[list[float]]:
        return [vector_of(text, dim or self.dim) for text in self.texts(body)]

    def perform(self, request: Request) -> Reply:
        try:
            self.check_key(request)
            if request.path != self.path:
                raise self.refused(404, f"no such path: {request.path}")
            body = request.body
            for name, kind in self.required.items():
                if not isinstance(body.get(name), kind):
                    raise self.refused(400, f"{name} is missing")
            for name, value in body.items():
                kind = {**self.required, **self.optional}.get(name, type(None))
                if not isinstance(value, kind):
                    raise self.refused(400, f"unknown field {name}")
            if not 0 < len(self.texts(body)) <= self.most_texts:
                raise self.refused(400, f"too many inputs: at most {self.most_texts} are allowed")
            return self.refuse(body) or Reply(body=self.answer_of(body))
        except RefusedError as error:
            return error.reply

    def check_key(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise self.refused(401, f"invalid api token {request.headers.get('authorization')}")


class Cohere(Api):
    path = "/v2/embed"
    required: ClassVar[dict[str, type]] = {"model": str, "texts": list, "input_type": str, "embedding_types": list}
    optional: ClassVar[dict[str, type]] = {"truncate": str, "output_dimension": int}
    most_texts = 96

    def refused(self, status: int, message: str) -> RefusedError:
        return RefusedError(status, {"id": "1", "message": message})

    def texts(self, body: dict[str, Any]) -> list[str]:
        texts: list[str] = body["texts"]
        return texts

    def answer_of(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["input_type"] not in ("search_query", "search_document"):
            raise self.refused(400, "invalid input_type")
        if body["embedding_types"] != ["float"] or body.get("truncate") != "NONE":
            raise self.refused(400, "invalid embedding_types")
        vectors = self.vectors(body, body.get("output_dimension"))
        return {"id": "1", "texts": body["texts"], "embeddings": {"float": vectors}, "meta": {}}


class Voyage(Api):
    path = "/v1/embeddings"
    required: ClassVar[dict[str, type]] = {"model": str, "input": list, "input_type": str}
    optional: ClassVar[dict[str, type]] = {"truncation": bool, "output_dimension": int, "encoding_format": str}
    most_texts = 1000

    def __init__(self) -> None:
        super().__init__()
        self.url += "/v1"

    def refused(self, status: int, message: str) -> RefusedError:
        return RefusedError(status, {"detail": message})

    def answer_of(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["input_type"] not in ("query", "document") or body.get("encoding_format") != "base64":
            raise self.refused(400, "invalid input_type")
        items = [
            {"object": "embedding", "index": index, "embedding": base64.b64encode(array.array("f", vector)).decode()}
            for index, vector in enumerate(self.vectors(body, body.get("output_dimension")))
        ]
        return {"object": "list", "data": items, "model": body["model"], "usage": {"total_tokens": 1}}


class Ollama(Api):
    path = "/api/embed"
    required: ClassVar[dict[str, type]] = {"model": str, "input": list}
    optional: ClassVar[dict[str, type]] = {"truncate": bool, "dimensions": int}
    most_texts = 10_000

    def check_key(self, request: Request) -> None:
        if "authorization" in request.headers:
            raise self.refused(400, "this server has no keys")

    def refused(self, status: int, message: str) -> RefusedError:
        return RefusedError(status, {"error": message})

    def answer_of(self, body: dict[str, Any]) -> dict[str, Any]:
        vectors = self.vectors(body, body.get("dimensions"))
        return {"model": body["model"], "embeddings": vectors, "total_duration": 1, "load_duration": 1}
