from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from openmem import InvalidRequestError, OMPError, ProviderError, RateLimitedError, UnauthorizedError
from openmem._model_calls import CheckedEmbedder
from openmem.embedders import resolve_embedder
from openmem.embedders._remote import MAX_INPUT_BYTES, MAX_REQUEST_BYTES
from openmem.embedders.openai import OpenAIEmbedder

from ..service import Reply
from .service import KEY, Request, Service, answer, error, vector_of

Embed = Callable[[OpenAIEmbedder, list[str]], list[list[float]]]


def blocking(embedder: OpenAIEmbedder, texts: list[str]) -> list[list[float]]:
    try:
        return embedder.embed(texts)
    finally:
        embedder.close()


def on_a_loop(embedder: OpenAIEmbedder, texts: list[str]) -> list[list[float]]:
    async def run() -> list[list[float]]:
        try:
            return await embedder.aembed(texts)
        finally:
            await embedder.aclose()

    return asyncio.run(run())


both = pytest.mark.parametrize("embed", [blocking, on_a_loop])


def small(**settings: Any) -> OpenAIEmbedder:
    return OpenAIEmbedder("some-model", dim=4, **({"max_retries": 0} | settings))


@both
def test_texts_become_vectors(service: Service, embed: Embed) -> None:
    embedder = OpenAIEmbedder()
    texts = ["user prefers dark mode", "❤", "a\nb"]
    vectors = embed(embedder, texts)
    assert CheckedEmbedder(embedder).check(texts, vectors) == [vector_of(text, 1536) for text in texts]
    [body] = service.bodies
    assert body["input"] == texts
    assert body["model"] == "text-embedding-3-small"
    assert body["encoding_format"] == "base64"
    assert "dimensions" not in body


@both
def test_shorter_vectors_are_asked_for(service: Service, embed: Embed) -> None:
    embedder = OpenAIEmbedder("text-embedding-3-large", dim=256)
    assert embed(embedder, ["a"]) == [vector_of("a", 256)]
    assert service.bodies[0]["dimensions"] == 256


@both
def test_a_server_that_knows_no_base64_is_understood(service: Service, embed: Embed) -> None:
    service.script.append(lambda request: Reply(body=answer(request.body | {"encoding_format": "float"})))
    assert embed(small(), ["a", "b"]) == [vector_of("a", 4), vector_of("b", 4)]
    assert "dimensions" not in service.bodies[0]


@both
def test_no_texts_need_no_request(service: Service, embed: Embed) -> None:
    assert embed(small(), []) == []
    assert service.bodies == []


@both
def test_vectors_are_put_in_the_order_of_their_index(service: Service, embed: Embed) -> None:
    def reversed_answer(request: Request) -> Reply:
        response = answer(request.body)
        response["data"].reverse()
        return Reply(body=response)

    service.script.append(reversed_answer)
    assert embed(small(), ["a", "b", "c"]) == [vector_of(text, 4) for text in "abc"]


def without_last(response: dict[str, Any]) -> None:
    response["data"].pop()


def with_one_more(response: dict[str, Any]) -> None:
    response["data"].append(response["data"][0])


def with_equal_indexes(response: dict[str, Any]) -> None:
    for item in response["data"]:
        item["index"] = 0


def with_foreign_index(response: dict[str, Any]) -> None:
    response["data"][0]["index"] = 7


def with_none(response: dict[str, Any]) -> None:
    response["data"] = []


def with_null(response: dict[str, Any]) -> None:
    response["data"] = None


def with_broken_base64(response: dict[str, Any]) -> None:
    response["data"][0]["embedding"] = "!!!"


def without_embedding(response: dict[str, Any]) -> None:
    del response["data"][0]["embedding"]


@both
@pytest.mark.parametrize(
    "damage",
    [
        without_last, with_one_more, with_equal_indexes, with_foreign_index, with_none, with_null,
        with_broken_base64, without_embedding,
    ],
)  # fmt: skip
def test_a_wrong_answer_is_an_error(service: Service, embed: Embed, damage: Callable[[dict[str, Any]], None]) -> None:
    def damaged(request: Request) -> Reply:
        response = answer(request.body)
        damage(response)
        return Reply(body=response)

    service.script.append(damaged)
    with pytest.raises(ProviderError, match="openai:some-model:4") as caught:
        embed(small(), ["a", "b"])
    assert caught.value.code == "provider_error"


@both
@pytest.mark.parametrize(
    "reply", [Reply(body=b"<html>", headers={"Content-Type": "text/html"}), Reply(body=b"{"), Reply(body=[])]
)
def test_an_answer_that_is_none_is_an_error(service: Service, embed: Embed, reply: Reply) -> None:
    service.script.append(reply)
    with pytest.raises(ProviderError, match="openai:some-model:4") as caught:
        embed(small(), ["a"])
    assert caught.value.__cause__ is not None


