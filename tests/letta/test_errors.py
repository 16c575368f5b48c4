"""What becomes of Letta's refusals, and of answers that do not come or make no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import letta_client
import pytest

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
from .service import LEAK, Request, Service

REFUSALS: list[tuple[int, type[OMPError], str, int]] = [
    (400, InvalidRequestError, "invalid_request", 1),
    (401, UnauthorizedError, "unauthorized", 1),
    (402, ProviderError, "provider_error", 1),
    (403, UnauthorizedError, "unauthorized", 1),
    (404, ProviderError, "provider_error", 1),
    (408, ProviderError, "provider_unavailable", 1),
    (409, ProviderError, "provider_error", 1),
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
    service.script.extend([Reply(status, {"detail": f"no: {LEAK}"})] * 3)
    with pytest.raises(kind) as refusal:
        memory.list("u")
    error = refusal.value
    assert (error.code, error.provider) == (code, "letta")
    assert error.request_id
    assert str(status) in error.message
    assert isinstance(error.__cause__, letta_client.APIStatusError)
    assert LEAK in str(error.__cause__)
    assert LEAK not in f"{error} {error.message}"
    assert len(service.requests) == tries


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_changes_something_is_sent_once(memory: Memory, service: Service, status: int) -> None:
    record = memory.add(content="milk", user_id="u")
    before = len(service.requests)
    refusal = Reply(status, {"detail": "no"}, {"Retry-After": "0"})
    service.script += [service.perform, refusal]
    with pytest.raises(OMPError):
        memory.add(content="tea", user_id="u")
    assert len(service.requests) == before + 2
    service.script += [service.perform, service.perform, refusal]
    with pytest.raises(OMPError):
        memory.delete(record.id)
    assert len(service.requests) == before + 2 + 3
    assert memory.list("u").items == [record]


@pytest.mark.parametrize("lost", ["POST /v1/archives/", "POST /v1/archives/{archive}/passages"])
def test_an_addition_whose_reply_is_lost_is_not_sent_again(lost: str, memory: Memory, service: Service) -> None:
    service.script += [service.perform] * (1 if lost.endswith("archives/") else 3) + [service.cut_off]
    with pytest.raises(ProviderError, match="connection"):
        memory.add(content="tea", user_id="u")
    assert service.verbs[-1] == lost
    assert service.verbs.count(lost) == 1
    stored = len(memory.list("u").items)
    memory.add(content="milk", user_id="u")
    assert len(memory.list("u").items) == stored + 1
    assert len(service.archives) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [({"Retry-After": "30"}, 30.0), ({"Retry-After": "soon"}, None), ({}, None)],
    ids=["seconds", "nonsense", "none"],
)
def test_the_server_tells_when_to_come_back(
    memory: Memory, service: Service, header: dict[str, str], seconds: float | None
) -> None:
    service.script.extend([Reply(429, {"detail": "no"}, header)] * 3)
    with pytest.raises(RateLimitedError) as refusal:
        memory.list("u")
    assert refusal.value.retry_after == seconds
    assert len(service.requests) == (1 if seconds else 3)


def test_reads_are_tried_again_when_asked_for_soon(memory: Memory, service: Service) -> None:
    service.script.extend([Reply(503, {}), Reply(429, {}, {"Retry-After": "0"})])
    assert memory.list("u").items == []
    assert len(service.requests) == 3


def test_a_wrong_key_is_refused_and_shown_to_nobody(service: Service) -> None:
    service.key = "right-key"
    for key in ("wrong-key", None):
        with (
            Memory("letta", host=service.url, api_key=key) as memory,
            pytest.raises(UnauthorizedError, match="api_key") as refusal,
        ):
            memory.list("u")
        assert "wrong-key" not in refusal.value.message
    with Memory("letta", host=service.url, api_key="right-key") as memory:
        assert memory.list("u").items == []


def test_a_passage_that_is_gone_is_not_found(memory: Memory, service: Service) -> None:
    record = memory.add(content="tea", user_id="u")

    def delete_before(request: Request) -> Reply:
        service.passages.clear()
        return service.perform(request)

    service.script += [service.perform, service.perform, delete_before]
    with pytest.raises(NotFoundError):
        memory.delete(record.id)


def test_a_slow_answer_is_not_waited_for(service: Service) -> None:
    service.script.append(service.hang)
    with (
        Memory("letta", host=service.url, timeout=0.1) as memory,
        pytest.raises(ProviderError, match=r"did not answer within 0\.1 s") as failure,
    ):
        memory.list("u")
    assert failure.value.code == "provider_unavailable"
    assert len(service.requests) == 1


@pytest.mark.parametrize("cut", [-1, 0, 1])
def test_a_connection_that_breaks_is_tried_again_for_reads_only(memory: Memory, service: Service, cut: int) -> None:
    memory.add(content="milk", user_id="u")
    before = len(service.requests)
    service.script.extend([Reply(body=[], cut=cut)] * 2)
    assert len(memory.list("u").items) == 1
    assert len(service.requests) == before + 4
    service.script += [service.perform, Reply(body={}, cut=cut)]
    with pytest.raises(ProviderError, match="connection") as failure:
        memory.add(content="tea", user_id="u")
    assert failure.value.code == "provider_unavailable"
    assert isinstance(failure.value.__cause__, letta_client.APIConnectionError)
    assert len(service.passages) == 1


def test_a_connection_that_the_server_has_closed_meanwhile_harms_nothing(memory: Memory, service: Service) -> None:
    memory.list("u")
    for _ in range(3):
        service.script.append(Reply(body=[], hangs_up=True))
        memory.list("u")
        record = memory.add(content="tea", user_id="u")
        assert memory.get(record.id) == record
    assert len(service.passages) == 3


def test_nobody_there() -> None:
    with (
        Memory("letta", host=f"http://127.0.0.1:{free_port()}") as memory,
        pytest.raises(ProviderError, match="connection") as failure,
    ):
        memory.list("u")
    assert failure.value.code == "provider_unavailable"


NONSENSE: list[Any] = [None, 5, "text", [], {}, {"detail": "odd"}, [5], [None], [[]], [{}], {"id": 5, "name": 5}]
PASSAGES: list[Any] = [
    *NONSENSE[:3],
    *NONSENSE[4:],
    [{"passage": None, "score": "high"}],
    [{"passage": {}, "score": 0.0}],
    [{"passage": "text"}],
]
BROKEN_FIELDS: list[dict[str, Any]] = [
    {"id": None},
    {"id": "passage-5"},
    {"id": 5},
    {"text": None},
    {"text": 5},
    {"archive_id": None},
    {"created_at": None},
    {"created_at": "yesterday"},
    {"metadata": "text"},
    {"metadata": {}, "tags": [5]},
    {"metadata": {}, "tags": "text"},
    {"embedding_config": "text"},
    {"metadata": {"omp": 5}},
    {"metadata": {"omp": "[]"}},
    {"metadata": {"omp": "{}"}},
]


def _assert_malformed(call: Callable[[], object]) -> None:
    with pytest.raises(ProviderError) as failure:
        call()
    assert type(failure.value) is ProviderError
    assert failure.value.code == "provider_error"


@pytest.mark.parametrize("body", [item for item in NONSENSE if item != []], ids=repr)
def test_an_answer_about_archives_that_makes_no_sense_is_an_error(memory: Memory, service: Service, body: Any) -> None:
    service.script.append(Reply(body=body))
    _assert_malformed(lambda: memory.list("u"))


@pytest.mark.parametrize("body", NONSENSE, ids=repr)
@pytest.mark.parametrize("step", [1, 3])
def test_an_answer_to_an_addition_that_makes_no_sense_is_an_error(
    memory: Memory, service: Service, step: int, body: Any
) -> None:
    service.script += [*[service.perform] * step, Reply(body=body)]
    _assert_malformed(lambda: memory.add(content="tea", user_id="u"))


@pytest.mark.parametrize("body", PASSAGES, ids=repr)
def test_an_answer_about_passages_that_makes_no_sense_is_an_error(memory: Memory, service: Service, body: Any) -> None:
    record = memory.add(content="tea", user_id="u")
    for call in (lambda: memory.list("u"), lambda: memory.search("tea", "u")):
        service.script += [service.perform, Reply(body=body)]
        _assert_malformed(call)
    service.script.append(Reply(body=body))
    _assert_malformed(lambda: memory.get(record.id))


@pytest.mark.parametrize("fields", BROKEN_FIELDS, ids=repr)
def test_a_passage_that_makes_no_sense_is_an_error(memory: Memory, service: Service, fields: dict[str, Any]) -> None:
    memory.add(content="tea", user_id="u")
    [passage] = service.passages.values()
    row = {"passage": passage.model_dump(mode="json") | fields, "score": 0.0, "metadata": {}}
    for call in (lambda: memory.list("u"), lambda: memory.search("tea", "u")):
        service.script += [service.perform, Reply(body=[row])]
        _assert_malformed(call)


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
@pytest.mark.parametrize("data", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000], ids=lambda data: repr(data[:8]))
def test_an_answer_that_is_not_json_is_an_error(memory: Memory, service: Service, data: bytes, kind: str) -> None:
    service.script.append(Reply(body=data, headers={"Content-Type": kind}))
    _assert_malformed(lambda: memory.list("u"))
