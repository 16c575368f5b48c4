"""What filters and the verbs over many memories ask of the server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from openmem import Memory, UnsupportedCapabilityError

from .service import CONFIG, Service

ARCHIVES, SEARCH = "GET /v1/archives/", "POST /v1/passages/search"
DELETE = "DELETE /v1/archives/{archive}/passages/{passage}"


@pytest.fixture(params=["vectors", "words"])
def memory(request: pytest.FixtureRequest, service: Service) -> Iterator[Memory]:
    """A client whose archives have a model, or none."""
    model: dict[str, Any] = {"embedding_config": CONFIG} if request.param == "vectors" else {}
    with Memory("letta", host=service.url, **model) as memory:
        yield memory


def test_a_filter_finds_all_that_the_servers_search_cannot_reach(memory: Memory, service: Service) -> None:
    with_vectors = memory.capabilities().features.vector_search
    named = memory.add(content="tea or something else to drink", user_id="u", metadata={"n": 1000}).id
    for n in range(10):
        memory.add(content=f"water {n}", user_id="u", metadata={"n": 1001 + n}, tags=["x"])
    for n in range(150):
        memory.add(content=f"tea {n}", user_id="u", metadata={"n": n})
    hits = memory.search("tea", "u", where={"n": {"$gte": 1000}}, limit=30)
    assert hits[0].memory.id == named
    assert len(hits) == (11 if with_vectors else 1)
    assert len(memory.search("tea", "u", tags=["x"], limit=7)) == (7 if with_vectors else 0)
    block = memory.context("tea", "u", where={"n": {"$gte": 1000}})
    assert [citation.memory_id for citation in block.citations] == [named]


def test_bounds_of_time_are_left_to_the_server_when_it_lists(memory: Memory, service: Service) -> None:
    records = [memory.add(content=f"tea {n}", user_id="u") for n in range(250)]
    service.requests.clear()
    late = memory.list("u", since=records[200].created_at, order="oldest")
    assert [item.id for item in late] == [record.id for record in records[200:]]
    assert service.verbs == [ARCHIVES, SEARCH]
    service.requests.clear()
    assert memory.count("u", until=records[50].created_at) == 50
    assert service.verbs == [ARCHIVES, SEARCH]
    service.requests.clear()
    assert memory.count("u") == 250
    assert service.verbs == [ARCHIVES, *[SEARCH] * 3]
    moment = records[7].created_at
    assert memory.count("u", since=moment, until=moment + timedelta(microseconds=1)) == 1


def test_deleting_many_is_one_request_for_each(memory: Memory, service: Service) -> None:
    ids = [memory.add(content=f"tea {n}", user_id="u", tags=["even"] if n % 2 == 0 else None).id for n in range(6)]
    service.requests.clear()
    assert memory.delete_many("u", tags=["even"]) == 3
    assert service.verbs == [ARCHIVES, SEARCH, *[DELETE] * 3]
    assert memory.delete_many("u", ids=ids) == 3
    assert memory.count("u") == 0


def test_facets_count_tags_and_metadata(memory: Memory) -> None:
    for n in range(5):
        memory.add(content=f"tea {n}", user_id="u", tags=["a", "b"][: n % 3], metadata={"kind": n % 2})
    assert [(facet.value, facet.count) for facet in memory.facets("u", by="tag")] == [("a", 3), ("b", 1)]
    assert [(facet.value, facet.count) for facet in memory.facets("u", by="metadata.kind")] == [(0, 3), (1, 2)]


def test_a_passage_has_no_history(memory: Memory, service: Service) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="history"):
        memory.history("x")
    assert service.requests == []
