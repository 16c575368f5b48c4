from __future__ import annotations

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, cast

import numpy as np
import pytest
import wordllama

import openmem
from openmem._model_calls import CheckedEmbedder
from openmem.embedders import resolve_embedder
from openmem.embedders import wordllama as embedder_module
from openmem.embedders.wordllama import WordLlamaEmbedder

OFFLINE = """
import logging, sys

def forbidden(*args, **kwargs):
    raise AssertionError("the network was touched")

sys.addaudithook(lambda event, args: forbidden() if event.startswith("socket.") else None)
from openmem.embedders import resolve_embedder
embedder = resolve_embedder("wordllama")
assert "numpy" not in sys.modules and "wordllama" not in sys.modules, "loaded too early"
[vector] = embedder.embed(["user prefers dark mode"])
assert "tokenizers" in sys.modules and not {"wordllama", "requests"} & set(sys.modules), "more than needed"
assert logging.root.handlers == [] and logging.root.level == logging.WARNING, "the root logger was set up"
print(len(vector))
"""


def cosine(one: str, other: str) -> float:
    a, b = WordLlamaEmbedder().embed([one, other])
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_it_is_offline_and_lazy_and_leaves_logging_alone(tmp_path: object) -> None:
    source = str(Path(openmem.__file__).parents[1])
    environment = {"HOME": str(tmp_path), "PATH": "", "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": source}
    run = subprocess.run([sys.executable, "-c", OFFLINE], env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("256\n", 0), run.stderr


def test_applications_keep_their_own_logging_setup() -> None:
    script = (
        "import logging; logging.basicConfig(level=logging.ERROR); before = list(logging.root.handlers)\n"
        "from openmem.embedders.wordllama import WordLlamaEmbedder; WordLlamaEmbedder().warm_up()\n"
        "assert logging.root.handlers == before and logging.root.level == logging.ERROR"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def library() -> Any:
    """The model as wordllama loads it."""
    package = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=package, disable_download=True)


def test_the_vectors_are_those_of_the_library() -> None:
    texts = ["user prefers dark mode", "日本語", "a", "the meeting moved to Tuesday " * 40]
    assert np.allclose(WordLlamaEmbedder().embed(texts), library().embed(texts, norm=True), atol=1e-5)


def test_tokens_and_their_vectors_are_those_of_the_library() -> None:
    WordLlamaEmbedder().warm_up()
    [own], model = embedder_module._loaded, library()
    rows = cast(embedder_module._Table, own._vectors)._rows
    assert rows.dtype == model.embedding.dtype
    assert rows.tobytes() == model.embedding.tobytes()
    model.tokenizer.no_padding()
    ours, theirs = (json.loads(tokenizer.to_str()) for tokenizer in (own.tokenizer, model.tokenizer))
    assert ours == theirs


def test_a_few_texts_have_the_same_vectors_without_numpy_and_after_it() -> None:
    script = """if True:
        import sys
        from openmem.embedders.wordllama import FEW_PIECES, WordLlamaEmbedder
        embedder, texts = WordLlamaEmbedder(), ["can she eat eggs", "日本語", "", "bird " * 300]
        few = [embedder.embed([text]) for text in texts]
        assert not embedder.quick_characters and "numpy" not in sys.modules
        {}
        assert embedder.quick_characters and "numpy" in sys.modules
        assert [embedder.embed([text]) for text in texts] == few
    """
    for step in ("embedder.warm_up()", "embedder.embed(['bird ' * FEW_PIECES])"):
        subprocess.run([sys.executable, "-c", script.format(step)], check=True)


def test_meaning_counts() -> None:
    assert cosine("The doctor examined the patient", "a physician at the hospital") > cosine(
        "The doctor examined the patient", "a recipe for onion soup"
    )


@pytest.mark.parametrize("text", ["", " ", "\x01", "\u200b", "\ufffd", "❤", "\U0010ffff", "\u3000"])
def test_texts_without_known_words_have_vectors_too(text: str) -> None:
    embedder = WordLlamaEmbedder()
    [vector] = CheckedEmbedder(embedder).embed([text])
    assert math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-5)


@pytest.mark.parametrize("unit", ["the quick brown fox ", "x", "東京"])
def test_the_longest_content_is_read_to_its_end(unit: str) -> None:
    text = (unit * 65_536)[:65_500]
    with_end, without = WordLlamaEmbedder().embed([text + " zebra" * 6, text])
    assert math.isclose(math.hypot(*with_end), 1.0, abs_tol=1e-5)
    assert with_end != without


def test_a_long_text_does_not_change_its_neighbours() -> None:
    embedder = WordLlamaEmbedder()
    short, long = "user prefers dark mode", "word " * 13_000
    assert embedder.embed([short, long, long, short])[::3] == embedder.embed([short]) * 2


def test_threads_share_one_model() -> None:
    embedder = WordLlamaEmbedder()
    texts = [f"note number {number}" for number in range(8)]
    expected = embedder.embed(texts)
    barrier = Barrier(8)

    def embed(text: str) -> list[float]:
        barrier.wait(10)
        return embedder.embed([text])[0]

    with ThreadPoolExecutor(8) as threads:
        assert np.allclose(list(threads.map(embed, texts)), expected, atol=1e-6)


def test_threads_load_it_once() -> None:
    script = (
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from openmem.embedders import wordllama\n"
        "loads = []\n"
        "real = wordllama._load\n"
        "wordllama._load = lambda: (loads.append(1), real())[1]\n"
        "from openmem.embedders.wordllama import WordLlamaEmbedder\n"
        "barrier = threading.Barrier(6)\n"
        "def embed(n):\n"
        "    barrier.wait(10)\n"
        "    return WordLlamaEmbedder().embed(['x'])\n"
        "with ThreadPoolExecutor(6) as threads:\n"
        "    list(threads.map(embed, range(6)))\n"
        "assert len(loads) == 1, loads\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_it_has_one_full_name() -> None:
    embedder = resolve_embedder("wordllama")
    assert resolve_embedder(embedder.model).model == embedder.model == "wordllama:l2_supercat-256"


def test_texts_are_not_kept() -> None:
    """Each of these texts, kept by the tokenizer, would take some 4 KiB."""
    script = """if True:
        import psutil
        from openmem.embedders.wordllama import WordLlamaEmbedder
        embedder, process = WordLlamaEmbedder(), psutil.Process()
        def embed(numbers):
            for number in numbers:
                embedder.embed([f"she opened a small bakery near the river in the spring, note {number}"])
            return process.memory_info().rss
        warm = embed(range(500))
        assert embed(range(500, 6000)) < warm + 5 * 2**20
    """
    subprocess.run([sys.executable, "-c", script], check=True)