@both
def test_a_refused_key_is_unauthorized_and_stays_secret(
    service: Service, embed: Embed, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "sk-wrong-key-of-somebody"
    embedder = small(api_key=wrong)
    with caplog.at_level(logging.DEBUG), pytest.raises(UnauthorizedError, match="OPENAI_API_KEY") as caught:
        embed(embedder, ["a"])
    assert service.url in caught.value.message
    assert wrong not in f"{caught.value!r} {caught.value} {embedder!r} {embedder}"
    assert wrong not in caplog.text


@both
def test_a_refused_request_says_why_but_not_the_key(service: Service, embed: Embed) -> None:
    service.script.append(error(400, f"input too long, {KEY}"))
    with pytest.raises(ProviderError, match=r"refused the request.*input too long, \*\*\*") as caught:
        embed(small(), ["a"])
    assert type(caught.value) is ProviderError
    assert caught.value.code == "provider_error"


@both
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
    ],
)
def test_a_rate_limit_tells_how_long_to_wait(
    service: Service, embed: Embed, headers: dict[str, str], expected: float | None
) -> None:
    service.script.append(error(429, "slow down", "rate_limit_exceeded", **headers))
    with pytest.raises(RateLimitedError, match="rate_limit_exceeded") as caught:
        embed(small(), ["a"])
    assert caught.value.retry_after == expected
    assert service.url in caught.value.message


def test_a_rate_limit_until_a_date_is_counted_in_seconds(service: Service) -> None:
    service.script.append(error(429, "slow down", retry_after=formatdate(time.time() + 100, usegmt=True)))
    with pytest.raises(RateLimitedError) as caught:
        blocking(small(), ["a"])
    assert caught.value.retry_after == pytest.approx(100, abs=30)


@both
@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
def test_a_failing_service_is_unavailable(service: Service, embed: Embed, status: int) -> None:
    service.script.append(error(status, "oops"))
    with pytest.raises(ProviderError, match=str(status)) as caught:
        embed(small(), ["a"])
    assert caught.value.code == "provider_unavailable"
    assert service.url in caught.value.message


@both
def test_a_service_that_is_not_there_is_unavailable(service: Service, embed: Embed) -> None:
    with pytest.raises(ProviderError, match=r"http://127\.0\.0\.1:1/v1 cannot be reached") as caught:
        embed(small(base_url="http://maya:s3cret@127.0.0.1:1/v1"), ["a"])
    assert caught.value.code == "provider_unavailable"
    assert caught.value.__cause__ is not None
    assert "s3cret" not in str(caught.value)


@both
def test_a_service_that_hangs_is_unavailable(service: Service, embed: Embed) -> None:
    service.script.append(service.hang)
    with pytest.raises(ProviderError, match=r"did not answer completely within 0\.2 s") as caught:
        embed(small(timeout=0.2), ["a"])
    assert caught.value.code == "provider_unavailable"


@both
def test_failures_that_may_pass_are_tried_again(service: Service, embed: Embed) -> None:
    service.script.extend([error(500, "oops", retry_after_ms="1"), error(429, "slow down", retry_after_ms="1")])
    assert embed(small(max_retries=2), ["a"]) == [vector_of("a", 4)]
    assert len(service.bodies) == 3


@both
@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_failures_that_last_are_not_tried_again(service: Service, embed: Embed, status: int) -> None:
    service.script.extend([error(status, "no")] * 3)
    with pytest.raises(OMPError):
        embed(small(max_retries=2), ["a"])
    assert len(service.bodies) == 1


@both
def test_many_texts_are_sent_in_batches(service: Service, embed: Embed) -> None:
    texts = [f"note {number}" for number in range(4100)]
    assert embed(small(), texts) == [vector_of(text, 4) for text in texts]
    assert [len(body["input"]) for body in service.bodies] == [2048, 2048, 4]


@both
def test_large_texts_are_sent_in_batches(service: Service, embed: Embed) -> None:
    texts = [f"{number}" + "x" * (MAX_INPUT_BYTES - 10) for number in range(70)]
    assert embed(small(), texts) == [vector_of(text, 4) for text in texts]
    sizes = [sum(len(text.encode()) for text in body["input"]) for body in service.bodies]
    assert len(sizes) == 3
    assert max(sizes) <= MAX_REQUEST_BYTES


@both
@pytest.mark.parametrize("unit", ["word ", "x", "東", "❤\U0001f600"])
def test_a_text_over_the_models_limit_is_averaged_from_its_parts(service: Service, embed: Embed, unit: str) -> None:
    long = (unit * 65_536)[:65_536]
    [before, vector, after] = embed(small(), ["a", long, "b"])
    assert [before, after] == [vector_of("a", 4), vector_of("b", 4)]
    parts = [text for body in service.bodies for text in body["input"]][1:-1]
    assert "".join(parts) == long
    assert max(len(part.encode()) for part in parts) <= MAX_INPUT_BYTES
    assert math.isclose(math.hypot(*vector), 1.0)
    total = [0.0] * 4
    for part in parts:
        for place, value in enumerate(vector_of(part, 4)):
            total[place] += len(part.encode()) * value
    assert vector == pytest.approx([value / math.hypot(*total) for value in total])


