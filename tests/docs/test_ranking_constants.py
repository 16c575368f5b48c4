"""The formula of the ranking in the documentation has the constants of the code."""

from __future__ import annotations

from pathlib import Path

from openmem.providers.postgres.retrieval import layout
from openmem.providers.postgres.retrieval.retriever import MAX_LARGE_USERS
from openmem.ranking import constants as c

TEXT = (Path(__file__).parents[2] / "docs" / "retrieval.md").read_text(encoding="utf-8")


def test_the_formula_has_the_constants() -> None:
    boost = (
        f"{c.VECTOR_WEIGHT} · {c.GAP_SHARE} · max(0, seed's similarity - similarity) "
        f"+ {c.WORDS_WEIGHT} · {c.NEIGHBOR_WEIGHT} · new coverage"
    )
    for line in (
        f"score        = own_score + boost, {c.QUESTION_FACTOR} of it for a memory that is a question",
        f"own_score    = {c.VECTOR_WEIGHT} · similarity + {c.WORDS_WEIGHT} · coverage",
        f"boost        = boost_factor · ({boost})",
        f"boost_factor = min(1, {c.NEIGHBOR_DECAY} · max(0, 1 - distance / min(1, {c.NEIGHBOR_REACH_FACTOR} · reach)))",
        f"               · min(1, max(0, autocorrelation / {c.SERIES_AUTOCORRELATION})) "
        "for two memories that were stored at once",
        f"reach      = {c.REACH_FACTOR} · (1 - the cosine of the query and unrelated texts), from {c.MIN_REACH} to 1",
        f"returned = (1 + k) · score^{c.SCALE_EXPONENT} / (score^{c.SCALE_EXPONENT} + k), "
        f"with k = {c.SCALE_HALF}^{c.SCALE_EXPONENT}",
    ):
        assert f"\n{line}\n" in TEXT, line


def test_the_prose_has_the_constants() -> None:
    prose = " ".join(TEXT.split())
    for phrase in (
        f"one of the {c.SEEDS} memories with the best scores of their own",
        f"up to {c.MAX_QUERY_LEXEMES} of them",
        f"of {c.SPEAKER_WEIGHT} times",
        f"more than {c.MAX_QUERY_CHARACTERS:,} characters",
        f"the user's first {c.EXACT_SCAN_LIMIT:,} memories",
        f"up to {layout.STRATUM_ROWS} memories from each of {layout.SAMPLE_STRATA} parts",
        f"fewer than {layout.MIN_INDEX_CANDIDATES} memories",
        f"up to {MAX_LARGE_USERS:,} large users",
    ):
        assert phrase in prose, phrase
