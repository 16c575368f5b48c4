"""Whatever the verbs accept comes back as it was, to its own user and to nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openmem import Memory

from .strategies import confidences, documents, names, new_user, scopes, tags, texts

bounds = datetime(1, 1, 2), datetime(9999, 12, 30)
moments = st.datetimes(*bounds) | st.datetimes(*bounds, timezones=st.timezones())


@given(
    content=texts,
    scope=st.none() | scopes,
    labels=st.none() | tags,
    confidence=st.none() | confidences,
    app=names,
    document=documents,
    valid_from=st.none() | moments,
)
def test_every_field_comes_back(
    memory: Memory,
    content: str,
    scope: str | None,
    labels: list[str] | None,
    confidence: float | None,
    app: str,
    document: Any,
    valid_from: datetime | None,
) -> None:
    user = new_user()
    extensions: dict[str, Any] = {"x-any": document}
    added = memory.add(
        content=content,
        user_id=user,
        scope=scope,
        tags=labels,
        source={"app": app},
        confidence=confidence,
        valid_from=valid_from,
        **extensions,
    )
    assert (added.content, added.user_id, added.scope, added.tags) == (content, user, scope, labels)
    assert added.confidence == confidence
    assert added.source is not None
    assert added.source.app == app
    assert added.extensions == extensions
    if valid_from is not None:
        assert added.valid_from == (valid_from if valid_from.tzinfo else valid_from.replace(tzinfo=UTC))
    assert memory.get(added.id) == added
    assert memory.list(user).items == [added]
    for label in labels or []:
        assert memory.list(user, tag=label).items == [added]


@given(content=texts, suffix=st.text(st.sampled_from("%_\\ a'\"\u200b"), min_size=1, max_size=4).filter(str.strip))
def test_nobody_else_sees_it(memory: Memory, content: str, suffix: str) -> None:
    user = new_user()
    other = user + suffix
    mine = memory.add(content=content, user_id=user, scope="a/b", tags=["t"])
    hers = memory.add(content=content, user_id=other, scope="a/b", tags=["t"])
    for owner, record in ((user, mine), (other, hers)):
        assert [item.id for item in memory.list(owner, scope="*", tag="t").items] == [record.id]
        assert {hit.memory.id for hit in memory.search(content, owner, scope="a/*")} <= {record.id}
        assert {citation.memory_id for citation in memory.context(content, owner).citations} <= {record.id}
        assert {entry.memory_id for entry in memory.audit(owner)} <= {record.id, None}


@given(query=texts, content=texts)
def test_scores_are_sound(memory: Memory, query: str, content: str) -> None:
    user = new_user()
    for text in (content, query, content):
        memory.add(content=text, user_id=user)
    scores = [hit.score for hit in memory.search(query, user)]
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert scores == sorted(scores, reverse=True)
