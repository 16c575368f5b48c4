"""Queries of many words: every word counts, or the rarest do, in the rankings of few and of many memories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from openmem import AsyncMemory, Memory
from openmem.ranking.constants import EXACT_SCAN_LIMIT, MAX_QUERY_CHARACTERS
from openmem.ranking.scale import unscaled
from openmem.testing.modes import Async, Mode, Sync

from ..servers import Server

SYLLABLES = ("ba", "do", "ki", "lu", "me", "no", "pa", "ri")
# Known by some memories each, and in no dictionary of stems or stop words.
COMMON = [f"{a}{b}{c}x" for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES][:300]
ANSWER = "a walnut zither hums inside the quokka cupboard"
COUNTS = {"few": 300, "many": EXACT_SCAN_LIMIT + 400}
BEGIN = datetime(2023, 1, 1, tzinfo=UTC)


class Constant:
    """All texts are equally near, so that words alone tell memories apart."""

    model = "constant"
    dim = 2

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [[1.0, 0.0] for _ in texts]


@pytest.fixture(scope="module")
def stored(server: Server) -> str:
    """A database where a user of few and one of many memories have one answer each, in the middle."""
    url = server.create_database()
    with Memory(url=url, embedder=Constant(), language="en") as memory:
        for user, count in COUNTS.items():
            texts = [f"{COMMON[number % 300]} {COMMON[(number * 7 + 1) % 300]} note" for number in range(count)]
            texts[count - 100] = ANSWER
            memory.add_many(
                # Hours apart, so that there are no neighbors.
                {"content": text, "user_id": user, "valid_from": BEGIN + timedelta(hours=2 * number)}
                for number, text in enumerate(texts)
            )
    return url


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    try:
        yield mode
    finally:
        mode.close()


@pytest.fixture
def client(stored: str, mode: Mode) -> AsyncMemory:
    return mode.client(url=stored, embedder=Constant(), language="en")


def unknown(count: int) -> list[str]:
    """Words that no memory has."""
    return [f"zy{''.join('bcdfghjklm'[int(digit)] for digit in str(number))}vw" for number in range(count)]


def known(count: int) -> list[str]:
    """Words that some memories have each, but hardly any has two of."""
    return COMMON[:count]


@pytest.mark.parametrize("user", COUNTS)
@pytest.mark.parametrize("words", [4, 19, 20, 21, 41, 42, 61, 62, 200])
@pytest.mark.parametrize("last", [True, False], ids=["said last", "said first"])
@pytest.mark.parametrize("fillers", [unknown, known])
def test_the_rarest_words_of_a_query_count(
    mode: Mode, client: AsyncMemory, user: str, words: int, last: bool, fillers: Callable[[int], list[str]]
) -> None:
    others = fillers(words - 4)
    query = " ".join([*others, "walnut zither quokka cupboard"] if last else ["walnut zither quokka cupboard", *others])

    async def body() -> None:
        async with client:
            hits = await client.search(query, user, limit=2)
        assert hits[0].memory.content == ANSWER
        # Four of so many words, against at most two.
        assert hits[0].score - hits[1].score > 0.65 * 0.8 * 2 / words

    mode.run(body())


@pytest.mark.parametrize("user", COUNTS)
def test_words_that_nobody_has_lessen_a_score_alike_however_many(mode: Mode, client: AsyncMemory, user: str) -> None:
    """A score is the share of the query that a memory covers, also for more words than a mask holds."""

    async def body() -> None:
        async with client:
            for count in (30, 57, 58, 100):
                [hit] = await client.search(" ".join([*unknown(count), "walnut zither quokka cupboard"]), user, limit=1)
                share = (unscaled(hit.score) - 0.35) / 0.65
                # The weights of unknown words are up to a seventh above those of words that one memory has.
                assert 4 / (count + 4) * 0.85 < share <= 4 / (count + 4) + 1e-6

    mode.run(body())


@pytest.mark.parametrize("user", COUNTS)
@pytest.mark.parametrize("end", [True, False], ids=["at its end", "at its beginning"])
@pytest.mark.parametrize("separator", [" ", "-", ":", "/", "."])
def test_a_query_of_any_length_is_searched(
    mode: Mode, client: AsyncMemory, user: str, end: bool, separator: str
) -> None:
    filler = separator.join(unknown(6_500))
    query = f"{filler} walnut zither quokka cupboard" if end else f"walnut zither quokka cupboard {filler}"

    async def body() -> None:
        async with client:
            hits = await client.search(query, user, limit=3)
        assert hits[0].memory.content == ANSWER

    mode.run(body())


@pytest.mark.parametrize("user", COUNTS)
def test_as_many_different_words_as_a_query_can_have(mode: Mode, client: AsyncMemory, user: str) -> None:
    digits = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [f"{a}{b}" for a in digits for b in digits] + [
        f"{a}{b}{c}" for a in digits for b in digits for c in digits
    ]

    async def body() -> None:
        async with client:
            for query in (" ".join(pieces), "-".join(pieces), "/".join(pieces), "a.co/" + " a.co/".join(pieces)):
                assert len(await client.search(query[:MAX_QUERY_CHARACTERS], user, limit=3)) == 3

    mode.run(body())
