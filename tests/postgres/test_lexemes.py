"""The numbers of lexemes, against PostgreSQL's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from openmem import Memory
from openmem.analysis import MAX_SPEAKERS, MemoryTerms, QueryWord
from openmem.providers.postgres import binary
from openmem.providers.postgres.lexemes import (
    MAX_ENTRIES,
    QUESTION_ID,
    counted_values,
    lexeme_id,
    mask_values,
    speaker_ids,
    term_ids,
    terms_literal,
)
from openmem.providers.postgres.retrieval import layout
from openmem.ranking.constants import SPEAKER_WEIGHT

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def admin(url: str) -> Iterator[psycopg.Connection]:
    with Memory(url=url, embedder="hashing") as memory, psycopg.connect(url, autocommit=True) as admin:
        memory.list("nobody")
        yield admin


@settings(max_examples=50, phases=(Phase.explicit, Phase.generate))
@given(st.lists(TEXTS | TEXTS.map(lambda text: text * 5), min_size=1, max_size=50))
def test_a_lexeme_has_the_number_that_the_server_gives_it(admin: psycopg.Connection, texts: list[str]) -> None:
    texts += ["", "?", "maya:", "日本", "\U0001f375", *("a" * length for length in range(40))]
    rows = admin.execute("SELECT openmem.term_number(text) FROM unnest(%s::text[]) text", (texts,))
    assert [lexeme_id(text) for text in texts] == [number for (number,) in rows]


@pytest.mark.parametrize("count", [0, 1, 30, MAX_ENTRIES])
def test_entries_in_text_and_in_binary_are_the_same_value(admin: psycopg.Connection, count: int) -> None:
    ids = [1, *range(layout.LEXEME_IDS - count + 2, layout.LEXEME_IDS + 1)] if count else []
    assert len(ids) == count
    row = admin.execute("SELECT sparsevec_send(%s::sparsevec)", (terms_literal(ids),), binary=True).fetchone()
    assert row == (binary.sparse_vector(ids),)


def test_the_words_of_a_memory_are_entries() -> None:
    terms = MemoryTerms(frozenset({"tea", "8"}), frozenset({"maya"}), is_question=True)
    assert term_ids(terms) == sorted(map(lexeme_id, ("tea", "8", "maya:", "?")))
    assert term_ids(MemoryTerms(frozenset(), frozenset(), is_question=False)) == []


def test_of_too_many_words_some_are_kept_and_all_marks() -> None:
    lexemes = frozenset(map(str, range(20_000)))
    names = frozenset(map(str, range(MAX_SPEAKERS)))
    ids = term_ids(MemoryTerms(lexemes, names, is_question=True))
    assert len(ids) == len(set(ids)) == MAX_ENTRIES
    assert {QUESTION_ID, *speaker_ids(names)} < set(ids)


def test_the_alternatives_of_a_word_are_in_one_chunk() -> None:
    words = [QueryWord(tuple(f"{number} {n}" for n in range(number % 5 + 1)), number) for number in range(30)]
    values: Any = counted_values(tuple(words))
    assert values["word_weights"] == [word.weight for word in words]
    assert {type(weight) for weight in values["word_weights"]} == {float}
    for position, word in enumerate(words):
        bits = [bit for bit, of in zip(values["lexeme_bits"], values["lexeme_words"], strict=True) if of == position]
        assert {bit // layout.MASK_BITS for bit in bits} == {values["word_chunks"][position]}
        assert sum(1 << bit % layout.MASK_BITS for bit in bits) == values["word_flags"][position]
        assert len(bits) == len(word.alternatives)
    assert len(set(values["lexeme_bits"])) == len(values["lexeme_ids"])
    assert min(values["lexeme_bits"]) == layout.FIRST_LEXEME_BIT


def test_the_words_of_a_query_that_is_not_long_are_sets_of_bits(admin: psycopg.Connection) -> None:
    words = [QueryWord((f"a{n}", f"b{n // 2}"), 0.7 + n) for n in range(20)] + [
        QueryWord((f"b{n}",)) for n in range(20)
    ]
    values = mask_values(tuple(words))
    masks = [values[name] for name in ("first_mask", "second_mask", "third_mask")]
    assert masks[2] is None
    memory = terms_literal(sorted(map(lexeme_id, ("a3", "b3", "b19", "b3:", "?"))))
    mask = 0
    for chunk, vector in enumerate(masks[:2]):
        row = admin.execute("SELECT (%s::sparsevec <#> %s::sparsevec)::bigint", (memory, vector)).fetchone()
        assert row is not None
        mask |= row[0] << chunk * layout.MASK_BITS
    assert mask & layout.QUESTION_FLAG
    assert mask & layout.SPEAKER_FLAG
    had = {"a3", "b3", "b19"}
    found = [bool(mask & int(flags)) for flags in items(values["mask_flags"])]
    assert found == [not had.isdisjoint(word.alternatives) for word in words] + [True]
    assert [*map(float, items(values["mask_factors"]))] == [*(word.weight for word in words), SPEAKER_WEIGHT]


def test_words_with_the_same_alternatives_count_together() -> None:
    values = mask_values((QueryWord(("a", "b"), 0.5), QueryWord(("b", "a"), 0.25)))
    assert [*map(float, items(values["mask_factors"]))] == [0.75, SPEAKER_WEIGHT]


def test_a_query_without_words_has_no_flags() -> None:
    values = mask_values(())
    assert values["mask_flags"] == values["mask_factors"] == "{}"
    assert values["first_mask"] is not None
    assert values["second_mask"] is None


def items(array: object) -> list[str]:
    """The items of an array as PostgreSQL writes it."""
    assert isinstance(array, str)
    return array.strip("{}").split(",")
