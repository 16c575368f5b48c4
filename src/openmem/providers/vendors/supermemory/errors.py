"""The error that only Supermemory has."""

from __future__ import annotations

from ....errors import ProviderError


class BusyError(ProviderError):
    """The document is being processed and cannot be changed yet."""

    default_code = "provider_unavailable"
