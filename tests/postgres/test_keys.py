"""Keys, versions and restored memories on a real server: what meets at the same moment, and what is in the tables."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, ConflictError, InvalidRequestError, Memory, MemoryRecord
from openmem._ids import new_memory_id
from openmem.embedders.hashing import HashingEmbedder

USER = "maya"
PAST = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def memory(database: str) -> Iterator[Memory]:
    with Memory(url=database, embedder="hashing", pool_max_size=8) as memory:
        yield memory


@pytest.fixture
def admin(database: str, memory: Memory) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def many(count: int) -> list[dict[str, Any]]:
    return [{"content": f"note {number}", "user_id": f"user {number % 3}"} for number in range(count)]


def one_of(admin: psycopg.Connection[Any], column: str, id: str) -> Any:
    row = admin.execute(f"SELECT {column} FROM openmem.memories WHERE id = %s".encode(), [id]).fetchone()  # noqa: S608
    assert row is not None
    return row[0]


def test_many_memories_are_added_once(memory: Memory, threads: ThreadPoolExecutor) -> None:
    """Also when they are added at once; whoever comes second waits for the first."""
    calls = [threads.submit(memory.add_many, many(700), idempotency_key="key") for _ in range(4)]
    [stored, *repeated] = [call.result() for call in calls]
    assert repeated == [stored] * 3
    assert sum(memory.count(f"user {number}") for number in range(3)) == 700
    assert memory.add_many(many(700), idempotency_key="another") != stored
    with pytest.raises(InvalidRequestError, match="used with another body"):
        memory.add_many(many(699), idempotency_key="key")
    with pytest.raises(InvalidRequestError, match="used with another body"):
        memory.add(content="note 0", user_id="user 0", idempotency_key="key")
    memory.delete(stored[5].id)
    with pytest.raises(InvalidRequestError, match=stored[5].id):
        memory.add_many(many(700), idempotency_key="key")


def test_many_memories_are_added_once_on_an_event_loop(database: str) -> None:
    async def main() -> None:
        async with AsyncMemory(url=database, embedder="hashing") as memory:
            calls = [memory.add_many(many(30), idempotency_key="key") for _ in range(8)]
            [stored, *repeated] = await asyncio.gather(*calls)
            assert repeated == [stored] * 7

    asyncio.run(main())


def test_a_failed_call_leaves_its_idempotency_key_free(memory: Memory) -> None:
    memory.add(content="tea", user_id="user 1", key="k")
    wrong = [*many(2), {"content": "tea", "user_id": "user 1", "key": "k"}]
    for _ in range(2):
        with pytest.raises(ConflictError, match=r"^records\[2\]\.key: "):
            memory.add_many(wrong, idempotency_key="key")
        with pytest.raises(ConflictError, match=r"^key: "):
            memory.add(content="tea", user_id="user 1", key="k", idempotency_key="one")
    assert len(memory.add_many(many(2), idempotency_key="key")) == 2
    assert memory.add(content="tea", user_id="user 1", idempotency_key="one").key is None


def test_names_of_a_repeated_call_are_hidden_like_those_of_the_first(database: str, memory: Memory) -> None:
    hidden, shown = (memory.add(content="tea", user_id=USER, scope=scope) for scope in ("a", "b"))
    record = {"content": "milk", "user_id": USER, "scope": "b", "supersedes": [hidden.id, shown.id]}
    with Memory(url=database, embedder="hashing", grants=["write:*", "read:b"]) as limited:
        first, again = (limited.add_many([record], idempotency_key="key") for _ in range(2))
    assert first == again
    assert first[0].supersedes == [shown.id]


@pytest.mark.parametrize("idempotency_key", [None, "key"])
def test_one_of_those_who_add_a_key_at_once_wins(
    memory: Memory, threads: ThreadPoolExecutor, idempotency_key: str | None
) -> None:
    def add(number: int) -> MemoryRecord | ConflictError:
        once = idempotency_key and f"{idempotency_key} {number}"
        try:
            if number % 2:
                return memory.add(content=f"tea {number}", user_id=USER, key="k", idempotency_key=once)
            return memory.add_many([{"content": f"tea {number}", "user_id": USER, "key": "k"}], idempotency_key=once)[0]
        except ConflictError as error:
            return error

    answers = list(threads.map(add, range(8)))
    [won] = [answer for answer in answers if isinstance(answer, MemoryRecord)]
    assert memory.list(USER).items == [won]
    lost = [answer.message for answer in answers if isinstance(answer, ConflictError)]
    assert all("key: the user has another memory with key 'k'" in message for message in lost)


def test_memories_are_restored_once_by_many(memory: Memory, threads: ThreadPoolExecutor) -> None:
    records = [
        {
            "id": new_memory_id(USER),
            "content": f"note {number}",
            "user_id": USER,
            "created_at": PAST,
            "key": f"{number}",
        }
        for number in range(600)
    ]
    calls = [threads.submit(memory.restore, records[::step]) for step in (1, -1, 1, -1)]
    restored = {tuple(sorted(record.id for record in call.result())) for call in calls}
    assert len(restored) == 1
    assert memory.count(USER) == 600


def test_memories_are_restored_once_by_many_who_have_some_of_them(database: str) -> None:
    """A call that finds another one first still has memories to store, for which it may wait for a third one."""

    async def main() -> None:
        async with AsyncMemory(url=database, embedder="hashing", pool_max_size=16) as memory:
            records = await memory.add_many([{"content": f"note {number}", "user_id": USER} for number in range(320)])
            some = [records[:count] for count in range(20, 321, 20)]
            for _ in range(3):
                await memory.delete_many(USER, everything=True)
                assert await asyncio.gather(*map(memory.restore, some)) == some
                assert await memory.count(USER) == 320

    asyncio.run(main())


def test_restored_memories_are_in_the_order_in_which_they_were_created(
    memory: Memory, admin: psycopg.Connection[Any]
) -> None:
    there = memory.add(content="there", user_id=USER)
    records = [
        {
            "id": new_memory_id(user),
            "content": "x",
            "user_id": user,
            "created_at": PAST + timedelta(seconds=number * 7 % 5),
        }
        for number, user in itertools.product(range(5), (USER, "noor"))
    ]
    restored = memory.restore(records)
    for user, before in ((USER, 1), ("noor", 0)):
        own = sorted((record for record in restored if record.user_id == user), key=lambda record: record.created_at)
        ordinals = [one_of(admin, "ordinal", record.id) for record in own]
        assert ordinals == list(range(before + 1, before + 6))
    assert one_of(admin, "ordinal", there.id) == 1


def test_an_id_that_openmem_did_not_give_the_user_is_refused(memory: Memory) -> None:
    record = {"id": new_memory_id(USER), "content": "x", "user_id": USER, "created_at": PAST}
    for wrong in ({"id": "mem_1"}, {"id": "x" * 22}, {"user_id": "noor"}):
        with pytest.raises(InvalidRequestError, match=r"^records\[1\]\.id: "):
            memory.restore([record, {**record, **wrong}])
    assert memory.count(USER) == 0


def test_an_expired_memory_is_restored_over(memory: Memory) -> None:
    record = memory.add(content="x", user_id=USER, key="k", expires_at=PAST)
    kept = record.model_copy(update={"expires_at": None})
    assert memory.restore([kept]) == [kept]
    assert memory.get_by_key("k", USER) == kept


WRITES: dict[str, Callable[[Memory], MemoryRecord]] = {
    "add": lambda memory: memory.add(content="new", user_id=USER, key="k"),
    "add once": lambda memory: memory.add(content="new", user_id=USER, key="k", idempotency_key="once"),
    "add many": lambda memory: memory.add_many([{"content": "new", "user_id": USER, "key": "k"}])[0],
    "put": lambda memory: memory.put(content="new", user_id=USER, key="k", if_version=0),
    "put and keep": lambda memory: memory.put(content="new", user_id=USER, key="k", keep_history=True),
    "update": lambda memory: memory.update(
        memory.add(content="new", user_id=USER, key="k", scope="b").id, scope=None, tags=["moved"]
    ),
    "restore": lambda memory: memory.restore(
        [{"id": new_memory_id(USER), "content": "new", "user_id": USER, "key": "k", "created_at": PAST}]
    )[0],
}  # fmt: skip


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_the_key_of_an_expired_memory_is_free(memory: Memory, write: Callable[[Memory], MemoryRecord]) -> None:
    expired = memory.add(content="old", user_id=USER, key="k", expires_at=PAST)
    record = write(memory)
    assert record.id != expired.id
    assert record.supersedes is None
    assert memory.get_by_key("k", USER) == record
    assert memory.list(USER).items == [record]


def test_what_no_search_finds_has_no_vector_and_no_words(memory: Memory, admin: psycopg.Connection[Any]) -> None:
    hidden: dict[str, Any] = {"content": "x" * 524_288, "user_id": USER, "indexed": False}
    records = [
        memory.add(**hidden), memory.add(**hidden, key="a"), memory.add(**hidden, idempotency_key="b"),
        memory.put(**hidden, key="c"), *memory.add_many([hidden, {**hidden, "content": ""}]),
    ]  # fmt: skip
    shown = memory.put(content="tea", user_id=USER, key="d")
    records.append(memory.put(**hidden, key="d"))
    records.append(memory.update(records[0].id, content="tea", valid_from="2024-01-01"))
    for record in records:
        assert one_of(admin, "embedding IS NULL AND terms IS NULL AND embedding_model IS NULL", record.id)
        assert record.embedding_model is None
    assert memory.reindex() == memory.reembed() == 0
    assert memory.search("tea", USER) == []
    again = memory.put(content="tea", user_id=USER, key="d")
    assert (again.id, again.version) == (shown.id, 3)
    assert [hit.memory for hit in memory.search("tea", USER)] == [again]


class Meddling(HashingEmbedder):
    """An embedder that does something else once, when it is to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.meddle: Callable[[], object] = lambda: None

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        meddle, self.meddle = self.meddle, lambda: None
        meddle()
        return super().embed(texts)


