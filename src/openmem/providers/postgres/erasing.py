"""How much is removed: batch by batch, in one transaction or in one each. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ...models import Erased, Purged
from ...operations import DeleteMany, ForgetUser, Purge
from ...ports.postgres import PostgresIO, Transaction
from ..base import Call
from .database import Database
from .deletions import BATCH_ROWS, Step

NUMBERS_OF_A_NODE: Final = 1 << 48
"""How many audit entries a node of a Citus cluster numbers before the next one's numbers begin."""

P = TypeVar("P")
R = TypeVar("R")


class Eraser:
    """Removes many rows of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._statements = db.sql.deletions

    async def delete_many(self, op: DeleteMany, call: Call) -> int:
        """Remove the selected memories in one transaction; how many they were."""
        selection = op.selection(call.grants)
        is_named = selection.ids is not None or selection.keys is not None

        async def work(transaction: Transaction) -> int:
            if is_named:
                deleted = 0
                for statement in self._statements.delete_named(selection):
                    deleted += await transaction.execute(statement)
            else:
                deleted = await _remove(transaction, self._statements.delete_selected(selection))
            if (entry := self._statements.log(op, call)) is not None:
                await transaction.execute(entry)
            return deleted

        return await self._in_transaction(work)

    async def forget(self, op: ForgetUser) -> Erased:
        """Remove all that is stored of a user, in one transaction."""

        async def work(transaction: Transaction) -> Erased:
            memories = await _remove(transaction, self._statements.forget_memories(op))
            await _remove(transaction, self._statements.forget_keys(op))
            entries = await _remove(transaction, self._statements.forget_audit_entries(op))
            return Erased(memories=memories, audit_entries=entries)

        return await self._in_transaction(work)

    async def purge(self, op: Purge, *, is_sharded: bool) -> Purged:
        """Remove what has expired or is older than asked, of all users, each batch in a transaction of its own.

        Args:
            is_sharded: whether the tables are divided over several nodes.
        """
        total = await self._db.run(self._statements.count_purged(op)) if op.progress is not None else 0
        memories = entries = 0

        def report() -> None:
            if op.progress is not None:
                op.progress(memories + entries, max(memories + entries, total))

        while deleted := await self._db.write(self._statements.purge_expired(is_sharded=is_sharded)):
            memories += deleted
            report()
        if op.ended_before is not None:
            ended, last_id = self._statements.purge_ended(op), None
            while (batch := await self._db.write(ended(last_id))).last is not None:
                last_id, memories = batch.last, memories + batch.rows
                report()
        if op.audit_before is not None:
            old, last_number = self._statements.purge_audit(op), None
            while (entry_batch := await self._db.write(old(last_number))).last is not None:
                last_number, entries = entry_batch.last, entries + entry_batch.rows
                if not entry_batch.rows:
                    # Entries are numbered about as they are written: behind a batch without old ones there are none but
                    # those that another node of a cluster has numbered.
                    last_number |= NUMBERS_OF_A_NODE - 1
                report()
        while await self._db.write(self._statements.purge_keys(is_sharded=is_sharded)) == BATCH_ROWS:
            pass
        return Purged(memories=memories, audit_entries=entries)

    async def _in_transaction(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        def transact(io: PostgresIO) -> Awaitable[R]:
            return io.transact(work)

        return await self._db.change(transact)


async def _remove(transaction: Transaction, step: Step[P]) -> int:
    """How many rows the batches remove until there are no more."""
    removed, last = 0, None
    while (batch := await transaction.execute(step(last))).last is not None:
        last, removed = batch.last, removed + batch.rows
    return removed
