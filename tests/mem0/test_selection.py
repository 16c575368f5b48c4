"""What filters and the verbs over many memories ask of the hosted service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openmem import InvalidRequestError, Memory, UnsupportedCapabilityError

from .service import KEY, Service

LIST, DELETE = "POST /v3/memories/", "DELETE /v1/memories/{id}/"


@pytest.fixture
def memory(service: Service) -> Iterator[Memory]:
    with Memory("mem0", api_key=KEY, host=service.url) as memory:
        yield memory


def test_metadata_of_other_tools_can_be_filtered_by_and_replaced(service: Service, memory: Memory) -> None:
    id = service.put("likes tea", user_id="u", metadata={"mood": "good", "n": 10})
    service.put("likes milk", user_id="u", metadata={"n": 9})
    [found] = memory.list("u", where={"n": {"$gt": 9}})
    assert (found.id, found.metadata) == (id, {"mood": "good", "n": 10})
    assert [hit.memory.id for hit in memory.search("tea", "u", where={"mood": "good"})] == [id]
    assert memory.update(id, metadata={"n": 1}).metadata == {"n": 1}
    assert memory.get(id).metadata == {"n": 1}
    assert service.memories[id]["metadata"]["mood"] == "good"
    assert memory.update(id, metadata=None).metadata is None
    assert [memory.get(id).metadata] == [
        item.metadata for item in memory.list("u", since=found.created_at) if item.id == id
    ]


def test_a_validity_that_would_end_before_it_begins_is_refused(service: Service, memory: Memory) -> None:
    now = datetime.now(UTC)
    record = memory.add(content="tea", user_id="u", valid_to=now)
    with pytest.raises(InvalidRequestError, match="is after the memory's valid_to"):
        memory.update(record.id, valid_from=now + timedelta(days=1))
    changed = memory.update(record.id, valid_from=now - timedelta(days=1), user_id="u")
    assert memory.get(record.id).valid_from == changed.valid_from == now - timedelta(days=1)


def test_an_app_is_left_to_the_service(service: Service, memory: Memory) -> None:
    wanted = memory.add(content="tea with much beside", user_id="u", source={"app": "a"}).id
    for n in range(30):
        memory.add(content=f"tea {n}", user_id="u", source={"app": "b"})
    service.requests.clear()
    assert [hit.memory.id for hit in memory.search("tea", "u", app="a", limit=5)] == [wanted]
    assert [request.body["filters"]["metadata"] for request in service.requests] == [{"omp_app": "a"}]


def test_a_filter_finds_all_that_the_services_search_cannot_reach(
    service: Service, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.client.provider, "max_candidates", 20)
    hidden = {memory.add(content=f"water {n}", user_id="u", metadata={"n": n + 1}, tags=["x"]).id for n in range(12)}
    named = memory.add(content="tea or so, and much else beside that", user_id="u", metadata={"n": 99}, tags=["x"]).id
    for n in range(60):
        memory.add(content=f"tea {n}", user_id="u", metadata={"n": -n})
    for selection in ({"where": {"n": {"$gt": 0}}}, {"tags": ["x"]}, {"any_tags": ["x", "y"]}):
        hits = memory.search("tea", "u", limit=30, **selection)
        assert {hit.memory.id for hit in hits} == {*hidden, named}, selection
        assert hits[0].memory.id == named
        assert len(memory.search("tea", "u", limit=5, **selection)) == 5
    cited = memory.context("tea", "u", tags=["x"]).citations
    assert [citation.memory_id for citation in cited] == [named]


def test_what_counting_costs(service: Service, memory: Memory) -> None:
    for n in range(450):
        service.put(f"tea {n}", user_id="u", metadata={"n": n})
    service.put("tea", user_id="v")
    assert memory.count("u") == 450
    assert [request.query for request in service.requests] == [{"page": "1", "page_size": "1"}]
    service.requests.clear()
    assert memory.count("u", where={"n": {"$lt": 20}}) == 20
    assert service.verbs == [LIST] * 3
    assert memory.count("nobody") == 0


def test_facets_read_the_list_once(service: Service, memory: Memory) -> None:
    for n in range(5):
        memory.add(content=f"tea {n}", user_id="u", tags=["a", "b"][: n % 3], metadata={"kind": n % 2})
    service.requests.clear()
    assert [(facet.value, facet.count) for facet in memory.facets("u", by="metadata.kind")] == [(0, 3), (1, 2)]
    assert service.verbs == [LIST]
    assert [(facet.value, facet.count) for facet in memory.facets("u", by="tag")] == [("a", 3), ("b", 1)]


def test_deleting_many_deletes_what_was_found(service: Service, memory: Memory) -> None:
    for n in range(10):
        service.put(f"tea {n}", user_id="u", metadata={"n": n})
    other = service.put("tea", user_id="v", metadata={"n": 1})
    assert memory.delete_many("u", where={"n": {"$gte": 4}}, dry_run=True) == 6
    assert service.verbs == [LIST]
    assert memory.delete_many("u", where={"n": {"$gte": 4}}) == 6
    assert service.verbs == [LIST, LIST, *[DELETE] * 6]
    service.requests.clear()
    kept = memory.list("u").items[0].id
    service.requests.clear()
    assert memory.delete_many("u", ids=[kept, other, "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "x"]) == 1
    assert service.verbs == [*["GET /v1/memories/{id}/"] * 3, DELETE]
    assert memory.delete_many("u", everything=True) == 3
    assert list(service.memories) == [other]


def test_what_is_deleted_meanwhile_is_no_error(service: Service, memory: Memory) -> None:
    ids = [service.put(f"tea {n}", user_id="u") for n in range(3)]

    def delete_another(request: Any) -> Any:
        reply = service.perform(request)
        service.memories.pop(ids[2])
        return reply

    service.script.append(delete_another)
    assert memory.delete_many("u", everything=True) == 2
    assert service.memories == {}


def test_the_history_of_a_memory_is_found_in_the_list(service: Service, memory: Memory) -> None:
    first = memory.add(content="lives in Leeds", user_id="u")
    second = memory.add(content="lives in Porto", user_id="u", supersedes=[first.id])
    third = memory.add(content="lives in Lagos", user_id="u", supersedes=[second.id])
    memory.add(content="likes tea", user_id="u")
    service.requests.clear()
    assert [item.id for item in memory.history(second.id, user_id="u")] == [first.id, second.id, third.id]
    assert service.verbs == ["GET /v1/memories/{id}/", LIST]


REFUSED: dict[str, Callable[[Memory], object]] = {
    "key": lambda memory: memory.add(content="x", user_id="u", key="k"),
    "expires_at": lambda memory: memory.add(content="x", user_id="u", expires_at="2099-01-01"),
    "indexed": lambda memory: memory.add(content="x", user_id="u", indexed=False),
    "if_version": lambda memory: memory.delete("x", if_version=1),
    "keys": lambda memory: memory.delete_many("u", keys=["k"]),
    "'put'": lambda memory: memory.put(key="k", content="x", user_id="u"),
    "'get_by_key'": lambda memory: memory.get_by_key("k", "u"),
    "'forget_user'": lambda memory: memory.forget_user("u"),
    "'users'": lambda memory: memory.users(),
    "'purge'": lambda memory: memory.purge(),
    "idempotency_key": lambda memory: memory.add(content="x", user_id="u", idempotency_key="k"),
}


@pytest.mark.parametrize("named", REFUSED)
def test_what_the_backend_cannot_do_is_refused_before_anything_is_sent(
    named: str, service: Service, memory: Memory
) -> None:
    with pytest.raises(UnsupportedCapabilityError, match=named):
        REFUSED[named](memory)
    assert service.requests == []
