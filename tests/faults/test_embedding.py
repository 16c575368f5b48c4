"""Verbs whose texts are embedded together share nothing but the call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from openmem import ProviderError
from openmem.embedders.hashing import HashingEmbedder

from .harness import CANCEL_BOUND, USER, Database, cancelled_after, run, until


class Watched(HashingEmbedder):
    """An embedder that cannot read "poison", and tells what it was asked at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.calls.append(list(texts))
        self.go_on.wait(10)
        if "poison" in texts:
            raise ValueError("unreadable")
        return super().embed(texts)


def test_each_verb_gets_the_vector_of_its_own_text(db: Database) -> None:
    embedder = Watched()
    words = [f"word{number}" for number in range(40)]

    async def main() -> None:
        async with db.async_open(embedder=embedder) as mem:
            added = await asyncio.gather(*(mem.add(content=word, user_id=USER) for word in words))
            assert [record.content for record in added] == words
            assert len(embedder.calls) < len(words)
            for word in words:
                [vector] = embedder.embed([word])
                near = f"'[{','.join(map(str, vector))}]'"
                distance = db.ask(
                    f"SELECT round(1000 * (embedding <=> {near}::halfvec)) FROM openmem.memories "  # noqa: S608
                    f"WHERE content = '{word}'"
                )
                assert distance == 0

    run(main())


def test_a_text_that_cannot_be_embedded_fails_alone(db: Database) -> None:
    async def main() -> None:
        async with db.async_open(embedder=Watched()) as mem:
            texts = ["tea", "poison", "coffee"]
            outcomes = await asyncio.gather(*(mem.search(text, USER) for text in texts), return_exceptions=True)
            assert isinstance(outcomes[1], ProviderError)
            assert isinstance(outcomes[1].__cause__, ValueError)
            assert not any(isinstance(outcome, BaseException) for outcome in (outcomes[0], outcomes[2]))

    run(main())


def test_a_cancelled_verb_leaves_its_neighbours_alone(db: Database) -> None:
    embedder = Watched()

    async def main() -> None:
        async with db.async_open(embedder=embedder) as mem:
            embedder.go_on.clear()
            calls = [asyncio.create_task(mem.search(text, USER)) for text in ("tea", "coffee")]
            await until(lambda: ["tea", "coffee"] in embedder.calls, within=5)
            assert await cancelled_after(calls[0]) < CANCEL_BOUND
            embedder.go_on.set()
            await calls[1]

    run(main())


@pytest.mark.parametrize("stuck", [4, 6])
def test_verbs_cancelled_in_a_stuck_embedder_do_not_block_the_next(db: Database, stuck: int) -> None:
    embedder = Watched()

    async def main() -> None:
        async with db.async_open(embedder=embedder) as mem:
            embedder.go_on.clear()
            for number in range(stuck):
                call = asyncio.create_task(mem.search(f"stuck {number}", USER))
                await asyncio.sleep(0.02)
                assert await cancelled_after(call) < CANCEL_BOUND
            released = embedder.go_on
            embedder.go_on = threading.Event()
            embedder.go_on.set()
            async with asyncio.timeout(2):
                await mem.search("tea", USER)
            released.set()

    run(main())
