"""Searches of large users, for whom an index finds what is ranked, against the ranking of all their memories."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory
from openmem._ids import bucket_of, new_memory_id
from openmem.access import Grants
from openmem.analysis.analyzer import Analyzer
from openmem.embedders.hashing import HashingEmbedder
from openmem.operations import Search
from openmem.ports.postgres import Statement
from openmem.providers.base import Call
from openmem.providers.calibration import notes
from openmem.providers.postgres import statements
from openmem.providers.postgres.lexemes import term_ids, terms_literal
from openmem.providers.postgres.retrieval import layout
from openmem.providers.postgres.retrieval.searches import Searches
from openmem.providers.postgres.session import DIRECT
from openmem.providers.postgres.statements import Statements
from openmem.ranking.calibration import baselines, reach
from openmem.ranking.scale import unscaled

from ..servers import Server
from .plans import nodes

MANY = "many"
COUNT = 4_500
EMBEDDER = HashingEmbedder()
ANALYZER = Analyzer("en")
SYLLABLES = ("ba", "do", "ki", "lu", "me", "no", "pa", "ri", "su", "ta", "vo", "ze")
WORDS = [f"{a}{b}{c}r" for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]


def sentences(count: int, seed: int) -> list[str]:
    """Sentences of words that are the rarer the later they come in `WORDS`."""
    chance = random.Random(seed)
    return [" ".join(WORDS[int(len(WORDS) * chance.random() ** 3)] for _ in range(9)) for _ in range(count)]


QUESTIONS = sentences(25, seed=2)


@pytest.fixture(scope="module", params=["server", "server_16"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with one user of many memories."""
    server: Server = request.getfixturevalue(request.param)
    url = server.create_database()
    texts = sentences(COUNT, seed=1)
    with opened(url) as memory, psycopg.connect(url, autocommit=True) as admin:
        memory.add(content="the others are no concern of mine: badoki", user_id="another")
        with admin.cursor().copy(
            "COPY openmem.memories "
            "(id, user_id, bucket, ordinal, created_at, content, embedding_model, embedding, terms) FROM STDIN"
        ) as copy:
            for number, (text, vector) in enumerate(zip(texts, EMBEDDER.embed(texts), strict=True), 1):
                created_at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=20 * number)
                id = new_memory_id(MANY)
                terms = terms_literal(term_ids(ANALYZER.memory(text, created_at)))
                row = (id, MANY, bucket_of(MANY), number, created_at, text, EMBEDDER.model, str(vector), terms)
                copy.write_row(row)
        admin.execute("ANALYZE openmem.memories")
    return url


@pytest.fixture
def memory(url: str) -> Iterator[Memory]:
    with opened(url) as memory:
        yield memory


def opened(url: str) -> Memory:
    """A client that takes the words of these texts, which are made up, for those of one language."""
    return Memory(url=url, embedder=EMBEDDER, language="en")


def all_ranked(url: str, monkeypatch: pytest.MonkeyPatch, questions: list[str], limit: int) -> list[list[str]]:
    """The ids of the best by the ranking of all memories."""
    with monkeypatch.context() as patched:
        patched.setattr(layout, "INDEX_MIN_MEMORIES", COUNT + 1)
        statements.cached_statements.cache_clear()
        with opened(url) as memory:
            best = [[hit.memory.id for hit in memory.search(text, MANY, limit=limit)] for text in questions]
    statements.cached_statements.cache_clear()
    return best


@pytest.mark.parametrize("limit", [10, 100])
def test_the_best_are_found(url: str, memory: Memory, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    exact = all_ranked(url, monkeypatch, QUESTIONS, limit)
    found = [[hit.memory.id for hit in memory.search(text, MANY, limit=limit)] for text in QUESTIONS]
    assert all(len(ids) == len(set(ids)) == limit for ids in found)
    recall = sum(len({*one} & {*other}) / limit for one, other in zip(exact, found, strict=True)) / len(exact)
    assert recall >= 0.95


def test_the_index_of_words_is_used(url: str) -> None:
    before = scans(url)
    with opened(url) as memory:
        memory.search(QUESTIONS[0], MANY)
    wait_for_scans(url, before)


def wait_for_scans(url: str, before: int) -> None:
    """Return when the index of words was used more often than `before`."""
    deadline = time.monotonic() + 10
    while scans(url) == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def scans(url: str) -> int:
    """How often the index of words was used, as far as sessions have told; at the latest they tell at their end."""
    query = "SELECT sum(idx_scan)::int FROM pg_stat_user_indexes WHERE indexrelname = 'memories_lexemes'"
    with psycopg.connect(url) as admin:
        row = admin.execute(query).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def test_a_word_that_no_memory_has_does_not_make_it_read_all(url: str) -> None:
    query = f"unheardof {WORDS[5]}"
    op = Search(query=query, user_id=MANY, scope=None, limit=10, min_score=None)
    words, [vector] = ANALYZER.query(query, datetime(2025, 1, 1, tzinfo=UTC)), EMBEDDER.embed([query])
    call = Call("request", None, Grants.parse(None))
    statement = Statements("openmem", "public", "all").searches.indexed(op, call, words, EMBEDDER.model, vector, 10)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(DIRECT.on_connect.encode())
        scans_of_memories = [node for node in nodes(admin, statement) if node.get("Alias", "").startswith("m")]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans_of_memories) < COUNT