@both
def test_what_the_environment_adds_to_a_request(
    service: Service, embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    embed(small(), ["a"])
    [request] = service.requests
    assert request.headers["openai-organization"] == "org-1"
    assert request.headers["openai-project"] == "proj-1"
    assert request.path == "/v1/embeddings"


@pytest.mark.parametrize("variable", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID"])
@pytest.mark.parametrize("value", ["org é", "org\nX-Other: 1"])
def test_what_no_header_may_have_is_refused(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidRequestError, match=variable):
        small(api_key=KEY)


@both
def test_a_service_that_asks_not_to_be_asked_again(service: Service, embed: Embed) -> None:
    service.script.extend([error(429, "quota", "insufficient_quota", x_should_retry="false")] * 3)
    with pytest.raises(RateLimitedError, match="insufficient_quota"):
        embed(small(max_retries=2), ["a"])
    assert len(service.bodies) == 1


@both
def test_a_redirect_is_not_followed_with_the_key(service: Service, embed: Embed) -> None:
    service.script.append(Reply(301, headers={"Location": f"{service.url}/other"}))
    with pytest.raises(ProviderError, match=r"\(301\): it redirects elsewhere; correct the address, OPENAI_BASE_URL"):
        embed(small(), ["a"])
    assert len(service.bodies) == 1


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host/v1", "https://host/v1?api-version=1", "http://[::1"])
def test_an_address_that_is_none_is_refused_unseen(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="base_url: it is not an http") as caught:
        small(api_key=KEY, base_url=url)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"timeout": "5"}, {"max_retries": -1}, {"max_retries": 0.5}])
def test_settings_of_requests_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(settings))):
        small(api_key=KEY, **settings)


def test_threads_share_one_client(service: Service) -> None:
    embedder = small()
    texts = [f"note {number}" for number in range(16)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda text: embedder.embed([text])[0], texts)) == [vector_of(t, 4) for t in texts]
    embedder.close()
    assert service.connections <= 4


def test_tasks_share_one_client(service: Service) -> None:
    async def run() -> None:
        embedder = small()
        await asyncio.gather(*(embedder.aembed([f"warm {number}"]) for number in range(3)))
        opened = service.connections
        for number in range(5):
            await embedder.aembed([f"note {number}"])
        assert service.connections == opened <= 3
        await embedder.aclose()

    asyncio.run(run())


def test_one_object_serves_one_loop_after_the_other(service: Service) -> None:
    embedder = small()
    assert on_a_loop(embedder, ["a"]) == on_a_loop(embedder, ["a"]) == blocking(embedder, ["a"])


def test_connections_are_closed_with_their_loop(service: Service) -> None:
    embedder = small()
    for _ in range(3):
        assert asyncio.run(embedder.aembed(["a"])) == [vector_of("a", 4)]
    port = urlsplit(service.url).port
    connections = psutil.Process().net_connections("tcp")
    assert service.connections == 3
    assert [one for one in connections if one.raddr and one.raddr.port == port and one.status == "ESTABLISHED"] == []


def test_closing_is_idempotent_and_not_final(service: Service) -> None:
    embedder = small()
    embedder.close()
    assert blocking(embedder, ["a"]) == blocking(embedder, ["a"])
    embedder.close()


def test_a_cancelled_request_is_cancelled_at_once(service: Service) -> None:
    async def run() -> None:
        embedder = small()
        await embedder.aembed(["warm"])
        service.script.append(service.hang)
        task = asyncio.create_task(embedder.aembed(["a"]))
        assert await asyncio.to_thread(service.stuck.acquire, True, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 0.5)
        assert await embedder.aembed(["b"]) == [vector_of("b", 4)]
        await embedder.aclose()

    asyncio.run(run())


def test_the_loop_runs_on_while_the_service_thinks(service: Service) -> None:
    async def run() -> None:
        embedder = small()
        service.script.append(service.hang)
        task = asyncio.create_task(embedder.aembed(["a"]))
        assert await asyncio.to_thread(service.stuck.acquire, True, 10)
        service.release.set()
        assert await task == [vector_of("a", 4)]
        await embedder.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("key", [None, "", "  "])
def test_a_missing_key_is_said_when_the_embedder_is_chosen(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InvalidRequestError, match="set the environment variable OPENAI_API_KEY"):
        resolve_embedder("openai")


@pytest.mark.parametrize("key", ["sk-two words", "sk-\nx", "sk-é"])
def test_a_key_that_is_none_is_refused_unseen(key: str) -> None:
    with pytest.raises(InvalidRequestError, match="characters") as caught:
        OpenAIEmbedder(api_key=key)
    assert key not in str(caught.value)


def test_a_key_may_end_in_a_newline(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    assert blocking(small(), ["a"]) == [vector_of("a", 4)]
