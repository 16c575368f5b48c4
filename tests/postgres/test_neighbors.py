"""What a memory gets from a better one beside it never lets it reach that one, whatever the embedder's cosines are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openmem import AsyncMemory, Memory
from openmem.providers.postgres import statements
from openmem.ranking import constants
from openmem.testing.modes import Async, Mode, Sync

from ..servers import Server

BEGIN = datetime(2023, 1, 2, tzinfo=UTC)
WORDS = ("alpha", "bravo", "delta", "gamma")
QUERY = f"zulu {' '.join(WORDS)}"
# Between which cosines an embedder's lie: from those of random vectors to those of contrastive models.
RANGES = [(0.02, 0.2), (0.1, 0.3), (0.2, 0.5), (0.3, 0.6), (0.76, 0.88), (0.76, 0.82), (0.0, 1.0)]


@dataclass(frozen=True)
class Said:
    """A memory with this cosine to the query, some of its words, and perhaps a question mark."""

    cosine: float
    words: frozenset[str] = frozenset()
    asks: bool = False

    def content(self, number: int) -> str:
        return f"m{number} {self.cosine!r} {' '.join(sorted(self.words))}{'?' if self.asks else ''}"


class Cone:
    """The query is the axis; each memory has the cosine to it that its text says."""

    model = "cone"
    dim = 32

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dim
        if text == QUERY:
            vector[0] = 1.0
        else:
            name, cosine = text.split()[:2]
            vector[0] = float(cosine)
            vector[1 + int(name[1:]) % (self.dim - 1)] = math.sqrt(1 - vector[0] ** 2)
        return vector


@st.composite
def episodes(draw: st.DrawFn, size: int, words: bool) -> list[list[Said]]:
    """Some hours, with up to so many memories each."""
    low, high = draw(st.sampled_from(RANGES))
    cosine = st.one_of(st.floats(low, high), st.sampled_from([low, (low + high) / 2, high]))
    said = st.frozensets(st.sampled_from(WORDS)) if words else st.just(frozenset[str]())
    memory = st.builds(Said, cosine, said, st.booleans() if words else st.just(False))
    return draw(st.lists(st.lists(memory, min_size=2, max_size=size), min_size=1, max_size=4))


class Stores:
    """Clients of one database that rank with and without boosts."""

    def __init__(self, url: str, mode: Mode) -> None:
        self.url, self.mode = url, mode
        self._made: dict[bool, AsyncMemory] = {}

    def scores(self, user: str, *, boosting: bool, limit: int = 100) -> dict[str, float]:
        """The scores by content, the best first."""
        found: dict[str, float] = {}

        async def search() -> None:
            client = self._made.get(boosting)
            if client is None:
                client = self._made[boosting] = self.mode.client(url=self.url, embedder=Cone(), audit="off")
            for hit in await client.search(QUERY, user, limit=limit):
                found[hit.memory.content] = hit.score

        if boosting:
            self.mode.run(search())
            return found
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(constants, "SEEDS", 0)
            statements.cached_statements.cache_clear()
            self.mode.run(search())
        statements.cached_statements.cache_clear()
        return found

    def close(self) -> None:
        async def close() -> None:
            for client in self._made.values():
                await client.close()

        self.mode.run(close())


@pytest.fixture(scope="module", params=[Sync, Async], ids=["sync", "async"])
def stores(request: pytest.FixtureRequest, server: Server) -> Iterator[Stores]:
    mode: Mode = request.param()
    stores = Stores(server.create_database(), mode)
    try:
        yield stores
    finally:
        stores.close()
        mode.close()


def ranked(stores: Stores, hours: list[list[Said]]) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
    """The scores of what is their own and the final ones, in the rankings of few and of many memories."""
    user = uuid4().hex
    with Memory(url=stores.url, embedder=Cone()) as memory:
        memory.add_many(
            {"content": said.content(10 * hour + number), "user_id": user, "valid_from": BEGIN + timedelta(hours=hour)}
            for hour, episode in enumerate(hours)
            for number, said in enumerate(episode)
        )
    yield stores.scores(user, boosting=False), stores.scores(user, boosting=True)
    with psycopg.connect(stores.url, autocommit=True) as admin:
        admin.execute("UPDATE openmem.memories SET ordinal = ordinal + 10000 WHERE user_id = %s", [user])
    yield stores.scores(user, boosting=False), stores.scores(user, boosting=True)


@settings(max_examples=25)
@given(hours=episodes(2, words=True))
@example(hours=[[Said(0.3), Said(0.6)]])
@example(hours=[[Said(0.6), Said(0.3)]])
@example(hours=[[Said(0.88, frozenset({"alpha"})), Said(0.76, frozenset({"bravo"}))]])
@example(hours=[[Said(0.5, frozenset({"alpha"})), Said(0.5, frozenset({"bravo"}))]])
@example(hours=[[Said(0.9, frozenset(WORDS)), Said(0.9, frozenset({"alpha", "bravo", "delta"}))]])
def test_of_two_the_better_one_stays_ahead(stores: Stores, hours: list[list[Said]]) -> None:
    for own, final in ranked(stores, hours):
        places = {content: place for place, content in enumerate(final)}
        for hour, (one, other) in enumerate(hours):
            pair = one.content(10 * hour), other.content(10 * hour + 1)
            if not all(content in own for content in pair):
                continue
            better, worse = sorted(pair, key=list(own).index)
            # The reply may overtake its question.
            if better.endswith("?") and not worse.endswith("?"):
                continue
            assert final[worse] <= final[better]
            assert places[better] < places[worse]
            assert final[worse] < final[better] or own[worse] == own[better]


@settings(max_examples=25)
@given(hours=episodes(3, words=False))
@example(hours=[[Said(0.3), Said(0.6), Said(0.3)], [Said(0.79), Said(0.79), Said(0.8)]])
@example(hours=[[Said(0.02), Said(0.2), Said(0.02)], [Said(0.76), Said(0.88), Said(0.76)]])
def test_similarity_alone_changes_no_order_within_an_episode(stores: Stores, hours: list[list[Said]]) -> None:
    for own, final in ranked(stores, hours):
        for hour, episode in enumerate(hours):
            contents = {said.content(10 * hour + number) for number, said in enumerate(episode)}
            assert [one for one in own if one in contents] == [one for one in final if one in contents]


@settings(max_examples=25)
@given(hours=episodes(6, words=True))
def test_what_was_boosted_is_behind_a_seed(stores: Stores, hours: list[list[Said]]) -> None:
    """Among those two places around a memory is one that gave it what it got, and is no better, or still before it."""
    for own, final in ranked(stores, hours):
        order = list(own)
        for hour, episode in enumerate(hours):
            contents = [said.content(10 * hour + number) for number, said in enumerate(episode)]
            for place, content in enumerate(contents):
                if content not in own or final[content] <= own[content] + 1e-9:
                    continue
                seeds = [one for one in contents[max(place - 2, 0) : place + 3] if one in own and one != content]
                assert any(
                    order.index(one) > order.index(content)
                    or final[one] > final[content]
                    or (one.endswith("?") and not content.endswith("?"))
                    for one in seeds
                )


def test_the_reply_may_overtake_its_question(stores: Stores) -> None:
    question = Said(0.5, frozenset({"alpha", "bravo"}), asks=True)
    reply = Said(0.5, frozenset({"delta"}))
    for own, final in ranked(stores, [[question, reply]]):
        assert next(iter(own)).endswith("?")
        assert not next(iter(final)).endswith("?")


def test_a_neighbor_is_still_helped(stores: Stores) -> None:
    hours = [[Said(0.6, frozenset({"alpha", "bravo"})), Said(0.4)], [Said(0.4), Said(0.1)]]
    for own, final in ranked(stores, hours):
        helped, alone = hours[0][1].content(1), hours[1][0].content(10)
        assert own[helped] == pytest.approx(own[alone])
        assert final[helped] > final[alone] + 0.1


@settings(max_examples=10)
@given(hours=episodes(4, words=True))
@example(
    hours=[[Said(0.02, frozenset({"alpha", "bravo", "delta"}), asks=True), Said(0.3, frozenset({"alpha", "gamma"}))]]
)
def test_fewer_results_are_the_first_of_more(stores: Stores, hours: list[list[Said]]) -> None:
    user = uuid4().hex
    with Memory(url=stores.url, embedder=Cone()) as memory:
        memory.add_many(
            {"content": said.content(10 * hour + number), "user_id": user, "valid_from": BEGIN + timedelta(hours=hour)}
            for hour, episode in enumerate(hours)
            for number, said in enumerate(episode)
        )
    for many in (False, True):
        if many:
            with psycopg.connect(stores.url, autocommit=True) as admin:
                admin.execute("UPDATE openmem.memories SET ordinal = ordinal + 10000 WHERE user_id = %s", [user])
        every = list(stores.scores(user, boosting=True).items())
        for limit in (1, 2, 3, 5):
            assert list(stores.scores(user, boosting=True, limit=limit).items()) == every[:limit]
