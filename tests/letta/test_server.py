"""What the provider relies on in a Letta server, asked through the official SDK.

The same is asked of the stand-in and, where the environment names one, of a real server, so that the
stand-in is no better than the server.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import letta_client
import pytest
from letta_client import Letta
from letta_client.types import Archive

from openmem import Memory, UnsupportedCapabilityError
from openmem.providers.vendors.letta.archives import ARCHIVE_PREFIX
from openmem.providers.vendors.letta.provider import PAGE_SIZE

from .backends import Backend

UNKNOWN = "123e4567-e89b-42d3-8456-426614174000"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def client(backend: Backend) -> Iterator[Letta]:
    with Letta(base_url=backend.url, max_retries=0) as client:
        yield client


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex}"


@pytest.fixture
def archive(client: Letta, backend: Backend, user: str) -> Archive:
    """An archive with an embedding model, of the user."""
    return client.archives.create(name=ARCHIVE_PREFIX + user, embedding_config=backend.embedding_config)  # type: ignore[arg-type]


@pytest.fixture
def plain(client: Letta, user: str) -> Archive:
    """An archive without one."""
    return client.archives.create(name=f"plain-{user}")


def test_names_of_archives_are_not_unique_and_the_oldest_comes_first(client: Letta, archive: Archive) -> None:
    again = client.archives.create(name=archive.name)
    assert [item.id for item in client.archives.list(name=archive.name, order="asc").items] == [archive.id, again.id]
    after = client.archives.list(name=archive.name, order="asc", after=archive.id)
    assert [item.id for item in after.items] == [again.id]
    assert client.archives.list(name=archive.name[:-1]).items == []
    assert archive.vector_db_provider == "native"
    assert again.embedding_config is None


def test_a_passage_comes_back_with_its_time_its_metadata_and_its_tags_once_each(
    client: Letta, archive: Archive
) -> None:
    metadata: dict[str, object] = {"omp": "{}", "n": 1}
    made = client.archives.passages.create(
        archive.id, text="a\0b", created_at=MOMENT.isoformat(), metadata=metadata, tags=["b", "a", "b"]
    )
    [found] = client.passages.search(archive_id=archive.id, start_date=MOMENT, end_date=MOMENT)
    assert found.score == 0.0
    for passage in (made, found.passage):
        assert (passage.id, passage.text, passage.archive_id) == (made.id, "ab", archive.id)
        assert (passage.created_at, passage.metadata) == (MOMENT, metadata)
        assert sorted(passage.tags or ()) == ["a", "b"]
    for start, end in ((MOMENT + MICROSECOND, None), (None, MOMENT - MICROSECOND)):
        assert client.passages.search(archive_id=archive.id, start_date=start, end_date=end) == []


def test_a_search_without_a_query_is_in_order_of_time(client: Letta, archive: Archive) -> None:
    for minutes in (3, 1, 2):
        moment = MOMENT + timedelta(minutes=minutes)
        client.archives.passages.create(archive.id, text=str(minutes), created_at=moment.isoformat())
    texts = [found.passage.text for found in client.passages.search(archive_id=archive.id)]
    assert texts == ["1", "2", "3"]


def test_a_search_has_no_scores_and_its_tags_come_after_the_limit(client: Letta, archive: Archive) -> None:
    for number in range(4):
        client.archives.passages.create(archive.id, text=f"green tea {number}", tags=["c"] if number == 3 else ["d"])
    client.archives.passages.create(archive.id, text="the report is due in April")
    hits = client.passages.search(query="report April", archive_id=archive.id)
    assert hits[0].passage.text == "the report is due in April"
    assert {hit.score for hit in hits} == {0.0}
    assert len(hits) == 5
    assert len(client.passages.search(archive_id=archive.id, tags=["c"])) == 1
    assert client.passages.search(archive_id=archive.id, tags=["c"], limit=3) == []


def test_a_batch_has_one_moment(client: Letta, archive: Archive) -> None:
    made = client.archives.passages.create_many(archive.id, passages=[{"text": "a"}, {"text": "b"}])
    assert len({passage.created_at for passage in made}) == 1


def test_without_vectors_a_query_is_a_pattern_of_one_piece(client: Letta, plain: Archive) -> None:
    for text in ("Green TEA", "100% tea", "a_b", "aXb"):
        client.archives.passages.create(plain.id, text=text)

    def found(query: str) -> set[str]:
        return {hit.passage.text for hit in client.passages.search(query=query, archive_id=plain.id)}

    assert found("green tea") == {"Green TEA"}
    assert found("tea green") == set()
    assert found("a_b") == {"a_b", "aXb"}
    assert found(r"a\_b") == {"a_b"}
    with pytest.raises(letta_client.InternalServerError):
        client.archives.passages.create_many(plain.id, passages=[{"text": "a"}])


REFUSALS: dict[str, tuple[type[letta_client.APIStatusError], Callable[[Letta, Archive], object]]] = {
    "limit": (
        letta_client.UnprocessableEntityError,
        lambda client, archive: client.passages.search(archive_id=archive.id, limit=101),
    ),
    "malformed id in the path": (
        letta_client.UnprocessableEntityError,
        lambda client, archive: client.archives.retrieve("nonsense"),
    ),
    "malformed id in the body": (
        letta_client.BadRequestError,
        lambda client, archive: client.passages.search(query="x", archive_id="nonsense"),
    ),
    "no time": (
        letta_client.BadRequestError,
        lambda client, archive: client.archives.passages.create(archive.id, text="x", created_at="garbage"),
    ),
    "unknown model": (
        letta_client.BadRequestError,
        lambda client, archive: client.archives.create(name="x", embedding="openai/unknown"),
    ),
    "unknown archive": (
        letta_client.NotFoundError,
        lambda client, archive: client.archives.passages.create(f"archive-{UNKNOWN}", text="x"),
    ),
    "search in an unknown archive": (
        letta_client.NotFoundError,
        lambda client, archive: client.passages.search(query="x", archive_id=f"archive-{UNKNOWN}"),
    ),
    "unknown passage": (
        letta_client.NotFoundError,
        lambda client, archive: client.archives.passages.delete(f"passage-{UNKNOWN}", archive_id=archive.id),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str, client: Letta, archive: Archive) -> None:
    error, call = REFUSALS[case]
    with pytest.raises(error):
        call(client, archive)


def test_a_passage_of_another_archive_is_refused_and_one_can_be_deleted_once(
    client: Letta, archive: Archive, plain: Archive
) -> None:
    made = client.archives.passages.create(archive.id, text="x")
    assert made.id is not None
    with pytest.raises(letta_client.BadRequestError):
        client.archives.passages.delete(made.id, archive_id=plain.id)
    client.archives.passages.delete(made.id, archive_id=archive.id)
    with pytest.raises(letta_client.NotFoundError):
        client.archives.passages.delete(made.id, archive_id=archive.id)
    assert client.passages.search(archive_id=f"archive-{UNKNOWN}") == []


# What others wrote, and much of it


def test_memories_that_others_wrote_are_read(client: Letta, backend: Backend, archive: Archive, user: str) -> None:
    made = client.archives.passages.create(
        archive.id, text="green tea", created_at=MOMENT.isoformat(), metadata={"color": "green"}, tags=["t"]
    )
    with Memory("letta", host=backend.url) as memory:
        [record] = memory.list(user).items
        assert memory.get(record.id) == record
        assert [hit.memory for hit in memory.search("tea", user)] == [record]
        assert [item.id for item in memory.list(user, tag="t").items] == [record.id]
        assert (record.content, record.user_id, record.tags) == ("green tea", user, ["t"])
        assert record.created_at == MOMENT
        assert record.scope is None
        beyond = record.extensions["x-letta"]
        assert (beyond["passage_id"], beyond["archive_id"]) == (made.id, archive.id)
        assert beyond["metadata"] == {"color": "green"}
        memory.delete(record.id)
        assert memory.list(user).items == []


def test_all_memories_are_listed_also_of_a_batch(client: Letta, backend: Backend, archive: Archive, user: str) -> None:
    early = client.archives.passages.create(archive.id, text="early", created_at=MOMENT.isoformat())
    batch = client.archives.passages.create_many(
        archive.id, passages=[{"text": f"batch {number}"} for number in range(PAGE_SIZE - 1)]
    )
    with Memory("letta", host=backend.url) as memory:
        late = memory.add(content="late", user_id=user)
        pages = [memory.list(user, limit=70)]
        while pages[-1].next_cursor is not None:
            pages.append(memory.list(user, limit=70, cursor=pages[-1].next_cursor))
        listed = [item for page in pages for item in page.items]
        assert listed[0] == late
        assert listed[-1].content == early.text
        assert len(listed) == len({item.id for item in listed}) == len(batch) + 2
        for number in (1, 60, len(batch)):
            assert memory.get(listed[number].id) == listed[number]


def test_a_batch_of_more_than_a_page_cannot_be_listed_and_is_found(
    client: Letta, backend: Backend, archive: Archive, user: str
) -> None:
    batch = client.archives.passages.create_many(
        archive.id, passages=[{"text": f"batch {number}"} for number in range(2 * PAGE_SIZE + 30)]
    )
    with Memory("letta", host=backend.url) as memory:
        with pytest.raises(UnsupportedCapabilityError, match="one moment"):
            memory.list(user)
        [best, *_] = memory.search("batch 7", user, limit=5)
        assert best.memory.content in {passage.text for passage in batch}


def test_a_listing_of_many_pages(client: Letta, backend: Backend, archive: Archive, user: str) -> None:
    for batch in range(3):
        moment = MOMENT + batch * timedelta(days=1)
        passages = [
            {"text": f"{batch} {n}", "created_at": (moment + n // 3 * MICROSECOND).isoformat()} for n in range(80)
        ]
        client.archives.passages.create_many(archive.id, passages=passages)  # type: ignore[arg-type]
    with Memory("letta", host=backend.url) as memory:
        assert len(memory.list(user, limit=500).items) == 240
