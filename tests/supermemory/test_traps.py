"""What is surprising about the service or its SDK, and what the provider makes of it."""

from __future__ import annotations

from typing import Any

import pytest
import supermemory

from openmem import (
    InvalidRequestError,
    Memory,
    NotFoundError,
    ProviderError,
    UnsupportedCapabilityError,
)
from openmem.providers.vendors.supermemory.documents import MAX_COPIED_CHARACTERS

from ..service import Reply
from .service import KEY, Request, Service

LONG = "The cello needs new strings before the concert. " * 200
assert len(LONG) > MAX_COPIED_CHARACTERS


def _added(memory: Memory, content: str = "likes green tea", **fields: Any) -> str:
    record = memory.add(content=content, user_id="ann", **fields)
    memory.wait_for_ingest([record.id], "ann")
    return record.id


def test_an_id_that_is_used_again_is_appended_to_so_every_add_has_a_fresh_one(memory: Memory, service: Service) -> None:
    ids = {_added(memory) for _ in range(3)}
    assert len(ids) == 3
    assert [document.text for document in service.namespaces["ann"].values()] == ["likes green tea"] * 3


def test_the_threshold_of_the_server_would_hide_what_is_little_similar(memory: Memory, service: Service) -> None:
    id = _added(memory, "The quarterly report is due on the first Monday of April")
    [hit] = memory.search("coffee on a Monday morning", "ann")
    assert (hit.memory.id, 0 < hit.score < 0.3) == (id, True)
    body = service.requests[-1].body
    assert (body["threshold"], body["searchMode"], body["include"]) == (0.0, "chunks", {"documents": True})


def test_passages_of_one_document_are_one_result(memory: Memory) -> None:
    long = _added(memory, LONG)
    others = [_added(memory, f"Cello lesson number {n}") for n in range(3)]
    hits = memory.search("The cello needs new strings", "ann", limit=4)
    assert {hit.memory.id for hit in hits} == {long, *others}
    [hit] = [hit for hit in hits if hit.memory.id == long]
    assert hit.memory.content == LONG


def test_the_best_passage_of_a_document_counts(memory: Memory, service: Service) -> None:
    id = _added(memory, "cello strings " + "and something entirely different " * 100)
    [document] = service.namespaces["ann"].values()
    assert len(document.chunks) > 1
    [hit] = memory.search("cello strings", "ann")
    assert (hit.memory.id, hit.model_extra) == (id, {"x-supermemory": {"chunk_id": document.chunks[0][0]}})


def test_a_search_that_many_passages_of_one_document_crowd_is_not_short(memory: Memory, service: Service) -> None:
    rest = {_added(memory, f"Something else, number {n}") for n in range(5)}
    long = _added(memory, LONG * 10)
    hits = memory.search("The cello needs new strings", "ann", limit=10)
    assert hits[0].memory.id == long
    assert {hit.memory.id for hit in hits} == {long, *rest}
    assert all(request.body["limit"] <= 100 for request in service.requests if "/search" in request.path)


def test_a_list_longer_than_a_page_is_read_to_its_end(memory: Memory, service: Service) -> None:
    for n in range(250):
        service.put("ann", f"d{n}", f"fact {n}")
    page = memory.list("ann", limit=500)
    assert sorted(item.content for item in page.items) == sorted(f"fact {n}" for n in range(250))
    assert all(request.query["limit"] == "100" for request in service.requests)


@pytest.mark.parametrize("gone_at", range(1, 5))
def test_a_deletion_while_pages_are_read_hides_nothing(memory: Memory, service: Service, gone_at: int) -> None:
    for n in range(250):
        service.put("ann", f"d{n}", f"fact {n}")

    def delete(request: Request) -> None:
        if len(service.requests) == gone_at:
            for n in range(30):
                del service.namespaces["ann"][f"d{n}"]

    service.before = delete
    found = {item.content for item in memory.list("ann", limit=500).items}
    assert found >= {f"fact {n}" for n in range(30, 250)}


@pytest.mark.parametrize("come_at", range(1, 5))
def test_an_addition_while_pages_are_read_hides_nothing(memory: Memory, service: Service, come_at: int) -> None:
    for n in range(250):
        service.put("ann", f"d{n}", f"fact {n}")

    def add(request: Request) -> None:
        if len(service.requests) == come_at:
            for n in range(250, 280):
                service.put("ann", f"d{n}", f"fact {n}")

    service.before = add
    found = {item.content for item in memory.list("ann", limit=500).items}
    assert found >= {f"fact {n}" for n in range(250)}


