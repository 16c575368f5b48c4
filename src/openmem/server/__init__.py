"""omp-server: the Open Memory Protocol over HTTP. Needs the extra ``openmem[server]``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from .._extras import require_extra

if TYPE_CHECKING:
    from .app import create_app
    from .config import OmpServerConfig

__all__ = ["OmpServerConfig", "create_app"]

_HOMES: Final = {"OmpServerConfig": "config", "create_app": "app"}


def require_server_extra() -> None:
    """Raise `ImportError` with the install command unless what the server needs is installed."""
    require_extra("omp-server", "server", ("fastapi", "uvicorn", "fasteners", "asyncpg", "httpx"))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_server_extra()
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
