"""Embedders behind the APIs of Cohere, Voyage, Ollama, and of servers like OpenAI's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openmem import InvalidRequestError, Memory, OMPError, ProviderError, RateLimitedError, UnauthorizedError
from openmem.embedders import resolve_embedder
from openmem.embedders.cohere import CohereEmbedder
from openmem.embedders.ollama import OllamaEmbedder
from openmem.embedders.openai import OpenAIEmbedder
from openmem.embedders.voyage import VoyageEmbedder

from ..service import Reply
from .apis import Api, Cohere, Ollama, Voyage
from .service import KEY, Service, vector_of

KINDS: dict[str, tuple[type[Api], Any, str]] = {
    "cohere": (Cohere, CohereEmbedder, "CO_API_URL"),
    "voyage": (Voyage, VoyageEmbedder, ""),
    "ollama": (Ollama, OllamaEmbedder, "OLLAMA_HOST"),
}
DOCUMENTS = {"cohere": "search_document", "voyage": "document"}
QUERIES = {"cohere": "search_query", "voyage": "query"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CO_API_URL", "OLLAMA_HOST", "OLLAMA_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CO_API_KEY", "VOYAGE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr("openmem.embedders._remote._LIMITS", {})


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def api(kind: str) -> Iterator[Api]:
    with KINDS[kind][0]() as api:
        yield api


Make = Callable[..., Any]


@pytest.fixture
def make(kind: str, api: Api) -> Make:
    """Makes an embedder of the service."""
    return lambda model="m", **settings: KINDS[kind][1](model, **({"base_url": api.url, "max_retries": 0} | settings))


def blocking(embedder: Any, texts: list[str]) -> list[list[float]]:
    try:
        vectors: list[list[float]] = embedder.embed(texts)
        return vectors
    finally:
        embedder.close()


def on_a_loop(embedder: Any, texts: list[str]) -> list[list[float]]:
    async def run() -> list[list[float]]:
        try:
            vectors: list[list[float]] = await embedder.aembed(texts)
            return vectors
        finally:
            await embedder.aclose()

    return asyncio.run(run())


def query(embedder: Any, text: str) -> list[float]:
    try:
        vector: list[float] = embedder.embed_query(text)
        return vector
    finally:
        embedder.close()


def query_on_a_loop(embedder: Any, text: str) -> list[float]:
    async def run() -> list[float]:
        try:
            vector: list[float] = await embedder.aembed_query(text)
            return vector
        finally:
            await embedder.aclose()

    return asyncio.run(run())


both = pytest.mark.parametrize("embed", [blocking, on_a_loop])
Embed = Callable[[Any, list[str]], list[list[float]]]


@both
def test_texts_become_vectors_of_documents(kind: str, api: Api, make: Make, embed: Embed) -> None:
    embedder, dims = make(), []
    texts = ["user prefers dark mode", "❤", "a\nb"]
    dims.append(embedder.dim)
    assert embed(embedder, texts) == [vector_of(text, 6) for text in texts]
    assert [*dims, embedder.dim] == [None, 6]
    [body] = api.bodies
    assert api.texts(body) == texts
    assert body.get("input_type") == DOCUMENTS.get(kind)


@pytest.mark.parametrize("ask", [query, query_on_a_loop])
def test_a_text_becomes_the_vector_of_a_query(
    kind: str, api: Api, make: Make, ask: Callable[[Any, str], list[float]]
) -> None:
    embedder = make()
    assert ask(embedder, "tea") == vector_of("tea", 6)
    [body] = api.bodies
    assert api.texts(body) == ["tea"]
    assert body.get("input_type") == QUERIES.get(kind)
    assert embedder.is_symmetric == (kind == "ollama")


@both
def test_other_dimensions_are_asked_for(api: Api, make: Make, embed: Embed) -> None:
    embedder = make(dim=3)
    assert embed(embedder, ["a", "b"]) == [vector_of(text, 3) for text in "ab"]
    assert embed(embedder, ["c"]) == [vector_of("c", 3)]
    asked = [body.get("dimensions") or body.get("output_dimension") for body in api.bodies]
    assert asked == [None, 3, 3]
    api.reset()
    embedder = make(dim=6)
    assert embed(embedder, ["a"]) == [vector_of("a", 6)]
    assert len(api.bodies) == 1


@both
def test_a_model_that_has_other_dimensions_is_an_error(api: Api, make: Make, embed: Embed) -> None:
    api.script.extend([lambda request: Reply(body=api.answer_of(request.body | {}))] * 2)
    api.vectors = lambda body, dim: [vector_of(text, 6) for text in api.texts(body)]  # type: ignore[method-assign]
    with pytest.raises(ProviderError, match="a vector of 6 numbers, while its dim is 3"):
        embed(make(dim=3), ["a"])


@both
def test_many_texts_are_sent_in_batches(kind: str, api: Api, make: Make, embed: Embed) -> None:
    texts = [f"note {number}" for number in range(1100)]
    assert embed(make(), texts) == [vector_of(text, 6) for text in texts]
    most = {"cohere": 96, "voyage": 1000, "ollama": 64}[kind]
    assert max(len(api.texts(body)) for body in api.bodies) == most
    assert len(api.bodies) == -(-1100 // most)


@both
def test_a_smaller_server_is_found_out(api: Api, make: Make, embed: Embed) -> None:
    api.most_texts = 8
    texts = [f"note {number}" for number in range(20)]
    embedder = make()
    assert embed(embedder, texts) == [vector_of(text, 6) for text in texts]
    assert [len(api.texts(body)) for body in api.bodies] == [20, 8, 8, 4]
    assert embed(embedder, texts) == [vector_of(text, 6) for text in texts]
    assert [len(api.texts(body)) for body in api.bodies[4:]] == [8, 8, 4]


@both
def test_a_text_that_is_too_long_is_sent_in_parts(api: Api, make: Make, embed: Embed) -> None:
    def refuse(body: dict[str, Any]) -> Reply | None:
        if any(len(text) > 300 for text in api.texts(body)):
            return api.refused(400, "the input length exceeds the context length").reply
        return None

    api.refuse = refuse
    [vector] = embed(make(), ["green tea " * 100])
    assert len(vector) == 6
    taken = [text for body in api.bodies if refuse(body) is None for text in api.texts(body)]
    assert "".join(taken) == "green tea " * 100
    with pytest.raises(ProviderError, match="exceeds the context length"):
        embed(make(long_texts="refuse"), ["green tea " * 100])
    assert embed(make(long_texts="truncate"), ["green tea " * 100])


@both
def test_a_failure_that_may_pass_is_tried_again(api: Api, make: Make, embed: Embed) -> None:
    slow = Reply(429, api.refused(429, "slow down").reply.body, {"Retry-After": "0"})
    api.script.extend([slow, api.refused(503, "restarting").reply])
    assert embed(make(max_retries=2), ["a"]) == [vector_of("a", 6)]
    assert len(api.bodies) == 3


@both
def test_a_rate_limit_tells_how_long_to_wait(api: Api, make: Make, embed: Embed) -> None:
    api.script.append(Reply(429, api.refused(429, "slow down").reply.body, {"Retry-After": "7"}))
    with pytest.raises(RateLimitedError) as caught:
        embed(make(), ["a"])
    assert caught.value.retry_after == 7.0


@both
def test_a_refusal_says_why_without_the_text(api: Api, make: Make, embed: Embed) -> None:
    api.refuse = lambda body: api.refused(404, 'model "m" not found, try pulling it first').reply
    with pytest.raises(ProviderError, match="try pulling it first"):
        embed(make(), ["a"])
    api.refuse = lambda body: api.refused(422, f"bad text: {api.texts(body)[0]}").reply
    with pytest.raises(ProviderError) as caught:
        embed(make(), ["Maya is allergic to hazelnuts"])
    assert "Maya" not in str(caught.value)


@both
@pytest.mark.parametrize("damage", ["fewer", "more", "none", "null", "text", "html", "other"])
def test_a_wrong_answer_is_an_error(api: Api, make: Make, embed: Embed, damage: str) -> None:
    real = api.vectors
    broken: Any = {
        "fewer": lambda vectors: vectors[:-1],
        "more": lambda vectors: [*vectors, vectors[0]],
        "none": lambda vectors: [[] for _ in vectors],
        "null": lambda vectors: [vectors[0], [None] * 6],
        "text": lambda vectors: [vectors[0], ["x"] * 6],
        "html": lambda vectors: vectors,
        "other": lambda vectors: vectors,
    }

    def answer(request: Any) -> Reply:
        if damage == "html":
            return Reply(body=b"<html>", headers={"Content-Type": "text/html"})
        if damage == "other":
            return Reply(body={"object": "list"})
        vectors = broken[damage](real(request.body, None))
        if isinstance(api, Voyage):
            return Reply(body={"data": [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]})
        return Reply(body={"embeddings": {"float": vectors} if isinstance(api, Cohere) else vectors})

    api.script.append(answer)
    embedder = make()
    with pytest.raises(ProviderError, match=r"embedder '\w+:m'") as caught:
        embed(embedder, ["a", "b"])
    assert caught.value.code == "provider_error"
    assert embedder.dim is None


@both
def test_a_service_that_is_not_there_is_unavailable(make: Make, embed: Embed) -> None:
    with pytest.raises(ProviderError, match=r"http://127\.0\.0\.1:1 cannot be reached") as caught:
        embed(make(base_url="http://127.0.0.1:1"), ["a"])
    assert caught.value.code == "provider_unavailable"


def test_a_cancelled_request_is_cancelled_at_once(api: Api, make: Make) -> None:
    async def run() -> None:
        embedder = make()
        await embedder.aembed(["warm"])
        api.script.append(api.hang)
        task = asyncio.create_task(embedder.aembed_query("a"))
        assert await asyncio.to_thread(api.stuck.acquire, True, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 0.5)
        assert await embedder.aembed(["b"]) == [vector_of("b", 6)]
        await embedder.aclose()

    asyncio.run(run())


def test_a_memory_is_found_by_another_text(kind: str, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the verbs, by the embedder's name and the environment alone, where the service has a variable."""
    variable = KINDS[kind][2]
    if not variable:
        pytest.skip("its address is no setting of the environment")
    monkeypatch.setenv(variable, api.url)
    with Memory("memory", embedder=f"{kind}:m") as memory:
        record = memory.add(content="green tea", user_id="maya")
        assert record.embedding_model == f"{kind}:m"
        assert memory.search("tea", "maya")[0].memory.id == record.id
    # What follows is the calibration of the model.
    assert [api.texts(body) for body in api.bodies[:2]] == [["green tea"], ["tea"]]


