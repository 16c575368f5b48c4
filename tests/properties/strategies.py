"""Values that the verbs accept."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import strategies as st

from openmem._scopes import check_path

ALPHABET = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
AWKWARD = st.text(alphabet=st.sampled_from("aAb%_\\/ '\"$1*;-é\u200b\u202e🙂\n\x01"))


def is_not_blank(text: str) -> bool:
    return bool(text.strip())


texts = (st.text(ALPHABET, min_size=1, max_size=300) | AWKWARD).filter(is_not_blank)
names = st.text(ALPHABET, min_size=1, max_size=40).filter(is_not_blank)
tags = st.lists(names, max_size=5)
segments = st.text(alphabet=st.sampled_from("abAB%_\\ .é"), min_size=1, max_size=3).filter(is_not_blank)
scopes = st.lists(segments, min_size=1, max_size=3).map("/".join).map(check_path)
patterns = scopes | scopes.map(lambda scope: f"{scope}/*") | st.just("*")
documents: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(ALPHABET, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(ALPHABET, max_size=8), inner, max_size=4),
    max_leaves=12,
)
confidences = st.floats(0, 1)


def new_user() -> str:
    """The id of a user without memories."""
    return f"user-{uuid.uuid4().hex}"
