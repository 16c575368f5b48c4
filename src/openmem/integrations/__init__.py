"""openmem in the frameworks that agents are built with: one module for each, imported only by those who use it.

`MemoryClients` is what they share, and serves any program that is called on several event loops.
"""

from __future__ import annotations

from .clients import AnyClient, MemoryClients, Runner, runner_of

__all__ = ["AnyClient", "MemoryClients", "Runner", "runner_of"]
