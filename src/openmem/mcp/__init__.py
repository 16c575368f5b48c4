"""Memory for hosts of the Model Context Protocol, over stdio and HTTP. Needs the extra ``openmem[mcp]``.

`openmem.mcp.server` makes a server of the tools, resources and prompts, given who the caller is. ``openmem mcp`` runs
it over standard input and output (`openmem.mcp.stdio`), and ``omp-server --mcp`` at the path ``/mcp``.
"""

from __future__ import annotations

from .._extras import require_extra

__all__ = ["require_mcp_extra"]


def require_mcp_extra(purpose: str) -> None:
    """Raise `ImportError` with the install command unless the SDK of the protocol is installed."""
    require_extra(purpose, "mcp", ("mcp",))
