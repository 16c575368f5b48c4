"""The calls of `add` that are under way in this process. Pure.

Memories that are added at once are stored in any order, since each has a connection of its own. Their ordinals say in
which order the calls began: that of a conversation, if its turns were added without awaiting each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from ..._ids import new_memory_id

MAX_OTHERS: Final = 64
"""How many calls before and after a call are known to it at most. Few of them overtake one another."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A call of `add`.

    Attributes:
        id: of the new memory.
        earlier: the ids of the memories whose calls began before this one and may not be stored yet.
        later: the ids of those whose calls began after this one and may be stored already.
    """

    id: str
    earlier: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)


class Additions:
    """The calls under way, by user."""

    def __init__(self) -> None:
        self._by_user: dict[str, dict[str, Addition]] = {}

    @contextmanager
    def begin(self, user_id: str) -> Iterator[Addition]:
        """A call that adds a memory for a user, as long as it is under way."""
        others = self._by_user.setdefault(user_id, {})
        id = new_memory_id(user_id)
        under_way = list(others.values())
        for other in under_way:
            if len(other.later) < MAX_OTHERS:
                other.later.append(id)
        addition = others[id] = Addition(id, [other.id for other in under_way[-MAX_OTHERS:]])
        try:
            yield addition
        finally:
            del others[id]
            if not others:
                self._by_user.pop(user_id, None)
