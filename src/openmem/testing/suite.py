"""All contracts in one class."""

from __future__ import annotations

from .contracts.add import AddContract
from .contracts.add_many import AddManyContract
from .contracts.arguments import ArgumentsContract
from .contracts.audit import AuditContract
from .contracts.by_id import DeleteContract, GetContract, UpdateContract
from .contracts.capabilities import CapabilitiesContract
from .contracts.context import ContextContract
from .contracts.grants import GrantsContract
from .contracts.ingest import WaitForIngestContract
from .contracts.life_cycle import LifeCycleContract
from .contracts.list import ListContract
from .contracts.search import SearchContract
from .contracts.selection import SelectionContract
from .contracts.supersession import SupersessionContract
from .contracts.text import TextContract


class ConformanceSuite(
    CapabilitiesContract,
    ArgumentsContract,
    AddContract,
    AddManyContract,
    GetContract,
    UpdateContract,
    DeleteContract,
    ListContract,
    SearchContract,
    ContextContract,
    SelectionContract,
    AuditContract,
    WaitForIngestContract,
    SupersessionContract,
    GrantsContract,
    TextContract,
    LifeCycleContract,
):
    """The contract of all verbs, in both modes; see `Contract` for what a subclass provides."""