def test_a_missing_document_is_deleted_without_an_error_status(memory: Memory, service: Service) -> None:
    id = _added(memory)

    def vanish(request: Request) -> None:
        if request.method == "DELETE":
            service.namespaces["ann"].clear()

    service.before = vanish
    with pytest.raises(NotFoundError):
        memory.delete(id)


def test_a_document_that_the_service_does_not_delete_is_not_said_to_be_missing(
    memory: Memory, service: Service
) -> None:
    id = _added(memory)
    service.script.extend([service.perform, Reply(body={"count": 0, "errors": [{"id": "x", "error": "is locked"}]})])
    with pytest.raises(ProviderError, match="is locked"):
        memory.delete(id)


def test_a_document_in_process_is_changed_once_it_can_be(memory: Memory, service: Service) -> None:
    service.looks = 3
    id = memory.add(content="likes tea", user_id="ann").id
    changed = memory.update(id, content="likes coffee")
    assert (changed.content, changed.status) == ("likes coffee", "queued")
    assert memory.get(id).content == "likes coffee"
    assert service.routes().count("PATCH /ns/*/document/*") == 2


def test_a_document_that_stays_in_process_is_given_up(memory: Memory, service: Service) -> None:
    service.looks = 1000
    id = memory.add(content="likes tea", user_id="ann").id
    with pytest.raises(ProviderError, match="wait_for_ingest") as refusal:
        memory.update(id, content="likes coffee")
    assert refusal.value.code == "provider_unavailable"
    assert service.routes().count("PATCH /ns/*/document/*") == 4


def test_a_text_can_be_read_before_the_service_has_processed_it(memory: Memory, service: Service) -> None:
    service.looks = 4
    added = memory.add(content="likes tea", user_id="ann")
    assert added.status == "queued"
    assert memory.get(added.id) == added
    assert memory.list("ann").items == [added]
    assert memory.search("tea", "ann") == []
    memory.wait_for_ingest([added.id], "ann")
    assert memory.get(added.id) == added.model_copy(update={"status": "stored"})
    assert [hit.memory.content for hit in memory.search("tea", "ann")] == ["likes tea"]
    assert memory.update(added.id, confidence=0.5).status == "stored"
    assert memory.update(added.id, content="likes coffee").status == "queued"
    assert [item.content for item in memory.list("ann").items] == ["likes coffee"]


def test_a_long_text_is_empty_until_the_service_has_processed_it(memory: Memory, service: Service) -> None:
    service.looks = 2
    id = memory.add(content=LONG, user_id="ann").id
    queued = memory.get(id)
    assert (queued.content, queued.status) == ("", "queued")
    ready = memory.get(id)
    assert (ready.content, ready.status) == (LONG, "stored")


def test_waiting_ends_after_its_time(memory: Memory, service: Service) -> None:
    service.looks = 1000
    id = memory.add(content="likes tea", user_id="ann").id
    with pytest.raises(ProviderError, match="still queued") as refusal:
        memory.wait_for_ingest([id], "ann", timeout=0.05)
    assert refusal.value.code == "ingestion_timeout"


@pytest.mark.parametrize("vanishes", [False, True])
def test_a_document_that_cannot_be_processed_is_an_error(memory: Memory, service: Service, vanishes: bool) -> None:
    service.looks, service.fails, service.vanishes = 2, {"bad"}, vanishes
    id = memory.add(content="bad", user_id="ann").id
    with pytest.raises(ProviderError, match="failed to process") as failure:
        memory.wait_for_ingest([id], "ann", timeout=5)
    assert failure.value.code == "provider_error"
    if not vanishes:
        assert memory.get(id).status == "failed"
        with pytest.raises(ProviderError, match="failed to process"):
            memory.wait_for_ingest([id], "ann")


def test_a_failed_document_that_is_gone_when_next_asked_for_is_an_error(memory: Memory, service: Service) -> None:
    service.looks = 3
    id = memory.add(content="likes tea", user_id="ann").id
    with pytest.raises(ProviderError, match="still queued"):
        memory.wait_for_ingest([id], "ann", timeout=0)
    service.namespaces["ann"].clear()
    with pytest.raises(ProviderError, match="is gone"):
        memory.wait_for_ingest([id], "ann")
    with pytest.raises(NotFoundError):
        memory.wait_for_ingest([id], "ann")


