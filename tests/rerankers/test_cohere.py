"""Cohere's reranker against a service on loopback."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from openmem import InvalidRequestError, OMPError, ProviderError, RateLimitedError, UnauthorizedError
from openmem.drivers import remote
from openmem.rerankers import resolve_reranker
from openmem.rerankers.cohere import CohereReranker

from ..service import Reply
from .service import KEY, Request, Service, reply

Rerank = Callable[[CohereReranker, str, list[str]], list[float]]


def blocking(reranker: CohereReranker, query: str, texts: list[str]) -> list[float]:
    try:
        return reranker.rerank(query, texts)
    finally:
        reranker.close()


def on_a_loop(reranker: CohereReranker, query: str, texts: list[str]) -> list[float]:
    async def run() -> list[float]:
        try:
            return await reranker.arerank(query, texts)
        finally:
            await reranker.aclose()

    return asyncio.run(run())


both = pytest.mark.parametrize("rerank", [blocking, on_a_loop])


def patient(**settings: Any) -> CohereReranker:
    return CohereReranker(**({"max_retries": 0} | settings))


@both
def test_scores_come_in_the_order_of_the_texts(service: Service, rerank: Rerank) -> None:
    reranker = resolve_reranker("cohere:rerank-v9")
    assert isinstance(reranker, CohereReranker)
    assert rerank(reranker, "green tea", ["coffee", "green tea", "tea time"]) == [0.0, 1.0, 0.5]
    [request] = service.requests
    assert request.body["model"] == "rerank-v9"
    assert request.body["query"] == "green tea"
    assert request.body["documents"] == ["coffee", "green tea", "tea time"]


def test_the_model_has_a_default(service: Service) -> None:
    assert resolve_reranker("cohere").model == "cohere:rerank-v3.5"


@both
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, UnauthorizedError, "unauthorized"),
        (403, UnauthorizedError, "unauthorized"),
        (429, RateLimitedError, "rate_limited"),
        (500, ProviderError, "provider_unavailable"),
        (503, ProviderError, "provider_unavailable"),
        (400, ProviderError, "provider_error"),
        (422, ProviderError, "provider_error"),
        (418, ProviderError, "provider_error"),
    ],
)
def test_refusals(service: Service, rerank: Rerank, status: int, kind: type[OMPError], code: str) -> None:
    service.script.append(Reply(status, {"message": f"no, {KEY}"}))
    with pytest.raises(kind) as caught:
        rerank(patient(), "tea", ["tea"])
    assert caught.value.code == code
    assert KEY not in str(caught.value)
    assert "cohere:rerank-v3.5" in str(caught.value)
    assert service.url in str(caught.value)


@both
def test_a_failure_that_may_pass_is_tried_again(service: Service, rerank: Rerank) -> None:
    service.script.append(Reply(503, {"message": "busy"}, {"Retry-After": "0"}))
    assert rerank(CohereReranker(max_retries=1), "tea", ["tea"]) == [1.0]
    assert len(service.requests) == 2


@both
@pytest.mark.parametrize(
    "answer",
    [
        reply([0.5]),
        reply([0.5, 0.5, 0.5]),
        Reply(body={"id": "x", "results": [{"index": 0, "relevance_score": 0.5}] * 2}),
        Reply(body={"id": "x"}),
        Reply(body=b"<html>"),
        Reply(body=b'{"results": [{"index": 0, "relevance_score": NaN}, {"index": 1, "relevance_score": 1}]}'),
        Reply(body={"results": [{"index": 0, "relevance_score": 10**400}, {"index": 1, "relevance_score": 1}]}),
    ],
)
def test_an_answer_that_makes_no_sense(service: Service, rerank: Rerank, answer: Reply) -> None:
    service.script.append(answer)
    with pytest.raises(ProviderError, match=r"cohere:rerank-v3\.5"):
        rerank(patient(), "tea", ["tea", "milk"])


@both
def test_a_lost_connection(service: Service, rerank: Rerank) -> None:
    service.script.append(service.cut_off)
    with pytest.raises(ProviderError, match="broke") as caught:
        rerank(patient(), "tea", ["tea"])
    assert caught.value.code == "provider_unavailable"


@both
def test_nobody_there(rerank: Rerank) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ProviderError, match="cannot be reached"):
            rerank(patient(api_key=KEY, base_url=url), "tea", ["tea"])


@both
def test_no_answer_in_time(service: Service, rerank: Rerank) -> None:
    service.script.append(service.hang)
    with pytest.raises(ProviderError, match=r"did not answer completely within 0\.3 s"):
        rerank(patient(timeout=0.3), "tea", ["tea"])
    service.release.set()


@both
def test_many_texts_go_in_several_requests(service: Service, rerank: Rerank) -> None:
    texts = ["tea" if number % 1001 == 0 else "coffee" for number in range(2100)]
    scores = rerank(patient(), "tea", texts)
    assert [place for place, score in enumerate(scores) if score == 1.0] == [0, 1001, 2002]
    assert [len(request.body["documents"]) for request in service.requests] == [1000, 1000, 100]
    assert rerank(patient(), "tea", []) == []
    assert len(service.requests) == 3


@both
def test_a_rate_limit_tells_how_long_to_wait(service: Service, rerank: Rerank) -> None:
    service.script.append(Reply(429, {"message": "slow down"}, {"Retry-After": "7"}))
    with pytest.raises(RateLimitedError) as caught:
        rerank(patient(), "tea", ["tea"])
    assert caught.value.retry_after == 7.0


@both
def test_a_refusal_does_not_repeat_the_texts(service: Service, rerank: Rerank) -> None:
    for _ in range(2):
        service.script.append(lambda request: Reply(400, {"message": f"no: {request.body}"}))
    with pytest.raises(ProviderError) as caught:
        rerank(patient(), "what is Maya allergic to?", ["hazelnuts and walnuts"])
    assert "Maya" not in str(caught.value)
    assert "hazelnuts" not in str(caught.value)


def test_a_cancelled_call_ends_at_once(service: Service) -> None:
    service.script.append(service.hang)

    async def run() -> list[float]:
        reranker = patient()
        task = asyncio.create_task(reranker.arerank("tea", ["tea"]))
        assert await asyncio.to_thread(service.stuck.acquire, timeout=30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        try:
            return await reranker.arerank("tea", ["tea"])
        finally:
            await reranker.aclose()

    assert asyncio.run(run()) == [1.0]
    service.release.set()


@pytest.mark.parametrize("key", ["", "  ", "a b", "ключ"])
def test_a_key_that_is_none(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CO_API_KEY", key)
    with pytest.raises(InvalidRequestError, match="CO_API_KEY"):
        CohereReranker()


def test_a_name_without_a_model(service: Service) -> None:
    with pytest.raises(InvalidRequestError, match="after the colon"):
        resolve_reranker("cohere:")


def test_nothing_tells_the_key(service: Service) -> None:
    assert KEY not in repr(CohereReranker())


@both
def test_a_slow_answer_on_a_used_connection_has_all_the_time(
    service: Service, rerank: Rerank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is sent again, it is not given up early."""
    monkeypatch.setattr(remote, "FIRST_BYTE_TIMEOUT_SECONDS", 0.1)
    reranker = patient(timeout=2.0)

    def slow(request: Request) -> Reply:
        time.sleep(0.7)
        return reply([1.0])

    async def twice() -> None:
        assert await reranker.arerank("tea", ["tea"]) == [1.0]
        service.script.append(slow)
        assert await reranker.arerank("tea", ["tea"]) == [1.0]
        await reranker.aclose()

    if rerank is on_a_loop:
        asyncio.run(twice())
    else:
        assert reranker.rerank("tea", ["tea"]) == [1.0]
        service.script.append(slow)
        assert reranker.rerank("tea", ["tea"]) == [1.0]
        reranker.close()


@both
def test_a_credential_in_the_url_is_not_shown(service: Service, rerank: Rerank) -> None:
    service.script.append(lambda request: Reply(400, {"message": f"no: {request.headers['authorization']}"}))
    url = service.url.replace("http://", "http://maya:green-tea@")
    with pytest.raises(ProviderError, match=r"no: Basic \*\*\*$"):
        rerank(patient(base_url=url), "is it so?", ["milk"])


@both
def test_requests_tell_who_sends_them(service: Service, rerank: Rerank) -> None:
    """Firewalls before services refuse requests that do not."""
    rerank(patient(), "tea", ["tea"])
    assert service.requests[0].headers["user-agent"] == "openmem-python"
