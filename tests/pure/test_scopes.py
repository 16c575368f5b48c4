"""Scope paths and patterns, the filters made of them, and grants."""

from __future__ import annotations

import pytest

from openmem._scopes import ScopeFilter, check_path, check_pattern
from openmem.access import UNRESTRICTED, Access, Grants
from openmem.errors import InvalidRequestError, ScopeDeniedError

MALFORMED = ("", " ", "/", "a/", "/a", "a//b", "a/ /b", "x" * 513)


@pytest.mark.parametrize("path", ["a", "a/b", "a b/c", "%/_", "\\", "ä/ß", "x" * 512])
def test_paths(path: str) -> None:
    assert check_path(path) == path
    assert check_pattern(path) == path


@pytest.mark.parametrize("pattern", ["*", "a/*", "a/b/*"])
def test_patterns(pattern: str) -> None:
    assert check_pattern(pattern) == pattern
    with pytest.raises(ValueError, match=r"has a '\*'"):
        check_path(pattern)


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_paths(text: str) -> None:
    with pytest.raises(ValueError, match=r"is longer|is not a path"):
        check_path(text)
    with pytest.raises(ValueError, match=r"is longer|is not a path"):
        check_pattern(text)


@pytest.mark.parametrize("pattern", ["a*", "*/a", "a/*/b", "**", "a**", "/**", "a/**/b", "/*", "*/*"])
def test_malformed_patterns(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"has a|is not a path"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("patterns", "subtree", "matched", "unmatched"),
    [
        (["a"], False, ["a"], ["a/b", "ab", "A", None]),
        (["a"], True, ["a", "a/b", "a/b/c"], ["ab", "b/a", None]),
        (["a/*"], False, ["a/b", "a/b/c"], ["a", "ab", "b/a/c", None]),
        (["*"], False, ["a", "a/b"], [None]),
        (["a", "b/*"], False, ["a", "b/c"], ["a/c", "b"]),
        (["a_b/%"], True, ["a_b/%", "a_b/%/x"], ["aXb/%", "a_b/x"]),
        ([], False, [], ["a", "", None]),
    ],
)
def test_filters(patterns: list[str], subtree: bool, matched: list[str], unmatched: list[str | None]) -> None:
    selected = ScopeFilter.of(patterns, subtree=subtree)
    assert [scope for scope in matched if not selected.matches(scope)] == []
    assert [scope for scope in unmatched if selected.matches(scope)] == []


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (["*"], ["a", "a/*", "*"], True),
        (["a/*"], ["a/b", "a/b/*", "a/*"], True),
        (["a/*"], ["a"], False),
        (["a/*"], ["*"], False),
        (["a"], ["a/*"], False),
        (["a", "b/*"], ["a", "b/c"], True),
        (["a", "b/*"], ["a", "c"], False),
        ([], ["a"], False),
        (["a"], [], True),
    ],
)
def test_covering(wide: list[str], narrow: list[str], covers: bool) -> None:
    assert ScopeFilter.of(wide).covers(ScopeFilter.of(narrow)) is covers


def test_no_grants_argument_means_no_limit() -> None:
    assert Grants.parse(None) == UNRESTRICTED
    for access in ("read", "write", "delete"):
        UNRESTRICTED.require(access, None)
        assert UNRESTRICTED.narrow(access, None) is None


@pytest.mark.parametrize(
    "grants", [["read"], ["fly:a"], ["read:"], ["read:a*"], ["READ:a"], [5], [None], [""], "read:a"]
)
def test_malformed_grants(grants: list[str]) -> None:
    with pytest.raises(InvalidRequestError, match="grants"):
        Grants.parse(grants)


@pytest.mark.parametrize(
    ("access", "scope", "allowed"),
    [
        ("read", "a/b", True),
        ("read", "a", False),
        ("read", None, False),
        ("write", "a", True),
        ("write", "a/b", False),
        ("delete", "a", True),
        ("delete", None, True),
    ],
)
def test_requiring(access: Access, scope: str | None, allowed: bool) -> None:
    grants = Grants.parse(["read:a/*", "write:a", "delete:*"])
    if allowed:
        grants.require(access, scope)
    else:
        with pytest.raises(ScopeDeniedError) as denial:
            grants.require(access, scope)
        assert f"{access}:{scope or '*'}" in denial.value.message


def test_narrowing() -> None:
    grants = Grants.parse(["read:a/*", "read:b"])
    assert grants.narrow("read", None) == ScopeFilter(paths=("b",), prefixes=("a/",))
    assert grants.narrow("read", ["a/b"]) == ScopeFilter(paths=("a/b",))
    assert grants.narrow("read", ["a/b"], subtree=True) == ScopeFilter(paths=("a/b",), prefixes=("a/b/",))
    for beyond in ("*", "a", "c", "b/*"):
        with pytest.raises(ScopeDeniedError, match="read:"):
            grants.narrow("read", [beyond])
    with pytest.raises(ScopeDeniedError):
        grants.narrow("read", ["b"], subtree=True)
    with pytest.raises(ScopeDeniedError):
        grants.narrow("write", None)