MEDDLING: dict[str, dict[str, Any]] = {
    "another date": {"valid_from": "2021-05-01"},
    "another offset": {"valid_from": "2024-03-01T00:30:00+13:00"},
    "no date": {"valid_from": None},
}


@pytest.mark.parametrize("change", MEDDLING.values(), ids=MEDDLING)
def test_the_words_of_a_content_are_of_the_date_that_the_memory_has(
    database: str, admin: psycopg.Connection[Any], change: dict[str, Any]
) -> None:
    """Also if another call changes the date while the content is read."""
    embedder = Meddling()
    with Memory(url=database, embedder=embedder) as memory, Memory(url=database, embedder="hashing") as other:
        record = memory.add(content="tea", user_id=USER, valid_from="2024-02-29T11:30:00Z")
        embedder.meddle = lambda: other.update(record.id, **change)
        updated = memory.update(record.id, content="milk")
        expected = memory.add(content="milk", user_id=USER, **change)
        assert updated.version == 3
        assert updated.valid_from == expected.valid_from
        assert one_of(admin, "terms::text", record.id) == one_of(admin, "terms::text", expected.id)
        again = memory.update(record.id, valid_from="2022-02-02")
        expected = memory.add(content="milk", user_id=USER, valid_from="2022-02-02")
        assert one_of(admin, "terms::text", again.id) == one_of(admin, "terms::text", expected.id)


