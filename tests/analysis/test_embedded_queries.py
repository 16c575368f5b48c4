"""What of a query reaches the embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from openmem import Memory
from openmem.ranking.constants import MAX_QUERY_CHARACTERS

QUESTION = "Which allergy does my sister Anna have?"
LONG = f"{'tea ' * (MAX_QUERY_CHARACTERS // 4)} and coffee"


class Recording:
    model = "recording"
    dim = 2

    def __init__(self) -> None:
        self.queries: list[str] = []

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [[1.0, 0.0] for _ in texts]

    def embed_query(self, text: str) -> Sequence[float]:
        self.queries.append(text)
        return [0.0, 1.0]


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "memory":
        return {"provider": "memory"}
    return {"url": request.getfixturevalue("url")}


@pytest.mark.parametrize(
    ("query", "embedded"),
    [
        (f"Good evening. The bus was late again. {QUESTION} Thanks!", QUESTION),
        (QUESTION, QUESTION),
        ("The bus was late. The sun was out.", "The bus was late. The sun was out."),
        (LONG, LONG),
        (f"{LONG}. {QUESTION}", QUESTION),
    ],
)
def test_the_sentences_that_ask_are_embedded(settings: dict[str, Any], query: str, embedded: str) -> None:
    embedder = Recording()
    with Memory(**settings, embedder=embedder) as memory:
        memory.search(query, user_id="u")
        memory.context(query, user_id="u")
    assert embedder.queries == [embedded] * 2
