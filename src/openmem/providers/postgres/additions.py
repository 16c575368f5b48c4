"""The calls of `add` that are under way in this process. Pure.

Memories that are added at once are stored in any order, since each has a connection of its own. Their ordinals say in
which order the calls began: that of a conversation, if its turns were added without awaiting each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
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
        latest: the ids of those of the user whose calls began last.
    """

    id: str
    earlier: Sequence[str] = ()
    latest: deque[str] = field(default_factory=deque)

    @property
    def later(self) -> list[str]:
        """The ids of the memories whose calls began after this one and may be stored already."""
        return [id for id in self.latest.copy() if id > self.id]


class _OfUser:
    """Of a user's memories the ids of those whose calls are under way, and of those whose calls began last."""

    __slots__ = ("latest", "under_way")

    def __init__(self) -> None:
        self.under_way: dict[str, None] = {}
        self.latest: deque[str] = deque(maxlen=MAX_OTHERS)


class Additions:
    """The calls under way, by user."""

    def __init__(self) -> None:
        self._by_user: dict[str, _OfUser] = {}

    @contextmanager
    def begin(self, user_id: str) -> Iterator[Addition]:
        """A call that adds a memory for a user, as long as it is under way."""
        own = self._by_user.get(user_id) or self._by_user.setdefault(user_id, _OfUser())
        id = new_memory_id(user_id)
        # Copied at once, since other threads begin and end calls meanwhile.
        earlier = list(own.under_way)[: -MAX_OTHERS - 1 : -1]
        addition = Addition(id, earlier, own.latest)
        own.under_way[id] = None
        own.latest.append(id)
        try:
            yield addition
        finally:
            del own.under_way[id]
            if not own.under_way:
                self._by_user.pop(user_id, None)
