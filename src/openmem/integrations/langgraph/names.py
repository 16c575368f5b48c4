"""From namespaces and keys of LangGraph to scopes and keys of openmem, and back.

A namespace is a tuple of any labels, a scope a path of segments. Every namespace has one scope, and no two share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langgraph.store.base import MatchCondition, NamespacePath

from ..segments import decoded, encoded

Namespace = tuple[str, ...]


def scope_of(root: str, namespace: Sequence[str]) -> str:
    """The scope of a namespace below the scope of the store."""
    return "/".join((root, *map(encoded, namespace)))


def namespace_of(root: str, scope: str) -> Namespace:
    """The namespace whose scope this is."""
    return tuple(map(decoded, scope.split("/")[root.count("/") + 1 :]))


def plain_prefix(conditions: Iterable[MatchCondition]) -> Namespace:
    """The longest prefix that all namespaces have that meet the conditions."""
    longest: Namespace = ()
    for condition in conditions:
        if condition.match_type == "prefix":
            path = tuple(condition.path)
            known = path[: path.index("*")] if "*" in path else path
            longest = max(longest, known, key=len)
    return longest


def meets(namespace: Namespace, condition: MatchCondition) -> bool:
    """Whether a namespace meets a condition.

    Raises:
        ValueError: it is no condition that LangGraph has.
    """
    path: NamespacePath = tuple(condition.path)
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"match_type: {condition.match_type!r} is neither 'prefix' nor 'suffix'")
    if len(path) > len(namespace):
        return False
    start = 0 if condition.match_type == "prefix" else len(namespace) - len(path)
    labels = namespace[start : start + len(path)]
    return all(wanted in ("*", label) for wanted, label in zip(path, labels, strict=True))
