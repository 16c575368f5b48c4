"""Scope paths, the patterns that select them, and the filter a backend applies.

A scope is a slash-delimited path (``coding/preferences``). A pattern is a path, which matches
exactly; a path with a trailing ``/*``, which matches everything below it; a path with a trailing ``/**``, which matches
the path itself, too; or ``*`` alone, which matches every memory that has a scope.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_SCOPE_CHARACTERS = 512


def check_path(path: str) -> str:
    """`path` if it is a well-formed scope, else `ValueError`."""
    if len(path) > MAX_SCOPE_CHARACTERS:
        raise ValueError(f"is longer than {MAX_SCOPE_CHARACTERS} characters")
    if "*" in path:
        raise ValueError(
            f"{path!r} has a '*'; only queries and grants take one, alone or at the end, as in '*', 'coding/*' or "
            "'coding/**'"
        )
    if any(not segment.strip() for segment in path.split("/")):
        raise ValueError(f"{path!r} is not a path such as 'coding/preferences': a segment is empty")
    return path


def check_pattern(pattern: str) -> str:
    """`pattern` if it is a well-formed scope pattern, else `ValueError`."""
    if pattern != "*":
        path = pattern.removesuffix("/**") if pattern.endswith("/**") else pattern.removesuffix("/*")
        check_path(pattern if "*" in path else path)
    return pattern


@dataclass(frozen=True, slots=True)
class ScopeFilter:
    """A union of scopes: these paths exactly, and everything that begins with these prefixes.

    Prefixes end in a slash, but for the empty one, which takes in every scope.
    """

    paths: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[str], *, subtree: bool = False) -> ScopeFilter:
        """The filter for `patterns`; with `subtree` a plain path also takes in what is below it."""
        paths, prefixes = [], []
        for pattern in patterns:
            if pattern == "*":
                prefixes.append("")
            elif pattern.endswith("/**"):
                paths.append(pattern.removesuffix("/**"))
                prefixes.append(pattern.removesuffix("**"))
            elif pattern.endswith("/*"):
                prefixes.append(pattern[:-1])
            else:
                paths.append(pattern)
                if subtree:
                    prefixes.append(pattern + "/")
        return cls(tuple(paths), tuple(prefixes))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The filter as scope patterns."""
        return (*self.paths, *(prefix + "*" for prefix in self.prefixes))

    def matches(self, scope: str | None) -> bool:
        """Whether a memory with this scope is selected."""
        return scope is not None and (scope in self.paths or scope.startswith(self.prefixes))

    def covers(self, other: ScopeFilter) -> bool:
        """Whether everything `other` selects is selected by this filter as well."""
        return all(self.matches(path) for path in other.paths) and all(
            prefix.startswith(self.prefixes) for prefix in other.prefixes
        )
