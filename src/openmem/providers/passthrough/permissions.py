"""The users and grants of a client, of which its server knows nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from ..._scopes import ScopeFilter
from ...errors import NotFoundError, OMPError, ScopeDeniedError, UnsupportedCapabilityError
from ...models import MemoryRecord
from ...operations import Add, Delete, Get, Operation, ScopedQuery, Update
from ...operations.fields import MAX_SCOPES
from ...wire import routes
from ..base import Call, no_such_memory
from .exchange import Exchange

Q = TypeVar("Q", bound=ScopedQuery[Any])


class Permissions:
    """What a caller may do with memories that only the server knows."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def check_stored(self, op: Add | Update | Delete, ids: Iterable[str], call: Call) -> None:
        """Hold a write against the caller's users and grants.

        Raises:
            NotFoundError: a memory is not there, or of another user.
            ScopeDeniedError: it is outside of the grants.
        """
        names_user = not isinstance(op, Add) and op.user_id is not None and call.users == frozenset({op.user_id})
        server_checks = call.users is None or (names_user and self._exchange.knows_more)
        if server_checks and call.grants.of(op.access) is None:
            return
        for id in ids:
            require_access(await self._exchange.perform(routes.GET, Get(id=id), call), op, call)

    def looking_up(self, call: Call, *, after_write: bool = False) -> Callable[[str], Awaitable[MemoryRecord | None]]:
        """The memory with an id, as far as the server shows it.

        Args:
            after_write: the call has done its work, and does not fail any more.
        """

        async def look_up(id: str) -> MemoryRecord | None:
            try:
                return await self._exchange.perform(routes.GET, Get(id=id), call)
            except (NotFoundError, ScopeDeniedError):
                return None
            except OMPError:
                if after_write:
                    return None
                raise

        return look_up

    def granted(self, op: ScopedQuery, call: Call) -> ScopeFilter | None:
        """What a query that names no scope is limited to; None where nothing limits it, or it names one."""
        return call.grants.of(op.access) if op.scope is None else None

    def narrowed(self, op: Q, call: Call) -> Q | None:
        """The query for what the grants allow, in one request; None if the server takes no such query."""
        scopes = op.scope_filter(call.grants)
        patterns = () if scopes is None else scopes.patterns
        if not patterns or patterns == op.scopes:
            return op
        if len(patterns) > 1 and not (self._exchange.features.filters and len(patterns) <= MAX_SCOPES):
            return None
        given = {name: getattr(op, name) for name in op.model_fields_set - {"everything"}}
        return type(op)(**given | {"scope": patterns[0] if len(patterns) == 1 else patterns})

    def require_narrowed(self, op: Q, call: Call) -> Q:
        """The same.

        Raises:
            UnsupportedCapabilityError: the server takes no such query.
        """
        narrowed = self.narrowed(op, call)
        if narrowed is None:
            raise UnsupportedCapabilityError(
                "scope: the server cannot be asked for all the scopes of the grants at once; ask for one at a time"
            )
        return narrowed


def require_access(record: MemoryRecord, op: Operation, call: Call) -> None:
    """Refuse what the caller may not touch.

    Raises:
        NotFoundError: the memory is of a user who does not exist for the caller.
        ScopeDeniedError: its scope is outside of the grants.
    """
    if not call.may_act_for(record.user_id):
        raise no_such_memory(record.id)
    call.grants.require(op.access, record.scope)
