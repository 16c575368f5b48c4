"""The table of routes: one row per verb of the protocol."""

from __future__ import annotations

from typing import Any, Final

from ..models import (
    ContextBlock,
    Erased,
    Facet,
    MemoryPage,
    MemoryRecord,
    Purged,
    SearchResult,
    UserPage,
)
from ..operations import (
    CHANGEABLE,
    Add,
    AddMany,
    Audit,
    Context,
    Count,
    Delete,
    DeleteMany,
    Facets,
    ForgetUser,
    Get,
    GetByKey,
    History,
    List,
    Purge,
    Put,
    Restore,
    RestoredMemory,
    Search,
    Update,
    Users,
)
from ..operations.batch import SET_BY_BACKEND
from .replies import AllRestored, EntriesOfLog, Many, NoContent, Number, One
from .route import Route

ADD: Final = Route(Add, "POST", "/memories", "body", One(MemoryRecord), status=201, extra="extensions")
ADD_MANY: Final = Route(
    AddMany, "POST", "/memories/batch", "body", Many(MemoryRecord, "memories"), status=201, items={"records": ADD}
)
LIST: Final = Route(List, "GET", "/memories", "query", One(MemoryPage))
SEARCH: Final = Route(Search, "GET", "/memories/search", "query", Many(SearchResult, "results"), names={"query": "q"})
SEARCH_BY_BODY: Final = Route(
    Search, "POST", "/memories/search", "body", Many(SearchResult, "results"), name="search_by_body"
)
GET: Final = Route(Get, "GET", "/memories/{id}", "query", One(MemoryRecord))
UPDATE: Final = Route(Update, "PATCH", "/memories/{id}", "body", One(MemoryRecord), null_clears=CHANGEABLE)
DELETE: Final = Route(Delete, "DELETE", "/memories/{id}", "query", NoContent(), status=204)
CONTEXT: Final = Route(Context, "POST", "/context", "body", One(ContextBlock))
AUDIT: Final = Route(Audit, "GET", "/audit", "query", EntriesOfLog())

PUT: Final = Route(Put, "PUT", "/memories/by-key", "body", One(MemoryRecord), extra="extensions")
GET_BY_KEY: Final = Route(GetByKey, "GET", "/memories/by-key", "query", One(MemoryRecord))
DELETE_MANY: Final = Route(DeleteMany, "POST", "/memories/delete", "body", Number("deleted"))
COUNT: Final = Route(Count, "GET", "/memories/count", "query", Number("count"))
FACETS: Final = Route(Facets, "GET", "/memories/facets", "query", Many(Facet, "facets"))
HISTORY: Final = Route(History, "GET", "/memories/{id}/history", "query", Many(MemoryRecord, "memories"))
USERS: Final = Route(Users, "GET", "/users", "query", One(UserPage))
FORGET_USER: Final = Route(ForgetUser, "DELETE", "/users/{user_id}", "query", One(Erased))
RESTORED: Final = Route(
    RestoredMemory,
    "POST",
    "/memories/restore",
    "body",
    One(MemoryRecord),
    extra="extensions",
    ignored=SET_BY_BACKEND,
)
RESTORE: Final = Route(Restore, "POST", "/memories/restore", "body", AllRestored(), items={"records": RESTORED})
PURGE: Final = Route(Purge, "POST", "/purge", "body", One(Purged))

ROUTES: Final[tuple[Route[Any], ...]] = (
    ADD,
    ADD_MANY,
    LIST,
    SEARCH,
    SEARCH_BY_BODY,
    PUT,
    GET_BY_KEY,
    DELETE_MANY,
    COUNT,
    FACETS,
    RESTORE,
    HISTORY,
    GET,
    UPDATE,
    DELETE,
    CONTEXT,
    AUDIT,
    USERS,
    FORGET_USER,
    PURGE,
)
"""All routes; a fixed path comes before a parameter that it would match."""
