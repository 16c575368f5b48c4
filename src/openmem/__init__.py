"""One stable set of verbs over any AI-memory backend: the Open Memory Protocol for Python.

Names are resolved on first access, so that ``import openmem`` costs nothing and needs no extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .async_memory import AsyncMemory
    from .embedders import Embedder
    from .errors import (
        ConflictError,
        InvalidRequestError,
        NotFoundError,
        OMPError,
        ProviderError,
        RateLimitedError,
        ScopeDeniedError,
        UnauthorizedError,
        UnsupportedCapabilityError,
        UnsupportedProviderError,
    )
    from .explanations import ExplainedTerm, Explanation
    from .memory import Memory
    from .models import (
        AuditEntry,
        Capabilities,
        CapabilityFeatures,
        CapabilityLimits,
        Citation,
        ContextBlock,
        Erased,
        Facet,
        MemoryPage,
        MemoryRecord,
        MemorySource,
        OmittedMemory,
        Purged,
        SearchResult,
        UserPage,
        UserSummary,
    )
    from .operations import MemoryInput
    from .rerankers import Reranker

__version__ = "0.1.0"

_HOMES = {
    "AsyncMemory": "async_memory",
    "Memory": "memory",
    "ExplainedTerm": "explanations",
    "Explanation": "explanations",
    "Embedder": "embedders",
    "MemoryInput": "operations",
    "Reranker": "rerankers",
    **dict.fromkeys(
        (
            "ConflictError", "InvalidRequestError", "NotFoundError", "OMPError", "ProviderError",
            "RateLimitedError", "ScopeDeniedError", "UnauthorizedError", "UnsupportedCapabilityError",
            "UnsupportedProviderError",
        ),
        "errors",
    ),
    **dict.fromkeys(
        (
            "AuditEntry", "Capabilities", "CapabilityFeatures", "CapabilityLimits", "Citation",
            "ContextBlock", "Erased", "Facet", "MemoryPage", "MemoryRecord", "MemorySource", "OmittedMemory", "Purged",
            "SearchResult", "UserPage", "UserSummary",
        ),
        "models",
    ),
}  # fmt: skip

__all__ = [
    "AsyncMemory",
    "AuditEntry",
    "Capabilities",
    "CapabilityFeatures",
    "CapabilityLimits",
    "Citation",
    "ConflictError",
    "ContextBlock",
    "Embedder",
    "Erased",
    "ExplainedTerm",
    "Explanation",
    "Facet",
    "InvalidRequestError",
    "Memory",
    "MemoryInput",
    "MemoryPage",
    "MemoryRecord",
    "MemorySource",
    "NotFoundError",
    "OMPError",
    "OmittedMemory",
    "ProviderError",
    "Purged",
    "RateLimitedError",
    "Reranker",
    "ScopeDeniedError",
    "SearchResult",
    "UnauthorizedError",
    "UnsupportedCapabilityError",
    "UnsupportedProviderError",
    "UserPage",
    "UserSummary",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
