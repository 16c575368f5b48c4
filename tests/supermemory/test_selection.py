"""What filters and the verbs over many memories ask of the service."""

from __future__ import annotations

import pytest

from openmem import Memory, ProviderError

from ..service import Reply
from .service import Request, Service

LIST, DELETE, SEARCH = "POST /ns/*/list/documents", "DELETE /ns/*/document", "POST /ns/*/search"


def _fill(memory: Memory, count: int, **fields: object) -> list[str]:
    ids = [memory.add(content=f"tea {n}", user_id="ann", metadata={"n": n}, **fields).id for n in range(count)]  # type: ignore[arg-type]
    memory.wait_for_ingest(ids, "ann")
    return ids


def test_tags_and_apps_are_left_to_the_service(memory: Memory, service: Service) -> None:
    _fill(memory, 8, tags=["b"], source={"app": "other"})
    wanted = memory.add(content="tea with much beside", user_id="ann", tags=["a", "b"], source={"app": "mine"}).id
    memory.wait_for_ingest([wanted], "ann")
    for selection in ({"tags": ["a", "b"]}, {"any_tags": ["a", "c"]}, {"app": "mine", "tags": ["b"]}):
        service.requests.clear()
        assert [hit.memory.id for hit in memory.search("tea", "ann", **selection)] == [wanted]
        assert service.routes() == [SEARCH]
        assert len(service.requests[-1].body["filter"]) >= 2


def test_a_filter_finds_all_that_the_services_search_cannot_reach(memory: Memory, service: Service) -> None:
    for n in range(160):
        service.put("ann", f"d{n}", f"tea {n}", n=n)
    service.put("ann", "named", "tea or something else to drink", n=1000)
    for n in range(20):
        service.put("ann", f"hidden{n}", f"water {n}", n=1001 + n)
    hits = memory.search("tea", "ann", where={"n": {"$gte": 1000}}, limit=30)
    assert len(hits) == 21
    assert hits[0].memory.metadata == {"n": 1000}
    assert len(memory.search("tea", "ann", where={"n": {"$gte": 1000}}, limit=7)) == 7
    block = memory.context("tea", "ann", where={"n": {"$gte": 1000}})
    assert [citation.memory_id for citation in block.citations] == [hits[0].memory.id]


def test_what_counting_costs(memory: Memory, service: Service) -> None:
    for n in range(250):
        service.put("ann", f"d{n}", f"tea {n}", n=n)
    assert memory.count("ann") == 250
    assert [request.query["limit"] for request in service.requests] == ["1"]
    service.requests.clear()
    assert memory.count("ann", where={"n": {"$lt": 20}}) == 20
    assert service.routes() == [LIST] * 4
    assert memory.count("nobody") == 0


def test_a_hundred_documents_are_deleted_at_once(memory: Memory, service: Service) -> None:
    for n in range(250):
        service.put("ann", f"d{n}", f"tea {n}", n=n)
    service.requests.clear()
    assert memory.delete_many("ann", where={"n": {"$gte": 10}}) == 240
    assert service.routes() == [*[LIST] * 4, *[DELETE] * 3]
    assert memory.count("ann") == 10


def test_what_is_deleted_meanwhile_is_no_error_and_does_not_count(memory: Memory, service: Service) -> None:
    ids = _fill(memory, 3)

    def vanish(request: Request) -> None:
        if request.method == "DELETE":
            service.namespaces["ann"].pop(next(iter(service.namespaces["ann"])))

    service.before = vanish
    assert memory.delete_many("ann", ids=ids) == 2
    assert memory.delete_many("ann", ids=ids) == 0


def test_a_document_that_stays_is_an_error(memory: Memory, service: Service) -> None:
    ids = _fill(memory, 2)
    refusal = Reply(body={"count": 1, "errors": [{"id": "x", "error": "is locked"}]})
    service.script.extend([service.perform, service.perform, refusal])
    with pytest.raises(ProviderError, match="is locked"):
        memory.delete_many("ann", ids=ids)


def test_the_history_of_a_memory_is_found_in_the_list(memory: Memory, service: Service) -> None:
    first = memory.add(content="lives in Leeds", user_id="ann")
    memory.wait_for_ingest([first.id], "ann")
    second = memory.add(content="lives in Porto", user_id="ann", supersedes=[first.id])
    service.requests.clear()
    assert [item.id for item in memory.history(first.id, user_id="ann")] == [first.id, second.id]
    assert service.routes() == ["GET /ns/*/document/*", LIST]
