"""Cohere's rerank endpoint on loopback, with failures on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..service import Reply, ScriptedService

KEY = "co-test-0123456789abcdef"


def relevance(query: str, text: str) -> float:
    """What the service answers for a text: the share of its words that the query has."""
    words = text.lower().split()
    return sum(word in query.lower().split() for word in words) / max(1, len(words))


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class Service(ScriptedService[Request]):
    """The service; its answers are ordered by relevance, as Cohere's are."""

    def read(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> Request:
        return Request(target, headers, body)

    def perform(self, request: Request) -> Reply:
        if request.path != "/v2/rerank":
            return Reply(404, {"message": f"no such path: {request.path}"})
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, {"message": "invalid api token"})
        query = request.body["query"]
        return reply([relevance(query, text) for text in request.body["documents"]])


def reply(scores: list[float]) -> Reply:
    """The good answer with these scores, in the order of the texts."""
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
    return Reply(body={"id": "x", "results": sorted(results, key=lambda result: -result["relevance_score"])})
