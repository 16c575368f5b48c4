"""Which statement a search needs, and what is remembered of users for that. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ....analysis import QueryWord, SpelledWord
from ....models import SearchResults
from ....operations import Context, Search
from ...base import Call
from ..database import Database

MAX_LARGE_USERS: Final = 10_000
"""How many large users are remembered. Then all are forgotten, and the next search of each finds out anew."""


class LargeUsers:
    """The users of one database with too many memories for ``search_exact``, by schema and id."""

    def __init__(self) -> None:
        self._users: set[tuple[str, str]] = set()

    def __contains__(self, user: tuple[str, str]) -> bool:
        return user in self._users

    def add(self, user: tuple[str, str]) -> None:
        """Remember a user."""
        if len(self._users) >= MAX_LARGE_USERS:
            self._users.clear()
        self._users.add(user)


class Retriever:
    """Finds the best memories for a query in a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def search(
        self,
        op: Search | Context,
        call: Call,
        words: Sequence[QueryWord],
        model: str,
        vector: Sequence[float],
        limit: int,
        spelled: Sequence[SpelledWord] | None = None,
    ) -> SearchResults:
        """Up to `limit` of the user's memories, the best first.

        A search of a large user takes one statement more the first time. Instances that share connections share what
        is remembered, and it is forgotten with what else is known of the database.

        Args:
            words: the query's.
            model: the name of the embedder's model. Vectors of others are not compared.
            vector: the query's.
            limit: from 1 to 100.
            spelled: how the query spells its words, to explain the scores; None not to.
        """
        asked = (op, call, words, model, vector, limit, spelled)
        large_users = self._db.io.cache.of(LargeUsers)
        user = (self._db.sql.catalog.schema, op.user_id)
        if user not in large_users:
            results = await self._db.read(
                lambda sql: sql.searches.exact(op, call, words, model, vector, limit, spelled)
            )
            if results is not None:
                return results
            large_users.add(user)
        return await self._db.read(lambda sql: sql.searches.indexed(*asked))
