"""The two statements of a search, their parameters and the meaning of their rows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ....analysis import QueryWord, SpelledWord
from ....models import SearchResults, construct_result
from ....operations import Context, Search
from ....ports.postgres import Query, Row, Statement
from ....ranking import constants
from ....ranking.evidence import explained
from ....ranking.scale import scaled, unscaled
from ...base import Call
from .. import binary
from ..lexemes import QUESTION_ID, is_long, query_values
from ..rows import to_record
from ..selection import selection_values
from ..sql import Catalog, Part, read
from ..sql.parts import scope_values
from . import layout
from .explaining import COLUMNS, UNEXPLAINED, evidence_of, explained_parts

_INCLUDED: Final = (
    "query_words", "masks", "reach", "distance", "similarity", "term_mask", "lexeme_weight", "own_score",
    "question_share", "indexed_coverage", "recency", "bit_weight",
    "added_coverage", "counted_once", "seed", "boosting", "may_gain", "is_near_seed", "of_seed",
)  # fmt: skip
_BY_LENGTH: Final = ("words", "indexed_words", "sampled_words")
_INCLUDED_WITH: Final = {
    "mask_vectors": "lexemes",
    "chunk_mask_counts": "memories",
    "best_candidates": "memories",
    "boost": "new_coverage",
}


class Searches:
    """The statements of `search` and `context`.

    Those that explain are rendered when they are first used.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._explained: dict[tuple[str, bool], Query] = {}
        self._exact = {
            (are_long, are_filtered): _for_queries(
                catalog, "search_exact", are_long=are_long, filters=_FILTERED if are_filtered else _UNFILTERED
            )
            for are_long in (False, True)
            for are_filtered in (False, True)
        }
        self._indexed = {
            are_long: _for_queries(catalog, "search_indexed", are_long=are_long) for are_long in (False, True)
        }

    def exact(
        self,
        op: Search | Context,
        call: Call,
        words: Sequence[QueryWord],
        model: str,
        vector: Sequence[float],
        limit: int,
        spelled: Sequence[SpelledWord] | None = None,
    ) -> Statement[SearchResults | None]:
        """The best by the scores of all memories of the user; None, and nothing was done, if there are too many.

        Args:
            spelled: how the query spells its words, to explain the scores; None not to.
        """

        def decode(rows: Sequence[Row]) -> SearchResults | None:
            is_large_user, best = rows[0][:2]
            if is_large_user:
                return None
            return [] if best is None else _results(rows, 1, _min_score(op), words, spelled)

        values = _values(op, call, words, model, vector, limit)
        if spelled is not None:
            return self.explained("search_exact", is_long(words)).bind(values, decode)
        return self._exact[is_long(words), bool(values["is_filtered"])].bind(values, decode)

    def indexed(
        self,
        op: Search | Context,
        call: Call,
        words: Sequence[QueryWord],
        model: str,
        vector: Sequence[float],
        limit: int,
        spelled: Sequence[SpelledWord] | None = None,
    ) -> Statement[SearchResults]:
        """The best that an index of lexemes finds; for a user with many memories.

        Args:
            spelled: how the query spells its words, to explain the scores; None not to.
        """
        are_long = is_long(words)
        query = self._indexed[are_long] if spelled is None else self.explained("search_indexed", are_long)
        values = _values(op, call, words, model, vector, limit)
        return query.bind(values, lambda rows: _results(rows, 0, _min_score(op), words, spelled))

    def explained(self, statement: str, are_long: bool) -> Query:
        """The statement of a search that explains.

        Args:
            statement: ``search_exact`` or ``search_indexed``.
            are_long: whether it is for long queries; see `is_long`.
        """
        key = statement, are_long
        if key not in self._explained:
            extra = explained_parts(statement, are_long=are_long)
            self._explained[key] = _for_queries(
                self._catalog, statement, are_long=are_long, filters=_FILTERED, explained=extra
            )
        return self._explained[key]


