"""All verbs, and the methods that an operation is applied to."""

from __future__ import annotations

from typing import Final, Protocol

from ..call import Call
from ..models import (
    AuditEntries,
    ContextBlock,
    Erased,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    Purged,
    RestoredMemories,
    SearchResults,
    UserPage,
)
from ..models import (
    Facets as FacetList,
)
from .operation import Operation
from .reads import Audit, Context, Count, Facets, Get, GetByKey, History, List, Search, Users, WaitForIngest
from .upkeep import ForgetUser, Purge, Reembed, Reindex
from .writes import Add, AddMany, Delete, DeleteMany, Put, Restore, Update


class Verbs(Protocol):
    """What an operation is applied to: one method per verb."""

    async def add(self, op: Add, call: Call) -> MemoryRecord: ...

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords: ...

    async def get(self, op: Get, call: Call) -> MemoryRecord: ...

    async def update(self, op: Update, call: Call) -> MemoryRecord: ...

    async def delete(self, op: Delete, call: Call) -> None: ...

    async def list(self, op: List, call: Call) -> MemoryPage: ...

    async def search(self, op: Search, call: Call) -> SearchResults: ...

    async def context(self, op: Context, call: Call) -> ContextBlock: ...

    async def audit(self, op: Audit, call: Call) -> AuditEntries: ...

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None: ...

    async def reembed(self, op: Reembed, call: Call) -> int: ...

    async def reindex(self, op: Reindex, call: Call) -> int: ...

    async def put(self, op: Put, call: Call) -> MemoryRecord: ...

    async def get_by_key(self, op: GetByKey, call: Call) -> MemoryRecord: ...

    async def delete_many(self, op: DeleteMany, call: Call) -> int: ...

    async def count(self, op: Count, call: Call) -> int: ...

    async def facets(self, op: Facets, call: Call) -> FacetList: ...

    async def history(self, op: History, call: Call) -> MemoryRecords: ...

    async def users(self, op: Users, call: Call) -> UserPage: ...

    async def forget_user(self, op: ForgetUser, call: Call) -> Erased: ...

    async def restore(self, op: Restore, call: Call) -> RestoredMemories: ...

    async def purge(self, op: Purge, call: Call) -> Purged: ...


VERBS: Final[tuple[type[Operation], ...]] = (
    Add,
    AddMany,
    Get,
    Update,
    Delete,
    List,
    Search,
    Context,
    Audit,
    WaitForIngest,
    Reembed,
    Reindex,
    Put,
    GetByKey,
    DeleteMany,
    Count,
    Facets,
    History,
    Users,
    ForgetUser,
    Restore,
    Purge,
)
