"""The vector store that mem0's engine keeps in this process."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


def new_store() -> QdrantClient:
    """An empty store in memory. Its package is imported here, since that takes seconds of every worker."""
    store: QdrantClient = importlib.import_module("qdrant_client").QdrantClient(":memory:")
    return store