def test_a_memory_that_is_hidden_meanwhile_stays_hidden(database: str, admin: psycopg.Connection[Any]) -> None:
    embedder = Meddling()
    with Memory(url=database, embedder=embedder) as memory, Memory(url=database, embedder="hashing") as other:
        record = memory.add(content="tea", user_id=USER, key="k")
        embedder.meddle = lambda: other.put(key="k", content="", user_id=USER, indexed=False)
        assert memory.update(record.id, content="milk").version == 3
        assert one_of(admin, "embedding IS NULL AND terms IS NULL", record.id)


def test_the_longest_keys_fit_into_the_index(memory: Memory) -> None:
    """Characters of four bytes that cannot be compressed."""
    user, scope, key = ("".join(chr(0x20000 + start + number * 7) for number in range(512)) for start in (0, 1, 2))
    record = memory.put(key=key, content="x", user_id=user, scope=scope)
    assert memory.put(key=key, content="y", user_id=user, scope=scope).id == record.id
    assert memory.put(key=key[:-1], content="y", user_id=user, scope=scope).id != record.id
    assert memory.put(key=key, content="y", user_id=user, scope=scope[:-1]).id != record.id
    assert memory.get_by_key(key, user, scope=scope).version == 2


def test_history_is_kept_by_many_at_once(memory: Memory, threads: ThreadPoolExecutor) -> None:
    calls = [
        threads.submit(memory.put, key="k", content=f"tea {number}", user_id=USER, keep_history=True)
        for number in range(64)
    ]
    versions = sorted(call.result().version or 0 for call in calls)
    assert versions == list(range(1, 65))
    assert memory.count(USER) == 64
    last = memory.get_by_key("k", USER)
    assert len(memory.history(last.id)) == 64


def test_a_version_that_has_ended_keeps_its_end(memory: Memory) -> None:
    old = memory.put(key="k", content="tea", user_id=USER)
    memory.add(content="milk", user_id=USER, supersedes=[old.id])
    ended = memory.get(old.id)
    new = memory.put(key="k", content="water", user_id=USER, keep_history=True, valid_from="2021-01-01")
    assert new.supersedes == [old.id]
    assert memory.get(old.id).valid_to == ended.valid_to


def test_a_text_in_place_of_another_has_the_words_that_a_reindex_finds(
    memory: Memory, admin: psycopg.Connection[Any]
) -> None:
    """Those of the day on which the first was created."""
    terms = "SELECT user_id, key, terms::text FROM openmem.memories ORDER BY 1, 2"
    for user, content, created_at in (
        (USER, "she flies tomorrow", "2023-05-01T23:30:00Z"),
        ("other", "she flew yesterday", "0001-01-01T00:00:00Z"),
    ):
        restored = {"id": new_memory_id(user), "content": "old", "user_id": user, "created_at": created_at, "key": "k"}
        memory.restore([restored])
        assert memory.put(key="k", content=content, user_id=user).id == restored["id"]
        memory.put(key="new", content=content, user_id=user)
    before = admin.execute(terms).fetchall()
    assert memory.reindex(everything=True) == 4
    assert admin.execute(terms).fetchall() == before
