"""All contracts in one class."""

from __future__ import annotations

from .contracts.add import AddContract
from .contracts.add_many import AddManyContract
from .contracts.arguments import ArgumentsContract
from .contracts.audit import AuditContract
from .contracts.by_id import DeleteContract, GetContract, UpdateContract
from .contracts.capabilities import CapabilitiesContract
from .contracts.context import ContextContract
from .contracts.deleting import DeleteManyContract, ForgetUserContract
from .contracts.expiry import ExpiryContract, UnindexedContract
from .contracts.grants import GrantsContract
from .contracts.idempotency import IdempotencyContract
from .contracts.ingest import WaitForIngestContract
from .contracts.keys import KeysContract, VersionsContract
from .contracts.life_cycle import LifeCycleContract
from .contracts.list import ListContract
from .contracts.metadata import MetadataContract
from .contracts.overview import CountContract, FacetsContract, HistoryContract, OwnersContract, UsersContract
from .contracts.restoring import AdministrationContract, PurgeContract, RestoreContract
from .contracts.search import SearchContract
from .contracts.selection import SelectionContract
from .contracts.selectors import SelectorsContract
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
    MetadataContract,
    SelectorsContract,
    KeysContract,
    VersionsContract,
    ExpiryContract,
    UnindexedContract,
    IdempotencyContract,
    DeleteManyContract,
    ForgetUserContract,
    CountContract,
    FacetsContract,
    HistoryContract,
    UsersContract,
    OwnersContract,
    RestoreContract,
    PurgeContract,
    AdministrationContract,
):
    """The contract of all verbs, in both modes; see `Contract` for what a subclass provides."""
