"""From ranked memories to a block of cited text within a token budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .models import Citation, ContextBlock, SearchResult
from .tokens import TokenCounter

# Neither "?" nor what numbers and names such as "-5", "C++" or "C#" may have at their ends.
_EDGES: Final = ".,;:!\"'()[]\u2018\u2019\u201c\u201d\u2026"
_SILENT: Final = frozenset(("a", "an", "the", "is", "are"))


def build_context(results: Iterable[SearchResult], token_budget: int, count: TokenCounter) -> ContextBlock:
    """The best of `results`, one a line with its citation, in at most `token_budget` tokens.

    A memory that does not fit is passed over for the shorter ones behind it; of memories that say the
    same only the best is quoted.

    Args:
        results: ranked, best first.
        token_budget: most tokens of the whole text, counted by `count`.
    """
    lines: list[str] = []
    citations: list[Citation] = []
    quoted: set[tuple[str, ...]] = set()
    used = 0
    for result in results:
        id, content = result.memory.id, " ".join(result.memory.content.split())
        if used + _cost(_line("", id), lines, count) > token_budget:
            break
        said = _said(content)
        if said in quoted:
            continue
        line = _line(content, id)
        cost = _cost(line, lines, count)
        if used + cost > token_budget:
            continue
        quoted.add(said)
        lines.append(line)
        citations.append(Citation(memory_id=id, score=result.score))
        used += cost
    # A counter may find more tokens in the whole than in its parts.
    while lines and count("\n".join(lines)) > token_budget:
        lines.pop()
        citations.pop()
    text = "\n".join(lines)
    return ContextBlock(text=text, citations=citations, token_count=count(text) if lines else 0)


def _line(content: str, id: str) -> str:
    return f"- {content} [{id}]"


def _cost(line: str, before: list[str], count: TokenCounter) -> int:
    """The tokens of a line where it stands: tokenizers join the line break to the bracket before it."""
    return count(f"]\n{line}") - count("]") if before else count(line)


def _said(content: str) -> tuple[str, ...]:
    """The words that tell two memories apart, in order: without case, articles, "is" and punctuation."""
    words = [word.strip(_EDGES).removesuffix("'s").removesuffix("\u2019s") for word in content.casefold().split()]
    return tuple(word for word in words if word and word not in _SILENT) or tuple(words)
