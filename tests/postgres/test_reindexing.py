"""Memories whose words are not those of this version: of an older openmem, or loaded by other means."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from openmem import Memory, ScopeDeniedError
from openmem._ids import bucket_of, new_memory_ids
from openmem.analysis import VERSION
from openmem.embedders.hashing import HashingEmbedder
from openmem.providers.postgres import schema
from openmem.providers.postgres.migrations import MIGRATIONS
from openmem.ranking.constants import DISTANT_SIMILARITY
from openmem.ranking.scale import scaled
from openmem.testing.modes import Async, Mode, Sync

from ..docs.pages import blocks

USER = "maya"
TEXTS = ("Maya keeps bees", "Maya has sold the houses", "Tom: Does Maya bake?", "The train is late")
EMBEDDER = HashingEmbedder()
INSERT = """
    INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, content, embedding_model, embedding)
    VALUES (%s, %s, %s, %s, now(), %s, %s, %s)
"""
PARTITIONS = [block.source for block in blocks("docs/scaling.md") if block.language == "sql"][1]


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    yield mode
    mode.close()


def opened(url: str) -> Memory:
    return Memory(url=url, embedder=EMBEDDER)


def load(url: str, texts: Sequence[str] = TEXTS, *, first: int = 1, user: str = USER) -> list[str]:
    """Store memories by SQL that knows nothing of words, as a client of an older version does, too."""
    ids = new_memory_ids([user] * len(texts))
    with psycopg.connect(url) as admin:
        for number, (id, text, vector) in enumerate(zip(ids, texts, EMBEDDER.embed(texts), strict=True), first):
            admin.execute(INSERT, (id, user, bucket_of(user), number, text, EMBEDDER.model, str(list(vector))))
    return ids


def ask(url: str, sql: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True, options="-c statement_timeout=30s") as admin:
        return [row[0] for row in admin.execute(sql.encode()).fetchall()]


def similarity(one: str, other: str) -> float:
    [a, b] = EMBEDDER.embed([one, other])
    norm = math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / norm


@pytest.fixture
def make_old(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the tables of the version before words were the client's."""

    def make(url: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(schema, "MIGRATIONS", MIGRATIONS[:2])
            opened(url).__enter__().close()
        assert ask(url, "SELECT max(version) FROM openmem.migrations") == [2]

    return make


@pytest.mark.parametrize("first", [1, 2_001], ids=["few", "many"])
def test_what_was_loaded_is_found_by_vectors_and_after_reindex_by_words(database: str, mode: Mode, first: int) -> None:
    async def body() -> None:
        async with mode.client(url=database, embedder=EMBEDDER) as memory:
            await memory.list(USER)
            load(database, first=first)
            for hit in await memory.search("selling a house", USER):
                cosine = similarity("selling a house", hit.memory.content)
                expected = scaled(max(cosine, DISTANT_SIMILARITY * (1 + cosine) / 2))
                assert hit.score == pytest.approx(expected, abs=0.001)
            told: list[tuple[int, int]] = []
            assert await memory.reindex(batch_size=3, progress=lambda done, total: told.append((done, total))) == 4
            assert told == [(3, 4), (4, 4)]
            hits = await memory.search("a house", USER)
            assert hits[0].memory.content == TEXTS[1]
            assert hits[0].score > 0.6
            assert hits[0].memory.updated_at is None
            assert await memory.reindex() == 0
            assert await memory.reindex(everything=True) == 4

    mode.run(body())
    assert ask(database, "SELECT DISTINCT analysis FROM openmem.memories") == [VERSION]


def test_the_words_of_a_batch_that_was_written_meanwhile_are_not_stored(database: str) -> None:
    with opened(database) as memory:
        memory.list(USER)
        ids = load(database)

        def change(done: int, total: int) -> None:
            if done == 1:
                memory.update(ids[1], content="Maya rents a flat")

        assert memory.reindex(batch_size=1, progress=change) == 3
        assert memory.reindex() == 0
        assert memory.search("rented flats", USER)[0].memory.id == ids[1]


def test_a_text_that_is_changed_by_other_means_is_analysed_again(database: str) -> None:
    with opened(database) as memory:
        record = memory.add(content="Maya keeps bees", user_id=USER)
        memory.update(record.id, tags=["home"])
        assert memory.reindex() == 0
        ask(database, "UPDATE openmem.memories SET content = 'Maya keeps goats' RETURNING 1")
        assert memory.reindex() == 1
        assert memory.search("the goats", USER)[0].score > 0.6
        memory.update(record.id, content="Maya keeps two geese")
        assert memory.reindex() == 0


def test_the_words_of_the_date_stay_with_a_new_text(database: str) -> None:
    with opened(database) as memory:
        record = memory.add(content="Maya keeps bees", user_id=USER, valid_from="2023-05-08T12:00:00Z")
        memory.add(content="Maya keeps goats", user_id=USER)
        before = memory.search("8 May 2023", USER)[0]
        memory.update(record.id, content="Maya keeps geese")
        after = memory.search("8 May 2023", USER)[0]
        assert before.memory.id == after.memory.id == record.id
        assert before.score > 0.5
        assert after.score > 0.5


def test_it_needs_to_write_everything(database: str) -> None:
    with Memory(url=database, embedder=EMBEDDER, grants=["write:home/*"]) as memory, pytest.raises(ScopeDeniedError):
        memory.reindex()


def test_a_store_of_an_older_version_is_upgraded_and_found(database: str, make_old: Callable[[str], None]) -> None:
    make_old(database)
    load(database)
    load(database, [*TEXTS] * 10, first=2_000, user="many")
    with opened(database) as memory:
        for user in (USER, "many"):
            assert memory.search("a house", user)[0].memory.content == TEXTS[1]
            assert memory.search("a house", user)[0].score > 0.6
        assert memory.reindex(batch_size=10) == 44
        for user in (USER, "many"):
            assert memory.search("a house", user)[0].score > 0.6
        memory.add(content="Noor plays chess", user_id=USER)
        assert memory.reindex() == 0
    indexes = ask(
        database,
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indisvalid AND indrelid = 'openmem.memories'::regclass",
    )
    assert "openmem.memories_lexemes" in indexes
    assert "openmem.memories_words" not in indexes


def test_an_old_client_goes_on(database: str, make_old: Callable[[str], None]) -> None:
    """Its statements name none of the new columns. What it adds has no words until `reindex`."""
    make_old(database)
    load(database, TEXTS[:1])
    with opened(database) as memory:
        assert memory.search("bees", USER)
        load(database, TEXTS[1:], first=2)
        assert len(memory.search("a house", USER)) >= 1
        assert memory.reindex() == 4
        assert memory.search("a house", USER)[0].memory.content == TEXTS[1]


def test_a_partitioned_store_is_upgraded(database: str, make_old: Callable[[str], None]) -> None:
    make_old(database)
    load(database)
    with psycopg.connect(database, autocommit=True) as admin:
        trigger = PARTITIONS.index("    CREATE TRIGGER")
        end = PARTITIONS.index("    SELECT max(id)")
        admin.execute((PARTITIONS[:trigger] + PARTITIONS[end:]).encode())
    with opened(database) as memory:
        assert memory.search("a house", USER)[0].memory.content == TEXTS[1]
        memory.add(content="Noor plays chess", user_id=USER)
        assert memory.reindex() == 4
        assert memory.search("a house", USER)[0].memory.content == TEXTS[1]
    definitions = ask(database, "SELECT indexdef FROM pg_indexes WHERE tablename = 'memories'")
    assert sum("lexeme_keys" in definition for definition in definitions) == 1
    assert not any("word_keys" in definition for definition in definitions)


def test_who_reads_does_not_wait_until_all_who_write_are_done(database: str, make_old: Callable[[str], None]) -> None:
    make_old(database)
    load(database)
    waiting = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"

    def upgrade() -> str:
        with opened(database) as memory:
            return memory.search("a house", USER)[0].memory.content

    with ThreadPoolExecutor(1) as thread, psycopg.connect(database) as writer:
        writer.execute("UPDATE openmem.memories SET tags = '{a}'")
        upgraded = thread.submit(upgrade)
        deadline = time.monotonic() + 30
        while ask(database, waiting) == [0]:
            assert time.monotonic() < deadline
        assert ask(database, "SELECT count(*) FROM openmem.memories") == [4]
        writer.commit()
        assert upgraded.result() == TEXTS[1]
