"""What becomes of the service's refusals, and of answers that do not come or make no sense."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import supermemory

from openmem import (
    InvalidRequestError,
    Memory,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    UnauthorizedError,
)

from ..servers import free_port
from ..service import Reply
from .service import KEY, Service

SAID = {"error": "no", "details": "because"}

REFUSALS: list[tuple[int, type[OMPError], str, int]] = [
    (400, InvalidRequestError, "invalid_request", 1),
    (401, UnauthorizedError, "unauthorized", 1),
    (402, ProviderError, "provider_error", 1),
    (403, UnauthorizedError, "unauthorized", 1),
    (404, NotFoundError, "not_found", 1),
    (408, ProviderError, "provider_unavailable", 1),
    (409, ProviderError, "provider_unavailable", 1),
    (413, InvalidRequestError, "invalid_request", 1),
    (418, ProviderError, "provider_error", 1),
    (422, InvalidRequestError, "invalid_request", 1),
    (429, RateLimitedError, "rate_limited", 3),
    (500, ProviderError, "provider_error", 1),
    (503, ProviderError, "provider_unavailable", 3),
    (504, ProviderError, "provider_unavailable", 1),
]


@pytest.mark.parametrize(("status", "kind", "code", "tries"), REFUSALS, ids=lambda value: str(value))
def test_every_status_has_its_error(
    memory: Memory, service: Service, status: int, kind: type[OMPError], code: str, tries: int
) -> None:
    service.script.extend([Reply(status, SAID)] * 3)
    with pytest.raises(kind) as refusal:
        memory.get("sm_ann.x")
    error = refusal.value
    assert (type(error) is kind or kind is ProviderError, error.code, error.provider) == (True, code, "supermemory")
    assert error.request_id
    assert isinstance(error.__cause__, supermemory.APIStatusError) or status == 404
    assert ("no: because" in error.message) == (status != 404)
    assert len(service.requests) == tries


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_changes_something_is_sent_once(memory: Memory, service: Service, status: int) -> None:
    service.script.append(Reply(status, SAID))
    with pytest.raises(OMPError):
        memory.add(content="likes tea", user_id="ann")
    assert len(service.requests) == 1
    assert service.namespaces == {}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [({"Retry-After": "30"}, 30.0), ({"Retry-After": "soon"}, None), ({}, None)],
    ids=["seconds", "nonsense", "none"],
)
def test_the_service_tells_when_to_come_back(
    memory: Memory, service: Service, header: dict[str, str], seconds: float | None
) -> None:
    service.script.append(Reply(429, SAID, header))
    with pytest.raises(RateLimitedError) as refusal:
        memory.add(content="likes tea", user_id="ann")
    assert refusal.value.retry_after == seconds


def test_reads_are_tried_again_when_asked_for_soon(memory: Memory, service: Service) -> None:
    service.script.extend([Reply(503, SAID), Reply(429, SAID, {"Retry-After": "0"})])
    assert memory.list("ann").items == []
    assert len(service.requests) == 3


def test_a_validation_error_says_what_is_wrong(memory: Memory, service: Service) -> None:
    body = {"success": False, "error": [{"message": "Too big", "path": ["limit"]}, {"message": "Odd", "path": []}]}
    service.script.append(Reply(400, body))
    with pytest.raises(InvalidRequestError, match="Too big; Odd"):
        memory.list("ann")


def test_the_key_is_in_no_message(memory: Memory, service: Service) -> None:
    service.script.append(Reply(401, {"error": f"the key {KEY} is unknown"}))
    with pytest.raises(UnauthorizedError) as refusal:
        memory.list("ann")
    assert KEY not in refusal.value.message
    assert KEY not in str(refusal.value)


def test_a_wrong_key_is_refused(service: Service) -> None:
    with Memory(provider="supermemory", host=service.url, api_key="wrong") as memory, pytest.raises(UnauthorizedError):
        memory.list("ann")


@pytest.mark.parametrize("verb", ["get", "list", "search"])
def test_a_server_that_is_something_else_is_not_an_empty_memory(memory: Memory, service: Service, verb: str) -> None:
    service.script.append(Reply(404, b"<html>nothing here</html>"))
    arguments = {"get": ("sm_ann.x",), "list": ("ann",), "search": ("tea", "ann")}[verb]
    with pytest.raises(ProviderError, match="not at this URL"):
        getattr(memory, verb)(*arguments)


def test_a_slow_answer_is_not_waited_for(service: Service) -> None:
    service.script.append(service.late(0.4))
    with (
        Memory(provider="supermemory", host=service.url, api_key=KEY, timeout=0.1) as memory,
        pytest.raises(ProviderError, match=r"did not answer within 0\.1 s") as failure,
    ):
        memory.list("ann")
    assert failure.value.code == "provider_unavailable"
    assert len(service.requests) == 1


@pytest.mark.parametrize("cut", [-1, 0, 10])
def test_a_connection_that_breaks_is_tried_again_for_reads_only(memory: Memory, service: Service, cut: int) -> None:
    service.script.extend([partial(service.cut_off, after=cut)] * 2)
    assert memory.list("ann").items == []
    assert len(service.requests) == 3
    service.script.append(partial(service.cut_off, after=cut))
    with pytest.raises(ProviderError, match="connection") as failure:
        memory.add(content="likes tea", user_id="ann")
    assert failure.value.code == "provider_unavailable"
    assert isinstance(failure.value.__cause__, supermemory.APIConnectionError)
    assert len(service.namespaces["ann"]) == 1


def test_nobody_there() -> None:
    host = f"http://127.0.0.1:{free_port()}"
    with (
        Memory(provider="supermemory", host=host, api_key=KEY) as memory,
        pytest.raises(ProviderError, match="connection") as failure,
    ):
        memory.list("ann")
    assert failure.value.code == "provider_unavailable"


NONSENSE: list[Any] = [
    b"not json",
    b"\xff\xfe",
    b"",
    {},
    [],
    [1],
    "text",
    7,
    {"id": 5, "status": 5, "metadata": 5, "system": 5},
    {"id": None, "documents": None, "results": None, "pagination": None, "errors": None},
    {"documents": {}, "results": {}, "pagination": {"totalPages": 1}, "metadata": {}, "id": "x"},
    {"documents": [None, 3], "results": [None, 3], "pagination": {"totalPages": 1}},
    {"documents": [{}], "results": [{}], "pagination": {"totalPages": 1}},
    {"documents": [], "pagination": {"totalPages": 1e300}, "results": [{"similarity": "high"}]},
    b'{"documents": [], "pagination": {"totalPages": NaN}, "results": [{"id": "x", "similarity": NaN}]}',
    {"documents": [], "pagination": {"totalPages": -1}, "results": "none"},
    {"id": "x", "metadata": {"omp": "{"}, "system": {}, "content": "x", "status": 1},
    {"id": "x", "metadata": {"omp": "[]"}, "system": {"createdAt": "yesterday"}, "content": "x", "status": []},
    {"id": "x", "metadata": {}, "system": {"createdAt": "2026-13-45"}, "content": "x", "status": {}},
    {"id": "x", "metadata": {"omp_id": ["x"]}, "system": {}, "content": ["x"], "status": None},
    {"id": "y", "metadata": {}, "system": {"createdAt": "2026-01-01T00:00:00.000Z"}, "content": "x"},
]

CALLS: dict[str, Callable[[Memory], object]] = {
    "add": lambda memory: memory.add(content="likes tea", user_id="ann"),
    "get": lambda memory: memory.get("sm_ann.x"),
    "list": lambda memory: memory.list("ann"),
    "search": lambda memory: memory.search("tea", "ann"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: str(body)[:40])
def test_answers_that_make_no_sense_are_the_provider_s_fault(
    memory: Memory, service: Service, call: Callable[[Memory], object], body: Any
) -> None:
    service.script.append(Reply(body=body))
    with pytest.raises(ProviderError) as failure:
        call(memory)
    assert failure.value.code == "provider_error"
    assert len(service.requests) == 1


@pytest.mark.parametrize("body", [{}, [], {"count": 1}, {"errors": []}, {"count": "one", "errors": []}], ids=str)
def test_an_answer_to_a_deletion_must_make_sense(memory: Memory, service: Service, body: Any) -> None:
    id = memory.add(content="likes tea", user_id="ann").id
    service.script.extend([service.perform, Reply(body=body)])
    with pytest.raises(ProviderError) as failure:
        memory.delete(id)
    assert failure.value.code == "provider_error"


def test_redirects_are_not_followed(memory: Memory, service: Service) -> None:
    service.script.append(Reply(307, {}, {"Location": f"{service.url}/elsewhere"}))
    with pytest.raises(ProviderError, match="307"):
        memory.add(content="likes tea", user_id="ann")
    assert len(service.requests) == 1
