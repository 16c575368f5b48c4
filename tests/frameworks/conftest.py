"""Fixtures of the tests that need more of a framework than the other tests have installed."""

from __future__ import annotations

from ..integrations.conftest import clients, settings, user

__all__ = ["clients", "settings", "user"]
