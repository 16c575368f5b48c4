"""The table of routes: one row per verb of the protocol."""

from __future__ import annotations

from typing import Any, Final

from ..models import AuditEntry, ContextBlock, MemoryPage, MemoryRecord, SearchResult
from ..operations import Add, AddMany, Audit, Context, Delete, Get, List, Search, Update
from .replies import Many, NoContent, One
from .route import Route

ADD: Final = Route(Add, "POST", "/memories", "body", One(MemoryRecord), status=201, extra="extensions")
ADD_MANY: Final = Route(
    AddMany, "POST", "/memories/batch", "body", Many(MemoryRecord, "memories"), status=201, items={"records": ADD}
)
LIST: Final = Route(List, "GET", "/memories", "query", One(MemoryPage))
SEARCH: Final = Route(Search, "GET", "/memories/search", "query", Many(SearchResult, "results"), names={"query": "q"})
GET: Final = Route(Get, "GET", "/memories/{id}", "query", One(MemoryRecord))
UPDATE: Final = Route(Update, "PATCH", "/memories/{id}", "body", One(MemoryRecord), null_clears=True)
DELETE: Final = Route(Delete, "DELETE", "/memories/{id}", "query", NoContent(), status=204)
CONTEXT: Final = Route(Context, "POST", "/context", "body", One(ContextBlock))
AUDIT: Final = Route(Audit, "GET", "/audit", "query", Many(AuditEntry, "entries"))

ROUTES: Final[tuple[Route[Any], ...]] = (ADD, ADD_MANY, LIST, SEARCH, GET, UPDATE, DELETE, CONTEXT, AUDIT)
"""All routes; a fixed path comes before a parameter that it would match."""
