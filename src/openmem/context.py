"""From ranked memories to a block of cited text within a token budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from ._excerpts import MARK, SHORTEST_EXCERPT_CHARACTERS, excerpt
from .models import Citation, ContextBlock, OmittedMemory, SearchResult
from .tokens import TokenCounter

# Neither "?" nor what numbers and names such as "-5", "C++" or "C#" may have at their ends.
_EDGES: Final = ".,;:!\"'()[]\u2018\u2019\u201c\u201d\u2026"
_STOP_WORDS: Final = frozenset(("a", "an", "the", "is", "are"))
# Longer texts are compared by all their characters, which takes a hundredth of the time.
_LONG_TEXT: Final = 4_096
# No common tokenizer makes fewer tokens of so many characters: a beginning of that length is enough to see that a text
# is too long.
_CHARACTERS_PER_TOKEN: Final = 16

_Key: TypeAlias = tuple[str, ...]


def build_context(results: Iterable[SearchResult], query: str, token_budget: int, count: TokenCounter) -> ContextBlock:
    """The best of `results`, one a line with its citation, in at most `token_budget` tokens.

    A memory that does not fit is passed over for the shorter ones behind it; of memories that say the
    same only the best is quoted. A memory that is longer than the whole budget is quoted by an excerpt around the
    words of `query`, which takes half of what is left of the budget, or all of it for the last one.

    Args:
        results: ranked, best first.
        query: what the excerpts are to answer.
        token_budget: most tokens of the whole text, counted by `count`.
    """
    ranked = list(results)
    lines: list[str] = []
    citations: list[Citation] = []
    quoted: set[_Key] = set()
    duplicates: set[str] = set()
    used = 0
    for index, result in enumerate(ranked):
        id, content = result.memory.id, " ".join(result.memory.content.split())
        left = token_budget - used
        if _cost(_line("", id), lines, count) > left:
            break
        key = _dedup_key(content)
        if key in quoted:
            duplicates.add(id)
            continue
        part, is_excerpt = content, False
        if not _fits(_line(content, id), lines, count, left):
            if _fits(_line(content, id), [], count, token_budget):
                continue
            shares = (left,) if index == len(ranked) - 1 else (left // 2, left)
            answer = next(
                filter(None, (_excerpt(content, query, id, lines, count, share, token_budget) for share in shares)),
                None,
            )
            if answer is None:
                continue
            part, is_excerpt = answer, True
        line = _line(part, id)
        quoted.add(key)
        used += _cost(line, lines, count)
        lines.append(line)
        citations.append(_citation(result, is_excerpt))
    # A counter may find more tokens in the whole than in its parts.
    while lines and count("\n".join(lines)) > token_budget:
        lines.pop()
        citations.pop()
    cited = {citation.memory_id for citation in citations}
    text = "\n".join(lines)
    return ContextBlock(
        text=text,
        citations=citations,
        token_count=count(text) if lines else 0,
        omitted=[
            OmittedMemory(memory_id=id, reason=_reason(id in duplicates))
            for id in (result.memory.id for result in ranked)
            if id not in cited
        ],
    )


def _citation(result: SearchResult, is_excerpt: bool) -> Citation:
    memory = result.memory
    return Citation(
        memory_id=memory.id,
        score=result.score,
        excerpt=is_excerpt,
        created_at=memory.created_at,
        app=None if memory.source is None else memory.source.app,
    )


def _reason(is_duplicate: bool) -> Literal["budget", "duplicate"]:
    return "duplicate" if is_duplicate else "budget"


def _excerpt(
    content: str, query: str, id: str, before: list[str], count: TokenCounter, share: int, token_budget: int
) -> str | None:
    """A part of a memory that makes a line of at most `share` tokens; None if no useful part does.

    It fills its share to the last token, so that the whole is counted too: a counter may find more in it.
    """

    def fits(part: str) -> bool:
        line = _line(part, id)
        return _fits(line, before, count, share) and (not before or count("\n".join([*before, line])) <= token_budget)

    return excerpt(content, query, fits) if fits(f"{MARK}{content[: SHORTEST_EXCERPT_CHARACTERS // 2]}{MARK}") else None


def _line(content: str, id: str) -> str:
    return f"- {content} [{id}]"


def _cost(line: str, before: list[str], count: TokenCounter) -> int:
    """The tokens of a line where it stands: tokenizers join the line break to the bracket before it."""
    return count(f"]\n{line}") - count("]") if before else count(line)


def _fits(line: str, before: list[str], count: TokenCounter, budget: int) -> bool:
    """Whether a line takes at most `budget` tokens; of one that is far too long only the beginning is counted."""
    head = line[: _CHARACTERS_PER_TOKEN * budget + _LONG_TEXT]
    return (head == line or _cost(head, before, count) <= budget) and _cost(line, before, count) <= budget


def _dedup_key(content: str) -> _Key:
    """The words that distinguish two memories, in order: without case, articles, "is" and punctuation."""
    if len(content) > _LONG_TEXT:
        return (content.casefold(),)
    words = [word.strip(_EDGES).removesuffix("'s").removesuffix("\u2019s") for word in content.casefold().split()]
    return tuple(word for word in words if word and word not in _STOP_WORDS) or tuple(words)
