"""What a snapshot of the store is asked: verbs that read, as statements of one transaction. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...models import AuditEntries, MemoryPage, UserPage
from ...operations import Audit, List, Users
from ...operations.vectors import StoredVector, StoredVectors
from ...ports.postgres import Transaction
from ..base import Call
from .statements import Statements


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store at one moment.

    Attributes:
        sql: the statements, which leave no audit entries.
        transaction: one that sees what is stored at one moment.
        is_sharded: whether the tables are divided over several nodes.
    """

    sql: Statements
    transaction: Transaction
    is_sharded: bool

    async def list(self, op: List, call: Call) -> MemoryPage:
        return await self.transaction.execute(self.sql.reads.list(op, call))

    async def users(self, op: Users, call: Call) -> UserPage:
        return await self.transaction.execute(self.sql.users.page(op, is_sharded=self.is_sharded))

    async def audit(self, op: Audit, call: Call) -> AuditEntries:
        return await self.transaction.execute(self.sql.audit_log.audit(op, call))

    async def stored_vectors(self, op: StoredVectors, call: Call) -> Mapping[str, StoredVector]:
        return await self.transaction.execute(self.sql.batches.stored_vectors(op))
