"""The verbs as values: one class per verb, with its parameters and their rules.

An operation is made at an edge (a facade, an HTTP route), is valid once it exists, and travels
unchanged to the provider. Making an invalid one raises `InvalidRequestError` naming the field.
"""

from __future__ import annotations

from .batch import add_many_of, read_records
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
from .verbs import (
    VERBS,
    Add,
    AddMany,
    Audit,
    Context,
    ContextSearch,
    Delete,
    Get,
    List,
    Operation,
    Reembed,
    Reindex,
    ScopedQuery,
    Search,
    Update,
    Verbs,
    WaitForIngest,
)

__all__ = [
    "MAX_TOKEN_BUDGET",
    "UNSET",
    "VERBS",
    "Add",
    "AddMany",
    "Audit",
    "Context",
    "ContextSearch",
    "Delete",
    "Get",
    "InRecord",
    "List",
    "MemoryInput",
    "Name",
    "Operation",
    "Progress",
    "Reembed",
    "Reindex",
    "ScopedQuery",
    "Search",
    "Unset",
    "Update",
    "Verbs",
    "WaitForIngest",
    "add_many_of",
    "check_json",
    "read_records",
]
