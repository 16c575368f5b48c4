"""The passthrough provider: a remote OMP server that looks like a local backend."""

from __future__ import annotations

from .provider import PassthroughProvider

__all__ = ["PassthroughProvider"]
