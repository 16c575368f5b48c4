from __future__ import annotations

import math
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem import InvalidRequestError
from openmem.embedders.hashing import HashingEmbedder

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=200)
GOLDEN = "I ate Zürich käse ❤ 東京"
WORDS = ["apple", "river", "candle", "mountain", "window", "garden", "piano"]
EXPECTED = [0.0, -0.338062, 0.169031, 0.0, -0.845154, 0.0, -0.169031, -0.338062]


def similarity(one: str, other: str, dim: int = 256) -> float:
    a, b = HashingEmbedder(dim).embed([one, other])
    return sum(x * y for x, y in zip(a, b, strict=True))


@given(ANY_TEXT)
def test_every_text_gives_a_vector_of_length_one(text: str) -> None:
    [vector] = HashingEmbedder().embed([text])
    assert len(vector) == 256
    assert math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-9)


@given(ANY_TEXT, ANY_TEXT)
def test_a_text_has_one_vector_whatever_stands_beside_it(text: str, other: str) -> None:
    alone = HashingEmbedder().embed([text])
    assert HashingEmbedder().embed([other, text])[1:] == alone


@given(ANY_TEXT, st.integers(1, 40))
def test_no_dimension_is_too_small_for_a_length_of_one(text: str, dim: int) -> None:
    [vector] = HashingEmbedder(dim).embed([text])
    assert math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-9)


@given(
    st.lists(
        st.sampled_from(["apple", "river", "candle", "mountain", "window", "garden", "piano"]), min_size=3, unique=True
    )
)
def test_a_text_is_closer_to_its_own_part_than_to_foreign_words(words: list[str]) -> None:
    text = " ".join(words)
    assert similarity(text, " ".join(words[1:])) > similarity(text, "zxqj wvkk bbtt hhff") + 0.3


@given(st.text(min_size=1))
def test_case_and_compatibility_forms_do_not_matter(text: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert HashingEmbedder().embed([text]) == HashingEmbedder().embed([wide])


@pytest.mark.parametrize(
    ("text", "like", "unlike"),
    [
        ("user prefers dark mode", "prefers dark themes", "the train leaves at nine"),
        ("her favourite colour", "favorite color", "a broken bicycle"),
        ("running in the morning", "he runs every morning", "tax documents"),
        ("東京に住んでいます", "東京で働く", "猫が好きです"),
        ("STRASSE", "straße", "avenue"),
        ("❤", "❤❤", "☂"),
    ],
)
def test_like_texts_are_closer(text: str, like: str, unlike: str) -> None:
    assert similarity(text, like) > similarity(text, unlike) + 0.1


def test_repetition_counts_less_than_it_is_long() -> None:
    assert similarity("tea " * 100 + "coffee", "coffee") > 0.1


def test_the_vector_of_a_text_never_changes() -> None:
    [vector] = HashingEmbedder(8).embed([GOLDEN])
    assert [round(value, 6) for value in vector] == EXPECTED


def test_another_process_gives_the_same_vector() -> None:
    script = f"from openmem.embedders.hashing import HashingEmbedder; print(HashingEmbedder().embed([{GOLDEN!r}]))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] == f"{HashingEmbedder().embed([GOLDEN])}\n"


@pytest.mark.parametrize("text", ["word " * 13_107, "x" * 65_536, "東" * 65_536, "".join(map(chr, range(65_536)))])
def test_the_longest_content_takes_no_time(text: str) -> None:
    started = time.thread_time()
    HashingEmbedder().embed([text])
    assert time.thread_time() - started < 1.0


@pytest.mark.parametrize("dim", [0, -1, 16_001, True, 2.5, "256", None])
def test_a_dimension_out_of_range_is_refused(dim: object) -> None:
    with pytest.raises(InvalidRequestError, match="16000 dimensions"):
        HashingEmbedder(dim)  # type: ignore[arg-type]
