"""The verbs beyond OMP 0.1 through a server: what is sent, and what is made of a server that cannot be trusted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

import pytest

from openmem import (
    AsyncMemory,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    ScopeDeniedError,
    UnsupportedCapabilityError,
)
from openmem.models import CapabilityFeatures
from openmem.operations import VERBS
from openmem.testing.modes import Async, Mode, Sync

from .upstream import FEATURES, HANG_UP, MOMENT, Answer, Piece, Request, Upstream, reply

Call = Callable[[AsyncMemory], Coroutine[Any, Any, Any]]

ALL_FEATURES = CapabilityFeatures(
    **FEATURES.model_dump()
    | dict.fromkeys(("metadata", "filters", "keys", "versions", "expiry", "unindexed", "timezones", "recency"), True)
)
ALL_VERBS = [verb.verb for verb in VERBS if verb.is_wire_verb]

CALLS: dict[str, Call] = {
    "put": lambda memory: memory.put(key="k", content="tea", user_id="maya"),
    "get_by_key": lambda memory: memory.get_by_key("k", "maya"),
    "delete_many": lambda memory: memory.delete_many("maya", everything=True),
    "count": lambda memory: memory.count("maya"),
    "facets": lambda memory: memory.facets("maya", by="scope"),
    "history": lambda memory: memory.history("m1"),
    "users": lambda memory: memory.users(),
    "forget_user": lambda memory: memory.forget_user("maya"),
    "restore": lambda memory: memory.restore([record()]),
    "purge": lambda memory: memory.purge(),
}


def record(**fields: Any) -> dict[str, Any]:
    return {"id": "m1", "content": "tea", "user_id": "maya", "created_at": MOMENT, "key": "k", "version": 1, **fields}


def good(request: Request, **fields: Any) -> list[Piece]:
    """A good answer, with other `fields` in its memories, values and users than were asked for."""
    counted = {"count": 1, "newest": MOMENT}
    replies: dict[str, Any] = {
        "PUT /memories/by-key": record(**fields),
        "GET /memories/by-key": record(**fields),
        "GET /memories": {"items": [record(**fields)]},
        "GET /memories/search": {"results": [{"memory": record(**fields), "score": 0.5}]},
        "POST /memories/search": {"results": [{"memory": record(**fields), "score": 0.5}]},
        "POST /memories/delete": {"deleted": 2},
        "GET /memories/count": {"count": 2},
        "GET /memories/facets": {"facets": [{"value": "food", **counted, **fields}]},
        "GET /memories/m1/history": {"memories": [record(**fields), record(id="m2", scope="health")]},
        "GET /users": {"items": [{"user_id": "maya", **counted, **fields}]},
        "DELETE /users/maya": {"memories": 1, "audit_entries": 2},
        "POST /memories/restore": {"memories": [record(**fields)]},
        "POST /purge": {"memories": 1, "audit_entries": 2},
    }
    return reply(replies.get(f"{request.method} {request.path}", record(**fields)))


@pytest.fixture(params=[Sync, Async])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    yield mode
    mode.close()


def outcome(
    mode: Mode, answer: Answer, call: Call, *, features: CapabilityFeatures = ALL_FEATURES, **settings: Any
) -> tuple[Any, list[Request]]:
    """What a call returns or raises, of our errors, where the server answers like this, and what it was asked."""
    outcomes: list[Any] = []

    async def body(upstream: Upstream) -> None:
        async with mode.client(provider="passthrough", base_url=upstream.url, **settings) as memory:
            try:
                outcomes.append(await call(memory))
            except OMPError as error:
                outcomes.append(error)

    with Upstream(answer, features=features, verbs=ALL_VERBS) as upstream:
        mode.run(body(upstream))
        return outcomes[0], upstream.requests


@pytest.mark.parametrize("verb", CALLS)
def test_a_verb_is_one_request(mode: Mode, verb: str) -> None:
    result, requests = outcome(mode, good, CALLS[verb])
    assert not isinstance(result, OMPError), result
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("call", "fields", "said"),
    [
        (CALLS["put"], {"user_id": "ben"}, "another user"),
        (CALLS["put"], {"key": "other"}, "another key"),
        (CALLS["put"], {"scope": "food"}, "another key"),
        (CALLS["put"], {"content": "coffee"}, "another text"),
        (CALLS["get_by_key"], {"user_id": "ben"}, "another user"),
        (CALLS["get_by_key"], {"key": None}, "another key"),
        (CALLS["history"], {"id": "m3"}, "another memory"),
        (CALLS["history"], {"user_id": "ben"}, "another user"),
        (CALLS["restore"], {"id": "m3"}, "other memories"),
        (CALLS["restore"], {"user_id": "ben"}, "other memories"),
        (lambda memory: memory.facets("maya", by="scope", scope="health/*"), {}, "a scope that was not asked for"),
        (lambda memory: memory.users(prefix="b"), {}, "the prefix"),
        (lambda memory: memory.list("maya", tags=["a"]), {}, "the tags"),
        (lambda memory: memory.list("maya", tag="a"), {}, "the tags"),
        (lambda memory: memory.search("tea", "maya", any_tags=["a", "b"]), {"tags": ["c"]}, "the tags"),
        (lambda memory: memory.search("tea", "maya", scope=["a", "b/**"]), {"scope": "bc"}, "outside the scope"),
    ],
)
def test_an_answer_to_something_else_is_withheld(mode: Mode, call: Call, fields: dict[str, Any], said: str) -> None:
    error, _ = outcome(mode, lambda request: good(request, **fields), call)
    assert isinstance(error, ProviderError), error
    assert said in error.message
    assert not any(text in error.message for text in ("ben", "coffee", "m3"))


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize("answer", [{}, [], None, {"count": "many", "deleted": None, "facets": 7, "memories": [7]}])
def test_an_answer_of_another_shape_is_an_error_of_ours(mode: Mode, verb: str, answer: Any) -> None:
    error, _ = outcome(mode, lambda request: reply(answer), CALLS[verb])
    assert isinstance(error, ProviderError)


@pytest.mark.parametrize("existing", ["m1", {"m1": 1}, 7, [7]])
def test_what_was_there_before_a_restore_is_a_list_of_ids(mode: Mode, existing: Any) -> None:
    error, _ = outcome(mode, lambda request: reply({"memories": [record()], "existing": existing}), CALLS["restore"])
    assert isinstance(error, ProviderError)


def test_the_client_s_grants_narrow_a_query_to_one_request(mode: Mode) -> None:
    grants = ["read:food", "read:health/*", "delete:food/**"]
    calls: dict[str, Call] = {
        "list": lambda memory: memory.list("maya"),
        "count": CALLS["count"],
        "facets": CALLS["facets"],
        "search": lambda memory: memory.search("tea", "maya"),
        "delete_many": CALLS["delete_many"],
    }
    for verb, call in calls.items():
        result, requests = outcome(mode, lambda request: good(request, scope="food"), call, grants=grants)
        assert not isinstance(result, OMPError), (verb, result)
        [request] = requests
        if verb == "delete_many":
            assert request.body == {"user_id": "maya", "scope": ["food", "food/*"]}
        elif verb == "search":
            assert request.body["scope"] == ["food", "health/*"]
        else:
            assert [value for name, value in request.parameters if name == "scope"] == ["food", "health/*"]
        outside, _ = outcome(mode, lambda request: good(request, scope="work"), call, grants=grants)
        assert verb in ("count", "delete_many", "facets") or isinstance(outside, ProviderError)


def test_several_scopes_are_refused_where_the_server_takes_one(mode: Mode) -> None:
    features = ALL_FEATURES.model_copy(update={"filters": False})
    for verb in ("count", "facets", "delete_many"):
        grants = ["read:food", "read:health/*", "delete:food", "delete:health"]
        error, requests = outcome(mode, good, CALLS[verb], features=features, grants=grants)
        assert isinstance(error, UnsupportedCapabilityError), verb
        assert requests == []
        result, requests = outcome(mode, good, CALLS[verb], features=features, grants=["read:food", "delete:food"])
        assert not isinstance(result, OMPError), verb
        assert len(requests) == 1


def test_history_leaves_out_what_the_grants_do_not_include(mode: Mode) -> None:
    records, requests = outcome(
        mode, lambda request: good(request, scope="food"), CALLS["history"], grants=["read:food"]
    )
    assert [record.id for record in records] == ["m1"]
    assert len(requests) == 1
    error, _ = outcome(mode, lambda request: good(request, scope="work"), CALLS["history"], grants=["read:food"])
    assert isinstance(error, ScopeDeniedError)


@pytest.mark.parametrize("verb", ["users", "forget_user", "restore", "purge"])
def test_what_concerns_all_users_is_refused_to_limited_callers(mode: Mode, verb: str) -> None:
    error, requests = outcome(mode, good, CALLS[verb], grants=["read:*", "write:*", "delete:food"])
    assert isinstance(error, ScopeDeniedError)
    assert requests == []


def test_by_id_a_memory_of_another_user_does_not_exist(mode: Mode) -> None:
    calls: dict[str, Call] = {
        "get": lambda memory: memory.get("m1", user_id="ben"),
        "history": lambda memory: memory.history("m1", user_id="ben"),
    }
    for verb, call in calls.items():
        error, [request] = outcome(mode, good, call)
        assert isinstance(error, NotFoundError), verb
        assert request.query["user_id"] == request.headers["x-user-id"] == "ben"
    for features, count in ((ALL_FEATURES, 1), (FEATURES, 2)):
        call = lambda memory: memory.update("m1", content="tea", user_id="maya")  # noqa: E731
        changed, requests = outcome(mode, good, call, features=features)
        assert changed.content == "tea"
        assert len(requests) == count
        assert requests[-1].headers["x-user-id"] == "maya"
        assert requests[-1].body == {"content": "tea"}


@pytest.mark.parametrize(
    ("call", "is_body"),
    [
        (lambda memory: memory.search("tea", "maya", scope="food"), False),
        (lambda memory: memory.search("tea", "maya", timezone="UTC", recency=60), False),
        (lambda memory: memory.search("tea" * 1000, "maya", scope="food"), True),
        (lambda memory: memory.search("tea", "maya", scope=["food", "work"]), True),
        (lambda memory: memory.search("tea", "maya", where={"n": 1}), True),
        (lambda memory: memory.search("tea", "maya", as_of="2024-01-01"), True),
    ],
)
def test_a_search_goes_into_a_body_where_there_is_much_of_it(mode: Mode, call: Call, is_body: bool) -> None:
    result, [request] = outcome(mode, lambda request: good(request, scope="food"), call)
    assert not isinstance(result, OMPError), result
    assert request.method == ("POST" if is_body else "GET")
    assert (request.body is not None) == is_body
    assert is_body == ("q" not in request.query)


def test_a_server_that_knows_no_more_gets_a_long_search_as_before(mode: Mode) -> None:
    _, [request] = outcome(mode, good, lambda memory: memory.search("tea" * 1000, "maya"), features=FEATURES)
    assert request.method == "GET"


def _lost_once() -> Answer:
    requests: list[Request] = []

    def answer(request: Request) -> Iterable[Piece]:
        requests.append(request)
        return [HANG_UP] if len(requests) == 1 else good(request)

    return answer


@pytest.mark.parametrize(
    ("call", "is_repeated"),
    [
        (CALLS["put"], True),
        (CALLS["get_by_key"], True),
        (CALLS["restore"], True),
        (CALLS["count"], True),
        (lambda memory: memory.delete_many("maya", keys=["k"], dry_run=True), True),
        (lambda memory: memory.put(key="k", content="tea", user_id="maya", if_version=1), False),
        (lambda memory: memory.put(key="k", content="tea", user_id="maya", keep_history=True), False),
        (lambda memory: memory.update("m1", content="tea", if_version=1), False),
        (CALLS["delete_many"], False),
        (CALLS["forget_user"], False),
        (CALLS["purge"], False),
    ],
)
def test_only_what_is_the_same_twice_is_tried_again(mode: Mode, call: Call, is_repeated: bool) -> None:
    result, requests = outcome(mode, _lost_once(), call)
    assert len(requests) == (2 if is_repeated else 1)
    assert isinstance(result, ProviderError) != is_repeated


def test_what_is_restored_goes_in_parts_that_fit_into_a_body(mode: Mode) -> None:
    def answer(request: Request) -> Iterable[Piece]:
        return reply({"memories": request.body["records"]})

    records = [record(id=f"m{number}", key=None, content="x" * 300_000, indexed=False) for number in range(7)]
    done: list[tuple[int, int]] = []
    call: Call = lambda memory: memory.restore(records, progress=lambda *counts: done.append(counts))  # noqa: E731
    restored, requests = outcome(mode, answer, call)
    assert [memory.id for memory in restored] == [given["id"] for given in records]
    assert [len(request.body["records"]) for request in requests] == [3, 3, 1]
    assert done == [(3, 7), (6, 7), (7, 7)]


def test_a_rate_limit_holds_for_all_verbs(mode: Mode) -> None:
    answer = reply({"error": {"code": "rate_limited", "message": "slow down"}}, 429, "Retry-After: 1000")
    for call in CALLS.values():
        error, requests = outcome(mode, lambda request: answer, call)
        assert isinstance(error, RateLimitedError)
        assert len(requests) == 1
