"""Scopes as a tree, with how many memories are in each and below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MAX_DEPTH: Final = 12
"""Levels of the tree; what is deeper stands by the rest of its path."""


@dataclass(slots=True)
class Node:
    """A scope.

    Attributes:
        name: the last part of its path.
        path: its path.
        count: memories in it and below it.
        children: the scopes one below, in the order of their names.
    """

    name: str
    path: str
    count: int = 0
    children: list[Node] = field(default_factory=list)

    @property
    def pattern(self) -> str:
        """The scope pattern of it and all below it."""
        return f"{self.path}/**" if self.children else self.path


def scope_tree(counts: Iterable[tuple[str, int]]) -> list[Node]:
    """The scopes that have no other one above them.

    Args:
        counts: paths of scopes, and how many memories each has by itself.
    """
    top: list[Node] = []
    by_path: dict[str, Node] = {}
    for scope, count in sorted(counts, key=lambda pair: pair[0].split("/")):
        siblings, path = top, ""
        for name in scope.split("/", MAX_DEPTH - 1):
            path = f"{path}/{name}" if path else name
            node = by_path.get(path)
            if node is None:
                node = by_path[path] = Node(name, path)
                siblings.append(node)
            node.count += count
            siblings = node.children
    return top
