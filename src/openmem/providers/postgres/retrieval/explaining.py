"""What the statements of a search that explains add: columns, and their meaning. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from ....analysis import QueryWord
from ....ports.postgres import Row
from ....ranking.constants import QUESTION_FACTOR
from ....ranking.evidence import SPEAKER, Evidence, coverage, similarity
from ..lexemes import flags_of
from ..sql import Part, read
from . import layout

COLUMNS: Final = 9
"""How many columns a search that explains has between the score and the record."""

UNEXPLAINED: Final = dict.fromkeys(("explained", "shown_seed", "best_seed", "no_seed"), "")
"""What the statements of other searches include instead: nothing."""


def explained_parts(statement: str, *, are_long: bool) -> Mapping[str, Part]:
    """What a search that explains includes.

    Args:
        statement: ``search_exact`` or ``search_indexed``.
        are_long: whether it is for long queries, of whose words it chooses the bits.
    """
    return {
        "explained": read(__package__, "explained"),
        "shown_seed": ", seed_id",
        # Of equal scores the memory's own counts, then that by the newer seed.
        "best_seed": ", (array_agg(seed_id ORDER BY score DESC, seed_id DESC NULLS FIRST))[1] AS seed_id",
        "no_seed": ", NULL AS seed_id",
        "flags_of_words": read(__package__, "flags_of_words")
        if are_long
        else "NULL::int[] AS words, NULL::bigint[] AS flags_of_words",
        "that_count": " WHERE NOT is_ignored" if statement == "search_exact" else "",
    }


def evidence_of(total: float, columns: Row, words: Sequence[QueryWord]) -> Evidence:
    """What a score comes from.

    Args:
        total: the score of the ranking.
        columns: those of ``explained.sql``.
        words: the query's.
    """
    seed_id, distance, mask, recency_factor, reach, flags, flag_weights, numbers, chosen = columns
    flag_of = dict(enumerate(flags_of(tuple(words)))) if numbers is None else dict(zip(numbers, chosen, strict=True))
    factors: defaultdict[int, float] = defaultdict(float)
    for position, flag in flag_of.items():
        factors[flag] += words[position].weight
    weight_of = dict(zip(flags, flag_weights, strict=True))
    weights = {
        position: weight_of[flag] * words[position].weight / factors[flag] for position, flag in sorted(flag_of.items())
    }
    weights[SPEAKER] = weight_of.get(layout.SPEAKER_FLAG, 0.0)
    known = max(mask, 0)
    shared = {position for position, flag in flag_of.items() if known & flag}
    if known & layout.SPEAKER_FLAG:
        shared.add(SPEAKER)
    return Evidence(
        similarity=None if distance is None else similarity(distance, reach),
        coverage=coverage(shared, weights) if mask >= 0 else None,
        shared=shared,
        weights=weights,
        question_factor=QUESTION_FACTOR if known & layout.QUESTION_FLAG else 1.0,
        recency_factor=recency_factor,
        total=min(1.0, total),
        seed_id=seed_id,
    )