@pytest.mark.parametrize(("name", "variable"), [("cohere", "CO_API_KEY"), ("voyage", "VOYAGE_API_KEY")])
def test_a_key_is_needed_and_stays_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, variable: str
) -> None:
    service, embedder_type, _ = KINDS[name]
    wrong = "wrong-key-of-somebody"
    with service() as api, caplog.at_level(logging.DEBUG):
        embedder: Any = embedder_type("m", base_url=api.url, api_key=wrong, max_retries=0)
        with pytest.raises(UnauthorizedError, match=variable) as caught:
            blocking(embedder, ["a"])
    assert wrong not in f"{caught.value!r} {caught.value} {embedder!r} {caplog.text}"
    monkeypatch.setenv(variable, " ")
    with pytest.raises(InvalidRequestError, match=variable):
        resolve_embedder(name)


@pytest.mark.parametrize("embedder_type", [OpenAIEmbedder, CohereEmbedder, VoyageEmbedder, OllamaEmbedder])
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"base_url": 5}, "base_url: it is not an http"),
        ({"base_url": "ftp://x"}, "base_url: it is not an http"),
        ({"api_key": 5}, "must be text, not of type int"),
        ({"api_key": "two words"}, "characters that no key has"),
        ({"dim": 0}, "dim must be a whole number from 1"),
        ({"dim": "3"}, "dim must be a whole number from 1"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_input_bytes": 3}, "max_input_bytes"),
        ({"long_texts": "keep"}, "long_texts must be one of average, truncate, refuse"),
        ({"timeout": 0}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"model": 5}, "needs the name of a model"),
        ({"model": " "}, "needs the name of a model"),
    ],
)
def test_a_wrong_setting_is_refused(embedder_type: Any, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=problem):
        embedder_type(**({"model": "m"} | settings))


