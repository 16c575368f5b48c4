"""What a port raises besides `openmem.ProviderError` itself, for the logic that asks again."""

from __future__ import annotations

from ..errors import ConflictError, ProviderError


class ConnectionFailedError(ProviderError):
    """The connection could not be made, or broke before a reply; another try may succeed.

    Attributes:
        nothing_done: whether it is certain that nothing was done of what was asked, so that it can be asked again.
    """

    default_code = "provider_unavailable"
    nothing_done = False


class DeadlockError(ProviderError):
    """Two transactions waited for each other, and the server gave this one up. Another try may succeed."""

    default_code = "provider_unavailable"


class ReadOnlyDatabaseError(ProviderError):
    """The database takes no changes, for the time being or for good. Nothing was changed."""

    default_code = "provider_unavailable"


class DuplicateKeyError(ConflictError):
    """A unique index has an entry for a row that was to be stored. Nothing was changed."""