def test_found_passages_that_do_not_tell_their_document_are_told_by_their_metadata(
    memory: Memory, service: Service
) -> None:
    id = _added(memory, "likes green tea")
    service.put("ann", "other", "hates green tea")
    service.names_documents = False
    hits = memory.search("green tea", "ann")
    assert [(hit.memory.id, hit.score > 0) for hit in hits] == [(id, True), ("sm_ann.other", False)]


@pytest.mark.parametrize(
    "url", ["https://example.com/a", " HTTP://example.com ", "www.example.com", "data:text/plain,x"]
)
def test_a_bare_url_would_be_fetched_and_is_refused(memory: Memory, service: Service, url: str) -> None:
    for verb, arguments in [("add", {"user_id": "ann"}), ("update", {"id": "sm_ann.x"})]:
        with pytest.raises(InvalidRequestError, match=r"^content: .*URL"):
            getattr(memory, verb)(content=url, **arguments)
    assert service.requests == []
    assert memory.get(_added(memory, f"see {url}")).content == f"see {url}"


@pytest.mark.parametrize("merges", [False, True])
def test_a_change_keeps_the_metadata_of_others_and_removes_what_was_cleared(
    memory: Memory, service: Service, merges: bool
) -> None:
    service.merges = merges
    service.put("ann", "theirs", "likes tea", mode="green", sizes=["s", "m"])
    id = "sm_ann.theirs"
    memory.update(id, tags=["a"], scope="b", confidence=0.5)
    memory.update(id, tags=None, scope=None, confidence=None)
    record = memory.get(id)
    assert (record.tags, record.scope, record.confidence) == (None, None, None)
    assert record.extensions == {"x-supermemory": {"metadata": {"mode": "green", "sizes": ["s", "m"]}}}
    assert memory.list("ann", scope="b").items == []
    assert service.namespaces["ann"]["theirs"].metadata["mode"] == "green"


def test_nothing_is_sent_as_null_and_metadata_are_flat(memory: Memory, service: Service) -> None:
    extensions: Any = {"x-a": {"deep": [None, {"n": 1}]}}
    id = _added(memory, "likes tea", scope="a/b", tags=["t"], source={"app": "x"}, **extensions)
    memory.update(id, scope=None, tags=None)
    memory.search("tea", "ann", scope="a/*")
    memory.list("ann")
    memory.delete(id)

    def assert_no_null(value: Any) -> None:
        assert value is not None
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            assert_no_null(item)

    for request in service.requests:
        assert_no_null(request.body or {})


def test_only_ids_of_ours_name_documents_of_ours(memory: Memory, service: Service) -> None:
    service.gives_own_ids = True
    id = _added(memory)
    [document] = service.namespaces["ann"].values()
    assert document.own_id != id
    with pytest.raises(NotFoundError):
        memory.get(f"sm_ann.{document.own_id}")
    assert [item.id for item in memory.list("ann").items] == [id]
    assert [hit.memory.id for hit in memory.search("tea", "ann")] == [id]
    memory.delete(id)
    assert service.namespaces["ann"] == {}


def test_documents_of_others_are_memories(memory: Memory, service: Service) -> None:
    document = service.put("ann", "note-1", "likes tea", mode="green")
    document.title, document.summary, document.url = "Tea", "A drink", "https://example.com"
    record = memory.get("sm_ann.note-1")
    assert (record.content, record.user_id, record.created_at) == (
        "likes tea",
        "ann",
        document.created.replace(microsecond=1000),
    )
    shown = {"title": "Tea", "summary": "A drink", "type": "webpage", "metadata": {"mode": "green"}}
    assert record.extensions == {"x-supermemory": shown}
    [listed] = memory.list("ann").items
    assert listed.extensions["x-supermemory"] == shown | {"url": "https://example.com"}
    [hit] = memory.search("tea", "ann")
    assert (hit.memory.id, hit.memory.content) == (record.id, record.content)


def test_a_context_is_not_filled_up_with_what_was_not_found(memory: Memory, service: Service) -> None:
    for number in range(130):
        service.put("ann", f"note-{number}", f"water {number}" if number % 5 else f"likes tea {number}")
    service.requests.clear()
    block = memory.context("tea", "ann", token_budget=100_000)
    assert len(block.citations) == 26
    assert "water" not in block.text
    assert all(citation.score > 0 for citation in block.citations)
    assert "POST /ns/*/list/documents" not in service.routes()


