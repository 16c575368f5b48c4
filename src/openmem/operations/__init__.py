"""The verbs as values: one class per verb, with its parameters and their rules.

An operation is made at an edge (a facade, an HTTP route), is valid once it exists, and travels
unchanged to the provider. Making an invalid one raises `InvalidRequestError` naming the field.
"""

from __future__ import annotations

from .batch import add_many_of, read_records, restore_of
from .fields import (
    MAX_TOKEN_BUDGET,
    UNSET,
    MemoryInput,
    Name,
    Progress,
    Unset,
    check_json,
)
from .messages import InRecord
from .operation import AdministrativeOperation, Operation, ScopedQuery
from .reads import (
    Audit,
    Context,
    ContextSearch,
    Count,
    Facets,
    Get,
    GetByKey,
    History,
    List,
    Search,
    Users,
    WaitForIngest,
)
from .upkeep import ForgetUser, Purge, Reembed, Reindex
from .verbs import VERBS, Verbs
from .writes import CHANGEABLE, Add, AddMany, Delete, DeleteMany, Put, Restore, RestoredMemory, Update

__all__ = [
    "CHANGEABLE",
    "MAX_TOKEN_BUDGET",
    "UNSET",
    "VERBS",
    "Add",
    "AddMany",
    "AdministrativeOperation",
    "Audit",
    "Context",
    "ContextSearch",
    "Count",
    "Delete",
    "DeleteMany",
    "Facets",
    "ForgetUser",
    "Get",
    "GetByKey",
    "History",
    "InRecord",
    "List",
    "MemoryInput",
    "Name",
    "Operation",
    "Progress",
    "Purge",
    "Put",
    "Reembed",
    "Reindex",
    "Restore",
    "RestoredMemory",
    "ScopedQuery",
    "Search",
    "Unset",
    "Update",
    "Users",
    "Verbs",
    "WaitForIngest",
    "add_many_of",
    "check_json",
    "read_records",
    "restore_of",
]
