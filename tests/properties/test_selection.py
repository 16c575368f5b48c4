"""What the database selects is what the rules of scopes and pages say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openmem import Memory
from openmem._scopes import ScopeFilter

from .strategies import new_user, patterns, scopes


@given(
    stored=st.lists(st.none() | scopes, max_size=8),
    pattern=patterns,
    granted=st.none() | st.lists(patterns, min_size=1, max_size=3),
)
def test_scopes_are_matched_as_the_filter_matches(
    memory: Memory, url: str, stored: list[str | None], pattern: str, granted: list[str] | None
) -> None:
    user = new_user()
    for number, scope in enumerate(stored):
        memory.add(content=f"tea {number}", user_id=user, scope=scope)
    exact, subtree = ScopeFilter.of([pattern]), ScopeFilter.of([pattern], subtree=True)

    def sorted_scopes(found: list[str | None]) -> list[str]:
        return sorted(map(str, found))

    listed = [item.scope for item in memory.list(user, scope=pattern).items]
    assert sorted_scopes(listed) == sorted_scopes([scope for scope in stored if exact.matches(scope)])
    hits = [hit.memory.scope for hit in memory.search("tea", user, scope=pattern)]
    assert sorted_scopes(hits) == sorted_scopes(listed)
    of = {item.id: item.scope for item in memory.list(user).items}
    block = memory.context("tea", user, scope=pattern, token_budget=10_000)
    cited = [of[citation.memory_id] for citation in block.citations]
    assert sorted_scopes(cited) == sorted_scopes([scope for scope in stored if subtree.matches(scope)])
    if granted is not None:
        with Memory(url=url, embedder="hashing", grants=[f"read:{scope}" for scope in granted]) as limited:
            seen = [item.scope for item in limited.list(user).items]
        allowed = stored if "*" in granted else list(filter(ScopeFilter.of(granted).matches, stored))
        assert sorted_scopes(seen) == sorted_scopes(allowed)


@given(
    size=st.integers(0, 12),
    limit=st.integers(1, 5),
    steps=st.lists(st.sampled_from(["add", "delete seen", "delete unseen", "update"]), max_size=6),
)
def test_a_walk_meets_every_memory_once(memory: Memory, size: int, limit: int, steps: list[str]) -> None:
    user = new_user()
    before = [memory.add(content=f"tea {number}", user_id=user).id for number in range(size)]
    seen: list[str] = []
    deleted: set[str] = set()
    cursor = None
    while True:
        page = memory.list(user, limit=limit, cursor=cursor)
        seen += [item.id for item in page.items]
        assert len(set(seen)) == len(seen)
        cursor = page.next_cursor
        if cursor is None:
            break
        step = steps.pop() if steps else None
        unseen = [id for id in before if id not in seen and id not in deleted]
        alive = [id for id in seen if id not in deleted]
        if step == "add":
            memory.add(content="new", user_id=user)
        elif step == "delete seen" and alive:
            memory.delete(alive[-1])
            deleted.add(alive[-1])
        elif step == "delete unseen" and unseen:
            memory.delete(unseen[-1])
            deleted.add(unseen[-1])
        elif step == "update" and alive:
            memory.update(alive[0], content="changed")
    assert set(before) - deleted <= set(seen) <= set(before)
    assert seen == sorted(seen, key=before.index, reverse=True)