def test_ollama_may_have_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    class Guarded(Ollama):
        check_key = Api.check_key

    with Guarded() as api:
        assert blocking(OllamaEmbedder("m", base_url=api.url, api_key=KEY), ["a"])
        monkeypatch.setenv("OLLAMA_API_KEY", KEY)
        assert blocking(OllamaEmbedder("m", base_url=api.url), ["a"])
        monkeypatch.delenv("OLLAMA_API_KEY")
        with pytest.raises(UnauthorizedError, match="OLLAMA_API_KEY"):
            blocking(OllamaEmbedder("m", base_url=api.url), ["a"])


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":11435", "http://127.0.0.1:11435"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("gpu.example", "http://gpu.example:11434"),
        ("gpu.example:9", "http://gpu.example:9"),
        ("[::1]:9", "http://[::1]:9"),
        ("[::1]", "http://[::1]:11434"),
        ("https://gpu.example/ollama/", "https://gpu.example/ollama"),
    ],
)
def test_the_host_of_ollama_is_read_as_ollama_does(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert OllamaEmbedder("m")._remote.url == url


@pytest.mark.parametrize("host", ["ftp://gpu.example", "http://", "gpu.example:x:y"])
def test_a_host_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    with pytest.raises(InvalidRequestError, match="OLLAMA_HOST"):
        OllamaEmbedder("m")


@pytest.mark.parametrize(
    ("model", "document", "query"),
    [
        ("m", "", ""),
        ("nomic-embed-text", "search_document: ", "search_query: "),
        ("intfloat/multilingual-e5-small", "passage: ", "query: "),
        ("BAAI/bge-small-en-v1.5", "", "Represent this sentence for searching relevant passages: "),
        ("bge-m3", "", ""),
        ("snowflake-arctic-embed2", "", "query: "),
        ("embeddinggemma:300m", "title: none | text: ", "task: search result | query: "),
    ],
)
def test_what_a_model_wants_before_a_text(service: Service, model: str, document: str, query: str) -> None:
    embedder = OpenAIEmbedder(model, dim=4, base_url=service.url)
    assert embedder.is_symmetric == (document == query)
    embedder.embed(["tea"])
    embedder.embed_query("tea")
    assert [body["input"] for body in service.bodies] == [[f"{document}tea"], [f"{query}tea"]]
    service.reset()
    embedder.close()
    with Ollama() as api:
        local = OllamaEmbedder(model, base_url=api.url, query_prefix="Q ", document_prefix="D ")
        local.embed(["tea"])
        local.embed_query("tea")
        local.close()
        assert [body["input"] for body in api.bodies] == [["D tea"], ["Q tea"]]


@pytest.mark.parametrize("name", ["query_prefix", "document_prefix"])
def test_a_prefix_that_is_no_text_is_refused(name: str) -> None:
    prefix: Any = {name: 5}
    with pytest.raises(InvalidRequestError, match=f"{name} must be text"):
        OllamaEmbedder("m", **prefix)


def test_the_dimensions_of_an_unknown_model_are_those_of_its_vectors(service: Service) -> None:
    embedder = OpenAIEmbedder("unheard-of", base_url=service.url)
    assert (embedder.model, embedder.dim) == ("openai:unheard-of", None)
    embedder.embed(["a"])
    assert embedder.dim == 4
    service.script.extend([lambda request: Reply(body={"data": [{"index": 0, "embedding": [1.0] * 3}]})] * 2)
    with pytest.raises(OMPError):
        embedder.embed(["b"])
    embedder.close()
