"""What a target has already, kept on disk while a transfer runs, so that memory does not grow with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_SCHEMA = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE known_user (user_id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE known (
        user_id TEXT, key TEXT, id TEXT, memory TEXT, is_new INTEGER, is_seen INTEGER,
        PRIMARY KEY (user_id, key)
    ) WITHOUT ROWID;
"""


class Known(NamedTuple):
    """A memory of the target.

    Attributes:
        id: its id there.
        memory: what it holds, as the protocol has it.
        is_new: whether this transfer has stored it.
    """

    id: str
    memory: Mapping[str, Any]
    is_new: bool


class Knowledge:
    """The memories of users of a target, by their keys: import keys, or ids.

    It is a temporary database, which SQLite removes with the last use of it.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Remove it."""
        self._database.close()

    def has_user(self, user_id: str) -> bool:
        """Whether the memories of a user are known."""
        found = self._database.execute("SELECT 1 FROM known_user WHERE user_id = ?", (_text(user_id),))
        return found.fetchone() is not None

    def add_user(self, user_id: str) -> None:
        """Note that the memories of a user are known."""
        self._database.execute("INSERT OR IGNORE INTO known_user VALUES (?)", (_text(user_id),))

    def note(self, user_id: str, memories: Iterable[tuple[str, str, Mapping[str, Any]]], *, is_new: bool) -> None:
        """Note memories of a user.

        Args:
            memories: the key, the id and what it holds of each.
        """
        rows = [(_text(user_id), key, id, json.dumps(memory), is_new, is_new) for key, id, memory in memories]
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR IGNORE INTO known VALUES (?, ?, ?, ?, ?, ?)", rows)

    def find(self, user_id: str, key: str) -> Known | None:
        """A memory; None if the target does not have it."""
        found = self._database.execute(
            "SELECT id, memory, is_new FROM known WHERE user_id = ? AND key = ?", (_text(user_id), key)
        ).fetchone()
        return None if found is None else Known(found[0], json.loads(found[1]), bool(found[2]))

    def see(self, user_id: str, key: str) -> None:
        """Note that the source has a memory."""
        self._database.execute(
            "UPDATE known SET is_seen = 1 WHERE user_id = ? AND key = ? AND NOT is_seen", (_text(user_id), key)
        )

    def unseen(self) -> int:
        """How many memories of known users the source did not have."""
        count: int = self._database.execute("SELECT count(*) FROM known WHERE NOT is_seen").fetchone()[0]
        return count


def _text(user_id: str) -> str:
    """A user's id as SQLite keeps it: no text may end at a NUL or hold half of a surrogate."""
    return json.dumps(user_id)