def test_two_common_words_find_what_has_both(database: str) -> None:
    """Of three words, that only the rarest has few enough memories to be read for itself."""
    texts = [
        f"{['gamma', 'alpha', 'alpha', 'beta', 'beta', 'delta', 'delta', 'delta'][number % 8]} {WORDS[number % 1000]}"
        for number in range(2_400)
    ]
    texts[2_007] = "alpha and beta"
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    with opened(database) as memory:
        memory.add_many(
            {"content": text, "user_id": MANY, "valid_from": begin + timedelta(hours=number)}
            for number, text in enumerate(texts)
        )
        before = scans(database)
        assert memory.search("alpha beta gamma", MANY)[0].memory.content == "alpha and beta"
    wait_for_scans(database, before)


def test_fewer_results_are_the_first_of_more(database: str) -> None:
    """Whether what the index finds is enough does not depend on how many results are asked for."""
    texts = [f"{('alpha beta', 'gamma delta')[number % 2]} {WORDS[number % 1000]}" for number in range(1_600)]
    texts[1_050:1_100] = [f"xenon {WORDS[number]}" for number in range(50)]
    # More than half of the query, but nothing that the index looks for.
    texts[1_500] = "alpha beta gamma delta"
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    with opened(database) as memory:
        memory.add_many(
            {"content": text, "user_id": MANY, "valid_from": begin + timedelta(hours=2 * number)}
            for number, text in enumerate(texts)
        )
        query = "alpha beta gamma delta xenon"
        found = [hit.memory.id for hit in memory.search(query, MANY, limit=100)]
        for limit in (1, 10, 30, 60):
            assert [hit.memory.id for hit in memory.search(query, MANY, limit=limit)] == found[:limit]


def test_a_scope_with_few_of_what_is_found_gives_as_many_results_as_there_are(database: str) -> None:
    """The index finds enough to rank, but fewer than are asked for, and the first memories are of other scopes."""
    texts = [f"{'xenon ' if number % 5 == 0 else ''}alpha {WORDS[number % 1000]}" for number in range(1_200)]
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    with opened(database) as memory:
        memory.add_many(
            {
                "content": text,
                "user_id": MANY,
                "scope": "work" if number >= 1_000 else "home",
                "valid_from": begin + timedelta(hours=2 * number),
            }
            for number, text in enumerate(texts)
        )
        for limit in (10, 50, 100):
            found = memory.search("alpha xenon", MANY, scope="work", limit=limit)
            assert len(found) == limit
            assert sum("xenon" in hit.memory.content for hit in found) == min(limit, 40)


def test_words_with_the_same_number(database: str) -> None:
    """Words are numbered by a hash; two of a query may have the same."""
    same = """
        SELECT array_agg(word) FROM (
            SELECT 'w' || translate(number::text, '0123456789', 'bcdfghjklm') AS word
            FROM generate_series(1, 60000) number
        ) words
        GROUP BY openmem.term_number(word) HAVING count(*) > 1 LIMIT 1
    """
    with opened(database) as memory, psycopg.connect(database, autocommit=True) as admin:
        memory.add(content="nothing of it", user_id=MANY)
        row = admin.execute(same).fetchone()
        assert row is not None
        one, other = row[0]
        added = memory.add(content=f"{one} was there", user_id=MANY)
        few = memory.search(f"{one} {other} there", MANY)
        admin.execute("UPDATE openmem.memories SET ordinal = ordinal + 10000")
        many = memory.search(f"{one} {other} there", MANY)
    for hits in (few, many):
        assert hits[0].memory.id == added.id
        assert hits[0].score > 0.65