# How an exact search knows which memories are selected.
_UNFILTERED: Final = {"and_hidden": ",\n{hidden}", "is_searched": "{is_not_hidden(m)}"}
_FILTERED: Final = {"and_hidden": "", "is_searched": "{is_selected(m)}"}


def _for_queries(
    catalog: Catalog,
    name: str,
    *,
    are_long: bool,
    filters: Mapping[str, str] = _UNFILTERED,
    explained: Mapping[str, Part] = UNEXPLAINED,
) -> Query:
    """The statement for queries that are long, or for those that are not; see `is_long`."""
    words = {part: read(__package__, f"{part}_of_long_query" if are_long else part) for part in _BY_LENGTH}
    chosen = ",\n" + read(__package__, "chosen_lexemes") if are_long else ""
    further = {**parts(), **words, "chosen_lexemes": chosen, **filters, **explained}
    suffix = "" if explained is UNEXPLAINED else "_explained"
    if filters is _FILTERED and not suffix:
        suffix = "_filtered"
    variant = f"{name}{'_long' if are_long else ''}{suffix}"
    return catalog.query(variant, __package__, further, file=name)


def parts() -> Mapping[str, Part]:
    """What the statements include: the constants by their names in lower case, and parts that both share."""
    values = {**vars(layout), **vars(constants)}
    steps = [step for step in range(-constants.NEIGHBOR_DISTANCE, constants.NEIGHBOR_DISTANCE + 1) if step]
    return {
        **{name.lower(): str(value) for name, value in values.items() if name.isupper()},
        **{name: read(__package__, name) for name in _INCLUDED},
        **{name: _with(name, argument) for name, argument in _INCLUDED_WITH.items()},
        "coverage_of": _with("coverage", "mask"),
        "neighbor_steps": ", ".join(f"({step})" for step in steps),
        "speaker_flag": f"{layout.SPEAKER_FLAG}::bigint",
        "question_flag": f"{layout.QUESTION_FLAG}::bigint",
        "no_mask": f"({-1 << 63})::bigint",
        "question_id": str(QUESTION_ID),
        "keys": "{schema}.lexeme_keys(m.user_id, m.terms)\n    ",
    }


def _with(name: str, argument: str) -> Callable[[str], str]:
    """The part in a file with another name in place of the include point `argument`."""
    text = read(__package__, name)
    return lambda value: text.replace(f"{{{argument}}}", value)


def _values(
    op: Search | Context, call: Call, words: Sequence[QueryWord], model: str, vector: Sequence[float], limit: int
) -> Mapping[str, object]:
    return {
        **selection_values(op.selection(call.grants)),
        **query_values(tuple(words)),
        "vector": binary.half_vector(vector),
        # No memory is comparable with a vector of zeros.
        "model": model if any(vector) else None,
        "min_score": unscaled(_min_score(op)),
        "recency": op.recency,
        "limit": limit,
        "verb": op.verb,
        "scope": op.scope_text,
        "app": call.app,
        "request_id": call.request_id,
        **scope_values("readable", call.grants.read),
    }


def _min_score(op: Search | Context) -> float:
    return op.min_score or 0.0 if isinstance(op, Search) else 0.0


def _results(
    rows: Iterable[Row],
    position: int,
    min_score: float,
    words: Sequence[QueryWord] = (),
    spelled: Sequence[SpelledWord] | None = None,
) -> SearchResults:
    """The results in rows with a score at a position, what explains it if `spelled` is given, and the columns of a
    record behind it."""
    scored = ((scaled(min(1.0, row[position])), row) for row in rows)
    behind = position + 1
    if spelled is None:
        return [construct_result(to_record(row[behind:]), score) for score, row in scored if score >= min_score]
    results = []
    for score, row in scored:
        if score >= min_score:
            explanation = explained(evidence_of(row[position], row[behind : behind + COLUMNS], words), spelled, score)
            results.append(construct_result(to_record(row[behind + COLUMNS :]), score, explanation.extension))
    return results
