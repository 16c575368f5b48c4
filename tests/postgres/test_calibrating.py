"""Where baselines come from and stay: one request for a model and a database, which no verb fails for."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory
from openmem.embedders.hashing import HashingEmbedder
from openmem.providers.calibration import notes
from openmem.providers.memory import MemoryStore
from openmem.testing.modes import Async, Mode, Sync

from ..servers import Server

NOTES = {note for group in notes() for note in group}


class Narrow:
    """Vectors of `HashingEmbedder` with a common part, so that all cosines are above .7. It counts its texts."""

    model = "narrow"
    dim = 257

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self._hashing = HashingEmbedder()

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.requests.append(list(texts))
        return [[math.sqrt(2.5), *vector] for vector in self._hashing.embed(texts)]

    def requests_of_notes(self) -> int:
        return sum(not NOTES.isdisjoint(texts) for texts in self.requests)


class Refusing(Narrow):
    """It knows no text but those of the test."""

    model = "refusing"

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors = super().embed(texts)
        if not NOTES.isdisjoint(texts):
            raise ValueError(f"unknown: {texts}")
        return vectors


class Endless(Narrow):
    """It is never done with the notes."""

    model = "endless"

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()

    async def aembed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors = self.embed(texts)
        if not NOTES.isdisjoint(texts):
            self.is_asked.set()
            await asyncio.Event().wait()
        return vectors


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    try:
        yield mode
    finally:
        mode.close()


@pytest.fixture(params=["postgres", "memory"])
def settings(request: pytest.FixtureRequest, server: Server) -> dict[str, Any]:
    """What clients of one fresh store are opened with."""
    if request.param == "memory":
        return {"provider": "memory", "store": MemoryStore()}
    return {"url": server.create_database()}


TEXTS = ("green tea in the morning", "a cello lesson on Friday", "the garden gate is broken")


async def searched(mode: Mode, settings: dict[str, Any], embedder: Narrow) -> list[float]:
    client: AsyncMemory = mode.client(embedder=embedder, **settings)
    async with client:
        hits = await client.search("tea in the morning", "u")
        assert [hit.memory.content for hit in hits][:1] == [TEXTS[0]]
        assert (await client.context("a cello lesson", "u")).citations
        return [hit.score for hit in hits]


def test_a_model_is_calibrated_once_and_all_processes_give_the_same_scores(
    mode: Mode, settings: dict[str, Any]
) -> None:
    async def body() -> None:
        first, second = Narrow(), Narrow()
        async with mode.client(embedder=first, **settings) as client:
            for text in TEXTS:
                await client.add(content=text, user_id="u")
            assert first.requests_of_notes() == 0
        scores = [await searched(mode, settings, embedder) for embedder in (first, first, second)]
        assert (first.requests_of_notes(), second.requests_of_notes()) == (1, 0)
        assert scores[0] == scores[1] == scores[2]
        assert min(scores[0][1:], default=0.0) < 0.3

    mode.run(body())


def test_an_embedder_that_refuses_the_notes_fails_no_search_and_is_not_asked_again(
    mode: Mode, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    embedder = Refusing()

    async def body() -> None:
        async with mode.client(embedder=embedder, **settings) as client:
            for text in TEXTS:
                await client.add(content=text, user_id="u")
            for _ in range(3):
                hits = await client.search("tea in the morning", "u")
                assert hits[0].memory.content == TEXTS[0]

    with caplog.at_level(logging.DEBUG, logger="openmem.embedders"):
        mode.run(body())
    assert embedder.requests_of_notes() == 1
    [line] = [record.getMessage() for record in caplog.records if "calibrated" in record.getMessage()]
    assert not any(note in line for note in NOTES)


def test_searches_with_a_deadline_are_not_cancelled_one_after_the_other(settings: dict[str, Any]) -> None:
    async def body() -> None:
        embedder = Endless()
        async with AsyncMemory(embedder=embedder, **settings) as memory:
            await memory.add(content=TEXTS[0], user_id="u")
            first = asyncio.create_task(memory.search("tea in the morning", "u"))
            await embedder.is_asked.wait()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            async with asyncio.timeout(60):
                assert await memory.search("tea in the morning", "u")
        assert embedder.requests_of_notes() == 1

    asyncio.run(body())


def test_what_a_model_was_calibrated_with_is_kept(server: Server) -> None:
    url = server.create_database()
    with Memory(url=url, embedder=Narrow()) as memory, psycopg.connect(url, autocommit=True) as admin:
        memory.search("tea", "u")
        count = "SELECT count(*), min(embedding_model) FROM openmem.baselines"
        assert admin.execute(count).fetchone() == (len(notes()), "narrow")
    with Memory(url=url, embedder=Narrow()) as memory, psycopg.connect(url, autocommit=True) as admin:
        memory.search("tea", "u")
        assert admin.execute(count).fetchone() == (len(notes()), "narrow")


def test_a_read_only_database_is_searched_without(server: Server) -> None:
    url = server.create_database()
    with Memory(url=url, embedder=Narrow()) as memory:
        memory.add(content=TEXTS[0], user_id="u")
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
    embedder = Narrow()
    with Memory(url=url, embedder=embedder) as memory:
        assert memory.search("tea in the morning", "u")[0].memory.content == TEXTS[0]
    assert embedder.requests_of_notes() == 0
