"""Servers of OpenAI's protocol that take less than OpenAI's does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from openmem import InvalidRequestError, Memory, OMPError, ProviderError
from openmem.embedders import resolve_embedder
from openmem.embedders.openai import OpenAIEmbedder

from ..http.upstream import Piece, Request, Upstream
from ..service import Reply
from .service import Service, answer, error, vector_of
from .test_openai import Embed, both, small

Refusal = Callable[[dict[str, Any]], Reply | None]


def most_texts(limit: int, status: int, message: str) -> Refusal:
    def refuse(body: dict[str, Any]) -> Reply | None:
        count = len(body["input"])
        return error(status, message.format(count=count, limit=limit)) if count > limit else None

    return refuse


BATCH_LIMITS = {
    "TEI": most_texts(32, 413, "batch size {count} > maximum allowed batch size {limit}"),
    "TEI, later": most_texts(32, 422, "batch size {count} > maximum allowed batch size {limit}"),
    "DashScope": most_texts(10, 400, "batch size is invalid, it should not be larger than {limit}.: input.contents"),
    "OpenAI": most_texts(20, 400, "'$.input' is invalid. Expected an array with maximum length {limit}, got {count}."),
    "no number": most_texts(7, 400, "Too many inputs"),
    "no reason": most_texts(7, 400, "Bad Request"),
    "no words": most_texts(7, 413, ""),
}


@both
@pytest.mark.parametrize("server", BATCH_LIMITS)
def test_texts_a_request(service: Service, embed: Embed, server: str) -> None:
    service.refuse = BATCH_LIMITS[server]
    texts = [f"note {number}" for number in range(80)]
    assert embed(small(), texts) == [vector_of(text, 4) for text in texts]


@both
@pytest.mark.parametrize("server", ["TEI", "DashScope", "OpenAI", "no number"])
def test_a_limit_is_remembered_and_told_once(
    service: Service, embed: Embed, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    service.refuse = BATCH_LIMITS[server]
    embedder = small()
    texts = [f"note {number}" for number in range(80)]
    embed(embedder, texts)
    before = len(service.bodies)
    embed(embedder, texts)
    refused = [body for body in service.bodies[before:] if service.refuse(body) is not None]
    assert refused == []
    told = [record for record in caplog.records if record.name == "openmem.embedders"]
    assert len(told) <= 1 if server != "no number" else told
    assert not any("note" in record.getMessage() for record in told)


@both
def test_a_setting_saves_the_refusal(service: Service, embed: Embed) -> None:
    service.refuse = BATCH_LIMITS["DashScope"]
    texts = [f"note {number}" for number in range(25)]
    assert embed(small(batch_size=10), texts) == [vector_of(text, 4) for text in texts]
    assert [len(body["input"]) for body in service.bodies] == [10, 10, 5]


def most_characters(limit: int, status: int = 400, message: str = "input is longer than 512 tokens") -> Refusal:
    def refuse(body: dict[str, Any]) -> Reply | None:
        return error(status, message) if any(len(text) > limit for text in body["input"]) else None

    return refuse


@both
@pytest.mark.parametrize(
    ("status", "message"), [(400, "input is longer than 512 tokens"), (413, ""), (422, "too long")]
)
def test_a_text_that_the_server_refuses_is_embedded_in_parts(
    service: Service, embed: Embed, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    service.refuse = most_characters(2000, status, message)
    long = "hello " * 800
    embedder = small()
    [before, vector, after] = embed(embedder, ["a", long, "b"])
    assert [before, after] == [vector_of("a", 4), vector_of("b", 4)]
    assert math.isclose(math.hypot(*vector), 1.0)
    taken = [text for body in service.bodies if service.refuse(body) is None for text in body["input"]]
    assert "".join(text for text in taken if len(text) > 1) == long
    assert embed(embedder, [long]) == [vector]
    assert embed(small(), [long, long]) == [vector, vector]
    [told] = [record.getMessage() for record in caplog.records if record.name == "openmem.embedders"]
    assert "hello" not in told
    assert "max_input_bytes" in told


@both
def test_llama_cpp_refuses_a_long_text_with_status_500(service: Service, embed: Embed) -> None:
    message = "input (1600 tokens) is too large to process. increase the physical batch size (current batch size: 512)"
    service.refuse = most_characters(2000, 500, message)
    long = "hello " * 800
    texts = ["a", long, *(f"note {number}" for number in range(20))]
    embedder = small(max_retries=2)
    vectors = embed(embedder, texts)
    assert math.isclose(math.hypot(*vectors[1]), 1.0)
    assert vectors[2:] == [vector_of(text, 4) for text in texts[2:]]
    before = len(service.bodies)
    embed(embedder, texts[2:])
    assert len(service.bodies) == before + 1, "the batch is no smaller than before"
    with pytest.raises(ProviderError, match="too large to process") as caught:
        embed(small(long_texts="refuse"), [long])
    assert caught.value.code == "provider_error"


@both
@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_in_plain_text_is_understood(service: Service, embed: Embed, status: int) -> None:
    def refuse(body: dict[str, Any]) -> Reply | None:
        if body.get("encoding_format") == "base64":
            return Reply(status, b"encoding_format must be float\n")
        if len(body["input"]) > 4:
            return Reply(status, b"batch size is over the maximum of 4\n")
        is_long = any(len(text) > 2000 for text in body["input"])
        return Reply(status, b"the input is longer than 512 tokens\n") if is_long else None

    service.refuse = refuse
    long = "hello " * 800
    texts = [f"note {number}" for number in range(8)]
    [vector, *others] = embed(small(), [long, *texts])
    assert math.isclose(math.hypot(*vector), 1.0)
    assert others == [vector_of(text, 4) for text in texts]
    assert [len(body["input"]) for body in service.bodies[:3]] == [9, 9, 4]


@both
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"unknown\r\n  model\n", r"\(404\): unknown model$"),
        (b"", r"\(404\): it does not say why$"),
        (b"cannot embed: my\nprivate thought of today", r"\(404\): its message repeats the text$"),
    ],
)
def test_the_reason_of_a_refusal_in_plain_text_is_told(service: Service, embed: Embed, body: bytes, shown: str) -> None:
    service.refuse = lambda _: Reply(404, body)
    with pytest.raises(ProviderError, match=shown):
        embed(small(), ["my\nprivate thought of today"])


@both
def test_a_lower_bound_saves_the_refusal(service: Service, embed: Embed) -> None:
    service.refuse = most_characters(2000)
    embed(small(max_input_bytes=1500), ["hello " * 800])
    assert [len(body["input"]) for body in service.bodies] == [4]


@both
def test_a_long_text_can_be_cut(service: Service, embed: Embed) -> None:
    long = "hello " * 800
    assert embed(small(max_input_bytes=1500, long_texts="truncate"), [long]) == [vector_of(long[:1500], 4)]
    service.refuse = most_characters(2000)
    [vector] = embed(small(long_texts="truncate"), [long])
    [text] = service.bodies[-1]["input"]
    assert long.startswith(text)
    assert 1000 <= len(text) <= 2000
    assert vector == vector_of(text, 4)


@both
def test_a_long_text_can_be_refused(service: Service, embed: Embed) -> None:
    with pytest.raises(InvalidRequestError, match="4800 bytes"):
        embed(small(max_input_bytes=1500, long_texts="refuse"), ["hello " * 800])
    assert service.bodies == []
    service.refuse = most_characters(2000)
    with pytest.raises(ProviderError, match="longer than 512 tokens"):
        embed(small(long_texts="refuse"), ["hello " * 800])


@both
@pytest.mark.parametrize("unit", ["x", "東", "\U0001f600"])
def test_text_without_spaces_is_embedded_in_parts(service: Service, embed: Embed, unit: str) -> None:
    service.refuse = most_characters(300)
    embed(small(), [unit * 1500])
    taken = [text for body in service.bodies if service.refuse(body) is None for text in body["input"]]
    assert "".join(taken) == unit * 1500


@both
def test_a_server_that_takes_nothing_ends_it(service: Service, embed: Embed) -> None:
    service.refuse = lambda body: error(400, "too many tokens in the batch")
    with pytest.raises(ProviderError, match="too many tokens"):
        embed(small(), [f"hello {number} " * 100 for number in range(64)])
    assert len(service.bodies) < 20


@both
def test_floats_only(service: Service, embed: Embed) -> None:
    def refuse(body: dict[str, Any]) -> Reply | None:
        is_base64 = body.get("encoding_format") == "base64"
        return error(400, "base64 encoding is not currently supported") if is_base64 else None

    service.refuse = refuse
    embedder = small()
    assert embed(embedder, ["a"]) == [vector_of("a", 4)]
    assert embed(embedder, ["b"]) == [vector_of("b", 4)]
    assert [body.get("encoding_format") for body in service.bodies] == ["base64", "float", "float"]
    service.reset()
    assert embed(small(encoding_format="float"), ["a"]) == [vector_of("a", 4)]
    assert [body["encoding_format"] for body in service.bodies] == ["float"]


@both
def test_a_refusal_that_names_the_field_beside_its_message(service: Service, embed: Embed) -> None:
    def refuse(body: dict[str, Any]) -> Reply | None:
        wrong = {"type": "literal_error", "loc": ["body", "encoding_format"], "msg": "Input should be 'float'"}
        return Reply(422, {"detail": [wrong]}) if body.get("encoding_format") != "float" else None

    service.refuse = refuse
    texts = [f"note {number}" for number in range(20)]
    assert embed(small(), texts) == [vector_of(text, 4) for text in texts]
    assert [len(body["input"]) for body in service.bodies] == [20, 20]


@both
def test_answers_without_an_index_are_in_order(service: Service, embed: Embed) -> None:
    def without_index(request: Any) -> Reply:
        response = answer(request.body)
        for item in response["data"]:
            del item["index"]
        return Reply(body=response)

    service.script.append(without_index)
    assert embed(small(), ["a", "b", "c"]) == [vector_of(text, 4) for text in "abc"]


@both
def test_a_refusal_does_not_repeat_the_text(service: Service, embed: Embed) -> None:
    service.refuse = lambda body: Reply(
        422, {"detail": [{"msg": f"bad input: {body['input'][0]}", "input": body["input"]}]}
    )
    with pytest.raises(ProviderError) as caught:
        embed(small(), ["Maya is allergic to hazelnuts"])
    assert "Maya" not in str(caught.value)
    service.refuse = lambda body: error(400, "x" * 10_000)
    with pytest.raises(ProviderError) as caught:
        embed(small(), ["tea"])
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("url", "size"),
    [
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", 10),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", 100),
        ("https://notgoogleapis.com/v1", 2048),
        ("http://127.0.0.1:8080/v1", 2048),
        (None, 2048),
    ],
)
def test_what_is_known_of_services(monkeypatch: pytest.MonkeyPatch, url: str | None, size: int) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert OpenAIEmbedder("m", dim=4, base_url=url)._batch_size == size
    if url is not None:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        embedder = resolve_embedder("openai:m:4")
        assert isinstance(embedder, OpenAIEmbedder)
        assert embedder._batch_size == size


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 0}, {"batch_size": True}, {"batch_size": "10"}, {"max_input_bytes": 3},
        {"max_input_bytes": None}, {"encoding_format": "int8"}, {"long_texts": "keep"},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(settings))):
        OpenAIEmbedder("m", dim=4, api_key="sk-test", **settings)


@both
def test_a_server_on_loopback_has_no_proxy(service: Service, embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    def watch(request: Request) -> Iterable[Piece]:
        raise AssertionError("the proxy got the request")

    with Upstream(watch) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert embed(small(), ["a"]) == [vector_of("a", 4)]
        assert proxy.connections == 0


def test_many_memories_on_a_small_server(service: Service, url: str) -> None:
    """Through the verbs, by the embedder's name."""
    service.refuse = BATCH_LIMITS["TEI"]
    with Memory(url=url, embedder="openai:m:4", schema="small_server") as memory:
        records = memory.add_many([{"content": f"note {number}", "user_id": "maya"} for number in range(80)])
        assert len(records) == 80
        service.refuse = most_characters(2000)
        try:
            memory.add(content="hello " * 800, user_id="maya")
        except OMPError as caught:
            pytest.fail(str(caught))