def test_a_text_that_another_program_changed_is_seen(memory: Memory, service: Service) -> None:
    id = _added(memory, "likes tea")
    with supermemory.Supermemory(api_key=KEY, base_url=service.url) as client:
        [name] = service.namespaces["ann"]
        client.documents.update("ann", name, content="likes coffee")
        assert client.documents.get("ann", name).content == "likes coffee"
    assert memory.get(id).content == "likes coffee"
    assert [item.content for item in memory.list("ann").items] == ["likes coffee"]
    assert [hit.memory.content for hit in memory.search("coffee", "ann")] == ["likes coffee"]


ODD_IDS = ("a/../b", "..", ".", "c?d#e", "x/y", "%2e%2e", "ü", "a b", "x" * 255, "é" * 200)


@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda id: id[:10])
def test_documents_with_ids_that_have_no_place_in_a_path_are_read_all_the_same(
    memory: Memory, service: Service, odd: str
) -> None:
    service.put("ann", odd, "likes tea")
    service.put("b", "document", "a secret")
    [listed] = memory.list("ann").items
    service.namespaces["ann"] = {"first": service.put("ann", "first", "x"), odd: service.namespaces["ann"][odd]}
    assert memory.get(listed.id) == listed
    del service.namespaces["ann"]["first"]
    assert [hit.memory.id for hit in memory.search("tea", "ann")] == [listed.id]
    with pytest.raises(UnsupportedCapabilityError):
        memory.update(listed.id, content="likes coffee")
    assert {request.namespace for request in service.requests} == {"ann"}
    if len(odd) < 50:
        memory.delete(listed.id)
        assert service.namespaces["ann"] == {}


def test_the_settings_of_the_sdk_s_environment_count(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERMEMORY_API_KEY", KEY)
    monkeypatch.setenv("SUPERMEMORY_BASE_URL", service.url)
    with Memory(provider="supermemory") as memory:
        memory.list("ann")
    assert service.routes() == ["POST /ns/*/list/documents"]


def test_a_base_url_is_asked_for_omp_and_then_used(service: Service) -> None:
    with Memory(provider="supermemory", base_url=service.url, api_key=KEY) as memory:
        assert memory.capabilities().provider == "supermemory"
        assert memory.list("ann").items == []
    assert service.routes() == ["GET /capabilities", "POST /ns/*/list/documents"]


def test_the_constructor_asks_for_nothing_and_refuses_what_is_wrong(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPERMEMORY_API_KEY", raising=False)
    Memory(provider="supermemory", host=service.url, api_key=KEY).close()
    assert service.requests == []
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("api_key", {}),
        ("api_key", {"api_key": "ключ"}),
        ("api_key", {"api_key": "a\nb"}),
        ("task_type", {"api_key": KEY, "task_type": "both"}),
        ("host", {"api_key": KEY, "host": "example.com"}),
    ]
    for field, arguments in wrong:
        with pytest.raises(InvalidRequestError, match=field):
            Memory(provider="supermemory", **arguments)


@pytest.mark.parametrize("task_type", [None, "superrag", "memory"])
def test_facts_are_derived_only_on_request(service: Service, task_type: str | None) -> None:
    arguments: dict[str, Any] = {} if task_type is None else {"task_type": task_type}
    with Memory(provider="supermemory", host=service.url, api_key=KEY, **arguments) as memory:
        id = _added(memory)
        memory.update(id, content="likes coffee")
    sent = [request.body["taskType"] for request in service.requests if "content" in (request.body or {})]
    assert sent == [task_type or "superrag"] * 2


def test_scopes_are_selected_by_the_service_as_well(memory: Memory, service: Service) -> None:
    for scope in ("a", "a/b", "c", None):
        _added(memory, f"tea of {scope}", scope=scope)
    conditions = {"a": ("eq", "a"), "a/*": ("contains", "a/"), "*": ("neq", "")}
    for scope, (operator, value) in conditions.items():
        memory.search("tea", "ann", scope=scope)
        assert service.requests[-1].body["filter"] == {"field": "omp_scope", "operator": operator, "value": value}
    memory.context("tea", "ann", scope="a")
    assert [part["value"] for part in service.requests[-1].body["filter"]["operands"]] == ["a", "a/"]
