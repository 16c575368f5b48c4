"""What goes to the hosted service and what is made of its answers, where the two meet a trap."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openmem import (
    InvalidRequestError,
    Memory,
    NotFoundError,
    ProviderError,
    RateLimitedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
)
from openmem.drivers.blocking import BlockingPorts

from ..service import Reply
from .service import KEY, Request, Service

NOW = datetime(2099, 1, 2, tzinfo=UTC)


@pytest.fixture
def memory(service: Service) -> Iterator[Memory]:
    with Memory("mem0", api_key=KEY, host=service.url) as memory:
        yield memory


def test_neither_construction_nor_opening_makes_a_request(service: Service) -> None:
    with Memory("mem0", api_key=KEY, host=service.url) as memory:
        assert service.requests == []
        memory.add(content="tea", user_id="u")
    assert service.verbs == ["POST /v3/memories/add/"]


def test_the_key_is_required_and_may_come_from_the_environment(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEM0_API_KEY", raising=False)
    with pytest.raises(InvalidRequestError, match="MEM0_API_KEY"):
        Memory("mem0", host=service.url)
    monkeypatch.setenv("MEM0_API_KEY", KEY)
    with Memory("mem0", host=service.url) as memory:
        memory.add(content="tea", user_id="u")


def test_a_base_url_that_is_no_omp_server_is_the_vendors_own(service: Service) -> None:
    with Memory("mem0", api_key=KEY, base_url=service.url) as memory:
        record = memory.add(content="tea", user_id="u")
        assert memory.get(record.id) == record
    assert service.verbs == ["GET /capabilities", "POST /v3/memories/add/", "GET /v1/memories/{id}/"]


@pytest.mark.parametrize("host", ["api.mem0.ai", "ftp://x", "http://", "http://x/?a=1"])
def test_a_host_that_is_no_url_is_refused(host: str) -> None:
    with pytest.raises(InvalidRequestError, match="host"):
        Memory("mem0", api_key=KEY, host=host)


def test_options_are_checked() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        Memory("mem0", api_key=KEY, nonsense=1)
    with pytest.raises(InvalidRequestError, match="infer"):
        Memory("mem0", api_key=KEY, infer="yes")


def test_texts_are_stored_as_they_are_and_searched_without_a_threshold(service: Service, memory: Memory) -> None:
    memory.add(content="tea", user_id="u")
    added = service.requests[-1].body
    assert (added["infer"], added["user_id"]) == (False, "u")
    assert added["messages"] == [{"role": "user", "content": "tea"}]
    [hit] = memory.search("unrelated words", "u")
    assert hit.score < 0.1
    searched = service.requests[-1].body
    assert (searched["threshold"], searched["filters"], searched["show_expired"]) == (0.0, {"user_id": "u"}, True)


def test_times_are_those_of_the_clock_port(service: Service, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockingPorts, "now", lambda self: NOW)
    ended = memory.add(content="tea", user_id="u", valid_to=NOW)
    valid = memory.add(content="tea", user_id="u", valid_to=NOW + timedelta(seconds=1))
    assert (ended.created_at, valid.created_at) == (NOW, NOW + timedelta(microseconds=1))
    assert [hit.memory.id for hit in memory.search("tea", "u")] == [valid.id]


def test_every_question_about_many_memories_names_the_user(service: Service, memory: Memory) -> None:
    memory.add(content="tea", user_id="u", scope="a")
    memory.search("tea", "u", scope="a/*")
    memory.search("tea", "u", scope="a")
    memory.context("tea", "u")
    memory.list("u")
    for request in service.requests[1:]:
        assert request.body["filters"]["user_id"] == "u"


def test_a_star_is_a_user_like_others(service: Service, memory: Memory) -> None:
    memory.add(content="tea", user_id="u")
    assert memory.list("*").items == []
    assert memory.search("tea", "*") == []
    mine = memory.add(content="tea", user_id="*")
    assert [hit.memory.id for hit in memory.search("tea", "*")] == [mine.id]


def test_no_two_users_have_one_name(service: Service, memory: Memory) -> None:
    users = ["a b", "a%20b", "a%2520b", " a b", "a\tb", "ä ß", "%", "%25"]
    ids = {user: memory.add(content="tea", user_id=user).id for user in users}
    assert len({request.body["user_id"] for request in service.requests}) == len(users)
    assert not any(character.isspace() for request in service.requests for character in request.body["user_id"])
    for user in users:
        assert [(item.id, item.user_id) for item in memory.list(user).items] == [(ids[user], user)]


def test_plain_users_keep_their_names(service: Service, memory: Memory) -> None:
    for user in ("alice", "alice@example.com", "org:7/alice-1", "Алиса"):
        memory.add(content="tea", user_id=user)
        assert service.requests[-1].body["user_id"] == user


@pytest.mark.parametrize("verb", ["list", "search", "context"])
def test_a_row_of_another_user_is_never_returned(verb: str, service: Service, memory: Memory) -> None:
    memory.add(content="tea", user_id="u")
    service.put("tea of hers", user_id="v")

    def leak(request: Request) -> Reply:
        rows = [service._outward(memory, "run_id") | {"score": 0.5} for memory in service.memories.values()]
        return Reply(body={"count": 2, "next": None, "previous": None, "results": rows})

    service.script.append(leak)
    with pytest.raises(ProviderError, match="another user"):
        CALLS[verb](memory, "")


def test_an_answer_about_another_memory_is_refused(service: Service, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="u")
    other = memory.add(content="milk", user_id="u")
    service.script.append(lambda request: Reply(body=service._outward(service.memories[other.id], "session_id")))
    with pytest.raises(ProviderError, match="a call about"):
        memory.get(record.id)


def test_a_memory_moved_to_another_user_is_refused(service: Service, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="u")
    service.memories[record.id]["user_id"] = "v"
    for read in (lambda: memory.get(record.id), lambda: memory.list("v"), lambda: memory.search("tea", "v")):
        with pytest.raises(ProviderError, match="did not store it"):
            read()


@pytest.mark.parametrize(
    "id",
    [
        "mem_1",
        "../memories",
        "a/b?c#d",
        "3F2504E0-4F89-41D3-9A0C-0305E82C3301",
        "{3f2504e0-4f89-41d3-9a0c-0305e82c3301}",
    ],
)
def test_what_cannot_be_an_id_is_not_asked_for(id: str, service: Service, memory: Memory) -> None:
    for call in (memory.get, memory.delete, lambda id: memory.update(id, content="x")):
        with pytest.raises(NotFoundError):
            call(id)
    with pytest.raises(InvalidRequestError, match="supersedes"):
        memory.add(content="x", user_id="u", supersedes=[id])
    assert service.requests == []


def test_memories_of_others_tools_are_read(service: Service, memory: Memory) -> None:
    id = service.put(
        "likes tea",
        user_id="u",
        agent_id="a",
        run_id="r",
        metadata={"mood": "good", "none": None},
        categories=["food"],
        created_at="2024-01-02T03:04:05+02:00",
        updated_at="2024-01-03T00:00:00Z",
    )
    record = memory.get(id)
    assert (record.content, record.created_at) == ("likes tea", datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC))
    assert record.updated_at == datetime(2024, 1, 3, tzinfo=UTC)
    beyond = {"agent_id": "a", "categories": ["food"], "metadata": {"mood": "good"}}
    assert record.extensions == {"x-mem0": {**beyond, "session_id": "r"}}
    [hit] = memory.search("tea", "u")
    assert hit.memory.extensions == {"x-mem0": {**beyond, "run_id": "r"}}
    assert hit.model_extra == {"x-mem0": {"score_breakdown": {"semantic": pytest.approx(hit.score, abs=1e-6)}}}
    assert memory.list("u").items == [record]


def test_memories_without_a_user_are_not_there(service: Service, memory: Memory) -> None:
    id = service.put("tea of an agent", agent_id="a")
    for call in (memory.get, memory.delete, lambda id: memory.update(id, content="x")):
        with pytest.raises(NotFoundError):
            call(id)
    assert id in service.memories


def test_an_expiration_date_ends_validity(service: Service, memory: Memory) -> None:
    today = datetime.now(UTC).date()
    past, now = (
        service.put("tea", user_id="u", expiration_date=(today - timedelta(days=days)).isoformat()) for days in (1, 0)
    )
    assert {item.id for item in memory.list("u").items} == {past, now}
    assert memory.get(past).valid_to == datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert [hit.memory.id for hit in memory.search("tea", "u")] == [now]


@pytest.mark.parametrize("merges", [False, True])
def test_an_update_keeps_what_others_stored(merges: bool, service: Service, memory: Memory) -> None:
    service.merges = merges
    id = service.put("likes tea", user_id="u", metadata={"mood": "good", "omp_scope": "old"}, agent_id="a")
    changed = memory.update(id, scope="food", tags=["t"])
    assert (changed.scope, changed.tags, changed.content) == ("food", ["t"], "likes tea")
    assert service.memories[id]["metadata"]["mood"] == "good"
    again = memory.update(id, scope=None, tags=None, content="likes milk")
    assert (again.scope, again.tags) == (None, None)
    assert memory.get(id) == again
    assert again.extensions["x-mem0"]["metadata"] == {"mood": "good"}
    assert service.memories[id]["metadata"]["omp_scope"] == ""


def test_an_extension_of_mem0s_own_name_survives_beside_what_mem0_tells(service: Service, memory: Memory) -> None:
    extension: Any = {"mine": [1], "agent_id": "kept"}
    record = memory.add(content="tea", user_id="u", **{"x-mem0": extension})
    service.memories[record.id].update(agent_id="theirs", categories=["food"])
    assert memory.get(record.id).extensions == {"x-mem0": {**extension, "categories": ["food"]}}
    changed = memory.update(record.id, confidence=0.5)
    service.memories[record.id].update(categories=None)
    assert memory.get(record.id).extensions == {"x-mem0": extension}
    assert changed.confidence == 0.5


def test_a_text_that_mem0_has_already_is_stored_again(service: Service, memory: Memory) -> None:
    first, second = (memory.add(content="tea", user_id="u", scope=scope) for scope in ("a", "b"))
    assert first.id != second.id
    assert [service.memories[record.id]["memory"] for record in (first, second)] == ["tea", "tea"]
    assert memory.get(second.id) == second
    assert memory.get(first.id).scope == "a"


def test_a_duplicate_that_cannot_be_finished_leaves_nothing(service: Service, memory: Memory) -> None:
    first = memory.add(content="tea", user_id="u")

    def fail_the_update(request: Request) -> Reply:
        service.script.append(Reply(500, {"error": "broken"}))
        return service.perform(request)

    service.script += [service.perform, fail_the_update]
    with pytest.raises(ProviderError, match="broken"):
        memory.add(content="tea", user_id="u")
    assert list(service.memories) == [first.id]


def test_a_list_reads_all_pages_and_none_beyond(service: Service, memory: Memory) -> None:
    ids = {service.put(f"tea {n}", user_id="u") for n in range(400)}
    service.put("tea", user_id="v")
    assert {item.id for item in memory.list("u", limit=500).items} == ids
    assert [request.query for request in service.requests] == [{"page": str(n), "page_size": "200"} for n in (1, 2)]


def test_a_list_is_read_again_if_its_pages_shift(service: Service, memory: Memory) -> None:
    ids = sorted(service.put(f"tea {n}", user_id="u") for n in range(250))

    def delete_from_the_first_page(request: Request) -> Reply:
        reply = service.perform(request)
        del service.memories[ids[0]]
        return reply

    service.script.append(delete_from_the_first_page)
    assert {item.id for item in memory.list("u", limit=500).items} >= set(ids[1:])
    assert len(service.requests) == 4


def test_a_list_that_never_holds_still_is_an_error(service: Service, memory: Memory) -> None:
    for n in range(250):
        service.put(f"tea {n}", user_id="u")

    def add_one(request: Request) -> Reply:
        reply = service.perform(request)
        service.put("more tea", user_id="u")
        return reply

    service.script.extend([add_one] * 6)
    with pytest.raises(ProviderError, match="kept changing"):
        memory.list("u")


def test_search_asks_for_more_until_enough_may_be_shown(service: Service, memory: Memory) -> None:
    wanted = {memory.add(content=f"tea {n} with much beside", user_id="u", scope="a/b").id for n in range(5)}
    for n in range(60):
        memory.add(content=f"tea {n}", user_id="u", scope="c/d")
    service.requests.clear()
    assert {hit.memory.id for hit in memory.search("tea", "u", scope="a/*", limit=5)} == wanted
    assert [request.body["top_k"] for request in service.requests] == [18, 72]


def test_search_for_one_scope_is_left_to_the_service(service: Service, memory: Memory) -> None:
    wanted = memory.add(content="tea with much beside", user_id="u", scope="a").id
    for n in range(30):
        memory.add(content=f"tea {n}", user_id="u", scope="c")
    service.requests.clear()
    assert [hit.memory.id for hit in memory.search("tea", "u", scope="a", limit=5)] == [wanted]
    assert [request.body["filters"]["metadata"] for request in service.requests] == [{"omp_scope": "a"}]


def test_what_the_services_search_cannot_reach_comes_last(
    service: Service, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.client.provider, "max_candidates", 10)
    far = [memory.add(content=f"water {n}", user_id="u", scope="a/b") for n in range(3)]
    near = memory.add(content="tea", user_id="u", scope="a/b")
    for n in range(20):
        memory.add(content=f"tea {n}", user_id="u", scope="c")
    hits = memory.search("tea", "u", scope="a/*", limit=3)
    assert [(hit.memory.id, hit.score > 0) for hit in hits] == [
        (near.id, True),
        (far[2].id, False),
        (far[1].id, False),
    ]
    with pytest.raises(UnsupportedCapabilityError, match="min_score"):
        memory.search("tea", "u", scope="a/*", limit=3, min_score=0.01)
    assert [hit.memory.id for hit in memory.search("tea", "u", scope="a/*", min_score=0.99)] == [near.id]


def test_a_context_is_not_filled_up_with_what_was_not_found(
    service: Service, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.client.provider, "max_candidates", 10)
    for n in range(20):
        memory.add(content=f"water {n}", user_id="u")
    near = [memory.add(content=f"tea {n}", user_id="u").id for n in range(3)]
    service.requests.clear()
    block = memory.context("tea", "u", token_budget=10_000)
    assert set(near) == {citation.memory_id for citation in block.citations[:3]}
    assert len(block.citations) <= 10
    assert all(citation.score > 0 for citation in block.citations)
    assert set(service.verbs) == {"POST /v3/memories/search/"}


def test_the_scores_are_said_to_be_similarities(memory: Memory) -> None:
    features = memory.capabilities().features
    assert (features.scores, features.atomic_supersession, features.supports_audit) == ("similarity", False, False)


def test_a_supersession_that_fails_half_way_leaves_both_valid(service: Service, memory: Memory) -> None:
    old = memory.add(content="tea", user_id="u")
    service.script += [service.perform, service.perform, Reply(500, {"error": "broken"})]
    with pytest.raises(ProviderError, match="broken"):
        memory.add(content="no tea", user_id="u", supersedes=[old.id])
    assert {item.content: item.valid_to for item in memory.list("u").items} == {"tea": None, "no tea": None}


class TestInference:
    @pytest.fixture
    def memory(self, service: Service) -> Iterator[Memory]:
        with Memory("mem0", api_key=KEY, host=service.url, infer=True) as memory:
            yield memory

    def test_what_is_added_is_queued_and_can_be_waited_for(self, service: Service, memory: Memory) -> None:
        queued = memory.add(content="I like tea", user_id="u", scope="a")
        assert service.requests[-1].body["infer"] is True
        assert queued.status == "queued"
        memory.wait_for_ingest([queued.id], "u", timeout=10)
        assert service.verbs.count("GET /v1/event/{id}/") == 3
        [record] = memory.list("u").items
        assert (record.content, record.scope, record.status) == ("I like tea", "a", "stored")
        memory.wait_for_ingest([record.id], "u")

    def test_waiting_ends_in_time(self, service: Service, memory: Memory) -> None:
        service.polls = 1000
        queued = memory.add(content="I like tea", user_id="u")
        with pytest.raises(ProviderError) as late:
            memory.wait_for_ingest([queued.id], "u", timeout=0.0)
        assert late.value.code == "ingestion_timeout"

    def test_failure_is_told(self, service: Service, memory: Memory) -> None:
        service.polls = 0
        queued = memory.add(content="I like tea", user_id="u")
        service.events[queued.id]["status"] = "FAILED"
        with pytest.raises(ProviderError, match="FAILED"):
            memory.wait_for_ingest([queued.id], "u")

    def test_it_is_for_ones_own(self, service: Service, memory: Memory) -> None:
        service.polls = 0
        queued = memory.add(content="I like tea", user_id="u")
        for id, user in [(queued.id, "v"), (str(uuid.uuid4()), "u")]:
            with pytest.raises(NotFoundError):
                memory.wait_for_ingest([id], user)


ERRORS: dict[int, tuple[type[Exception], str]] = {
    400: (InvalidRequestError, "invalid_request"),
    401: (UnauthorizedError, "unauthorized"),
    402: (ProviderError, "provider_error"),
    403: (UnauthorizedError, "unauthorized"),
    409: (ProviderError, "provider_error"),
    413: (InvalidRequestError, "invalid_request"),
    422: (InvalidRequestError, "invalid_request"),
    429: (RateLimitedError, "rate_limited"),
    500: (ProviderError, "provider_error"),
    502: (ProviderError, "provider_unavailable"),
    503: (ProviderError, "provider_unavailable"),
    504: (ProviderError, "provider_unavailable"),
}

CALLS: dict[str, Any] = {
    "add": lambda memory, id: memory.add(content="tea", user_id="u"),
    "get": lambda memory, id: memory.get(id),
    "list": lambda memory, id: memory.list("u"),
    "search": lambda memory, id: memory.search("tea", "u"),
    "context": lambda memory, id: memory.context("tea", "u"),
}


@pytest.mark.parametrize("key", ["error", "detail"])
@pytest.mark.parametrize("status", ERRORS)
def test_refusals_of_a_write(status: int, key: str, service: Service, memory: Memory) -> None:
    kind, code = ERRORS[status]
    service.script.append(Reply(status, {key: f"said so of {KEY}"}))
    with pytest.raises(kind) as failure:
        memory.add(content="tea", user_id="u")
    error: Any = failure.value
    assert (error.code, error.provider) == (code, "mem0")
    assert error.request_id
    assert error.__cause__.debug_info["status_code"] == status
    assert "said so of ***" in str(error)
    assert KEY not in repr(error)
    assert len(service.requests) == 1


@pytest.mark.parametrize("verb", ["update", "delete"])
@pytest.mark.parametrize("status", [404, 429, 503])
def test_a_write_is_sent_once(status: int, verb: str, service: Service, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="u")
    service.requests.clear()
    service.script += [service.perform, Reply(status, {"error": "no"}, {"Retry-After": "0"})]
    expected = NotFoundError if status == 404 else ERRORS[status][0]
    with pytest.raises(expected):
        memory.delete(record.id) if verb == "delete" else memory.update(record.id, content="x")
    assert len(service.requests) == 2


def test_not_found_where_nothing_was_named_is_a_wrong_host(service: Service, memory: Memory) -> None:
    for verb in ("add", "list", "search"):
        service.script.append(Reply(404, {"detail": "Not found."}))
        with pytest.raises(ProviderError, match="check host"):
            CALLS[verb](memory, "")


@pytest.mark.parametrize("verb", ["get", "list", "search", "context"])
@pytest.mark.parametrize(
    "failure", [Reply(503), Reply(429, {}, {"Retry-After": "0"}), Reply(429), Reply(cut=-1), Reply(body={}, cut=1)]
)
def test_reads_are_tried_again(failure: Reply, verb: str, service: Service, memory: Memory) -> None:
    id = memory.add(content="tea", user_id="u").id
    service.requests.clear()
    service.script.append(failure)
    CALLS[verb](memory, id)
    assert len(service.requests) == 2


def test_reads_are_tried_three_times(service: Service, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(memory.client.provider.ports, "sleep", sleep)
    service.script.extend([Reply(429, {"error": "slow down"}, {"Retry-After": "2"})] * 5)
    with pytest.raises(RateLimitedError) as limited:
        memory.list("u")
    assert limited.value.retry_after == 2
    assert len(service.requests) == 3
    assert pauses == [2, 2]


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_is_left_to_the_caller(status: int, service: Service, memory: Memory) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=3600)
    for header in ("3600", moment.strftime("%a, %d %b %Y %H:%M:%S GMT")):
        service.requests.clear()
        service.script.append(Reply(status, {"error": "later"}, {"Retry-After": header}))
        with pytest.raises((RateLimitedError, ProviderError)) as limited:
            memory.list("u")
        assert 3500 < getattr(limited.value, "retry_after", 0) <= 3600
        assert len(service.requests) == 1


def test_an_addition_whose_reply_is_lost_is_not_sent_again(service: Service, memory: Memory) -> None:
    service.script.append(service.cut_off)
    with pytest.raises(ProviderError) as lost:
        memory.add(content="tea", user_id="u")
    assert lost.value.code == "provider_unavailable"
    assert len(service.requests) == 1
    assert len(memory.list("u").items) == 1


def test_a_slow_answer_is_given_up(service: Service) -> None:
    with Memory("mem0", api_key=KEY, host=service.url, timeout=0.2) as memory:
        service.script.append(service.hang)
        with pytest.raises(ProviderError, match=r"within 0\.2 s") as slow:
            memory.list("u")
        assert slow.value.code == "provider_unavailable"
        assert len(service.requests) == 1


def test_nobody_at_the_host() -> None:
    with Memory("mem0", api_key=KEY, host="http://127.0.0.1:9") as memory:
        with pytest.raises(ProviderError) as refused:
            memory.add(content="tea", user_id="u")
        assert refused.value.code == "provider_unavailable"


ROW: dict[str, Any] = {"id": str(uuid.UUID(int=1)), "memory": "tea", "user_id": "u", "created_at": "2024-01-01"}

SHAPES: dict[str, Any] = {
    "no JSON": b"<html>",
    "bad UTF-8": b'{"results": "\xff"}',
    "null": None,
    "list": [],
    "text": "ok",
    "number": 5,
    "results null": {"results": None, "count": 1},
    "results object": {"results": {}, "count": 1, "event_id": 5},
    "rows of text": {"results": ["x"], "count": 1},
    "rows empty": {"results": [{}], "count": 1},
    "id number": {"results": [ROW | {"id": 5, "score": 1.0}], "count": 1},
    "id no UUID": {"results": [ROW | {"id": "x", "score": 1.0}], "count": 1},
    "memory null": {"results": [ROW | {"memory": None, "score": 1.0}], "count": 1},
    "user number": {"results": [ROW | {"user_id": 5, "score": 1.0}], "count": 1},
    "user missing": {"results": [{**ROW, "user_id": None, "score": 1.0}], "count": 1},
    "time": {"results": [ROW | {"created_at": "yesterday", "score": 1.0}], "count": 1},
    "no time": {"results": [ROW | {"created_at": None, "score": 1.0}], "count": 1},
    "score text": {"results": [ROW | {"score": "high"}], "count": "many"},
    "envelope": {"results": [ROW | {"metadata": {"omp": "{"}, "score": 1.0}], "count": 1},
    "envelope list": {"results": [ROW | {"metadata": {"omp": "[]"}, "score": 1.0}], "count": 1},
    "envelope number": {"results": [ROW | {"metadata": {"omp": 5}, "score": 1.0}], "count": 1},
    "envelope field": {"results": [ROW | {"metadata": {"omp": '{"user_id": "u", "tags": 5}'}, "score": 1.0}]},
    "metadata text": {"results": [ROW | {"metadata": "x", "score": 1.0}], "count": 1},
    "expiry": {"results": [ROW | {"expiration_date": "soon", "score": 1.0}], "count": 1},
}


@pytest.mark.parametrize("verb", ["list", "search", "context", "get"])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_of_the_wrong_shape(shape: str, verb: str, service: Service, memory: Memory) -> None:
    body = SHAPES[shape]
    if verb == "get" and isinstance(body, dict):
        rows = body["results"]
        body = rows[0] if isinstance(rows, list) else {"user_id": "u"}
    if verb == "get" and body in ({}, ROW | {"user_id": None, "score": 1.0}):
        expected: type[Exception] = NotFoundError
    elif verb == "get" and body == ROW | {"score": "high"}:
        return
    else:
        expected = ProviderError
    service.script.append(Reply(body=body))
    with pytest.raises(expected):
        CALLS[verb](memory, ROW["id"])


@pytest.mark.parametrize(
    "body",
    [b"", b"x", None, [], "ok", {}, {"results": {}}, {"results": ["x"]}, {"results": [{}]}, {"results": [{"id": "x"}]}],
    ids=repr,
)
def test_answers_of_the_wrong_shape_to_an_addition(body: Any, service: Service, memory: Memory) -> None:
    service.script.append(Reply(body=body))
    with pytest.raises(ProviderError) as failure:
        memory.add(content="tea", user_id="u")
    assert failure.value.code == "provider_error"
    assert len(service.requests) == 1
