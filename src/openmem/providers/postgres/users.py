"""What finds the users that have memories. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ...models import UserPage, UserSummary
from ...operations import Users
from ...ports.postgres import Row, Statement
from .sql import Catalog


class UserList:
    """The statement of `users`."""

    def __init__(self, catalog: Catalog) -> None:
        self._users = catalog.query("users")
        self._users_of_shards = catalog.query("users_of_shards")

    def page(self, op: Users, *, is_sharded: bool = False) -> Statement[UserPage]:
        """One page, in the order of ids, from the user in the cursor on.

        Args:
            is_sharded: whether the tables are divided over several nodes.
        """

        def decode(rows: Sequence[Row]) -> UserPage:
            items = [
                UserSummary(user_id=user_id, count=count, newest=newest) for user_id, count, newest in rows[: op.limit]
            ]
            more = len(rows) > op.limit
            return UserPage(items=items, next_cursor=op.cursor_after(items[-1].user_id) if more else None)

        values = {"after": op.after, "prefix": op.prefix, "limit": op.limit + 1}
        return (self._users_of_shards if is_sharded else self._users).bind(values, decode)