def test_a_query_of_unknown_words_is_answered_from_all(
    url: str, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "xylophone badokx"
    [exact] = all_ranked(url, monkeypatch, [question], 20)
    assert [hit.memory.id for hit in memory.search(question, MANY, limit=20)] == exact


@pytest.mark.parametrize("question", ["the", "of that", "what is it?"])
def test_a_query_without_words_is_answered_by_meaning(memory: Memory, question: str) -> None:
    hits = memory.search(question, MANY, limit=20)
    assert hits
    [vector] = EMBEDDER.embed([question])
    distance = reach(vector, baselines([EMBEDDER.embed(group) for group in notes()]))
    for hit in hits:
        [other] = EMBEDDER.embed([hit.memory.content])
        similarity = sum(one * two for one, two in zip(vector, other, strict=True))
        assert unscaled(hit.score) == pytest.approx(1 - (1 - similarity) / distance, abs=0.01)


def test_each_search_is_logged_once(memory: Memory) -> None:
    memory.search(QUESTIONS[0], MANY)
    memory.context(QUESTIONS[0], MANY)
    memory.search(QUESTIONS[1], MANY)
    assert [entry.action for entry in memory.audit(MANY, limit=3)] == ["search", "context", "search"]


def test_scope_and_validity_hold(url: str, memory: Memory) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("UPDATE openmem.memories SET scope = 'even' WHERE user_id = 'many' AND ordinal % 2 = 0")
        admin.execute("UPDATE openmem.memories SET valid_to = now() WHERE user_id = 'many' AND ordinal % 3 = 0")
        for question in QUESTIONS[:5]:
            hits = memory.search(question, MANY, scope="even", limit=50)
            assert len(hits) == 50
            assert all(hit.memory.scope == "even" and hit.memory.valid_to is None for hit in hits)
        admin.execute("UPDATE openmem.memories SET scope = NULL, valid_to = NULL WHERE user_id = 'many'")


def test_what_is_added_and_deleted_is_noticed(memory: Memory) -> None:
    added = memory.add(content="the blue xylophone", user_id=MANY)
    assert memory.search("xylophone", MANY)[0].memory == added
    changed = memory.update(added.id, content="the green trombone")
    assert memory.search("trombone", MANY)[0].memory == changed
    memory.delete(added.id)
    assert all(hit.memory.id != added.id for hit in memory.search("xylophone trombone", MANY))


def test_no_other_user_is_met(memory: Memory) -> None:
    assert all(hit.memory.user_id == MANY for hit in memory.search("badoki", MANY, limit=100))
    [hit] = memory.search("badoki", "another")
    assert hit.memory.user_id == "another"


@pytest.mark.parametrize("gone", ["ordinal <= 2500", "ordinal % 7 <> 0", "true"])
def test_a_user_who_has_deleted_many(url: str, monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    """What is gone leaves gaps in the ordinals, by which the sample is taken."""
    of_user = f"FROM openmem.memories WHERE user_id = 'many' AND {gone}"
    columns = "id, user_id, bucket, ordinal, created_at, content, embedding_model, embedding, terms"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE TABLE gone AS SELECT * {of_user}".encode())
        admin.execute(f"DELETE {of_user}".encode())
        try:
            with opened(url) as memory:
                exact = all_ranked(url, monkeypatch, QUESTIONS[:10], 10)
                found = [[hit.memory.id for hit in memory.search(text, MANY)] for text in QUESTIONS[:10]]
                overlap = sum(len({*one} & {*other}) for one, other in zip(exact, found, strict=True))
                assert overlap >= 0.95 * sum(map(len, exact))
        finally:
            admin.execute(f"INSERT INTO openmem.memories ({columns}) SELECT {columns} FROM gone".encode())  # noqa: S608
            admin.execute("DROP TABLE gone")


def test_instances_that_share_a_pool_share_what_they_learned(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first search of such a user takes two statements."""
    sent: list[str] = []

    def noted(name: str) -> None:
        search = getattr(Searches, name)

        def note(*args: Any) -> Any:
            sent.append(name)
            return search(*args)

        monkeypatch.setattr(Searches, name, note)

    noted("exact")
    noted("indexed")

    async def run() -> None:
        async with AsyncMemory(url=url, embedder=EMBEDDER) as first, AsyncMemory(url=url, embedder=EMBEDDER) as second:
            await first.search(QUESTIONS[0], MANY)
            await second.search(QUESTIONS[0], MANY)

    asyncio.run(run())
    assert sent == ["exact", "indexed", "indexed"]


def test_few_memories_are_ranked_the_same_either_way(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sentences(200, seed=3)
    with opened(database) as memory:
        for text in texts:
            memory.add(content=text, user_id=MANY)
        exact = [memory.search(question, MANY) for question in QUESTIONS]
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("UPDATE openmem.memories SET ordinal = ordinal + 10000")
        indexed = [memory.search(question, MANY) for question in QUESTIONS]
    for one, other in zip(exact, indexed, strict=True):
        assert {hit.memory.id: hit.score for hit in other} == pytest.approx({hit.memory.id: hit.score for hit in one})
        assert [hit.score for hit in other] == sorted((hit.score for hit in other), reverse=True)


def test_asyncpg_keeps_the_plan_of_the_longest_statement(url: str) -> None:
    """A statement that is prepared anew for each call takes the server longer to plan than to run."""

    async def body() -> None:
        async with AsyncMemory(url=url, embedder=EMBEDDER, pool_max_size=1) as memory:
            for question in QUESTIONS[:3]:
                await memory.search(question, MANY)
            provider: Any = memory.client.provider
            sql = "SELECT generic_plans FROM pg_prepared_statements WHERE length(statement) > 15000"
            used = await provider._db.run(Statement(sql, (), lambda rows: [row[0] for row in rows]))
        assert used == [3]

    asyncio.run(body())
