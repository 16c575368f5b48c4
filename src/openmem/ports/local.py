"""An embedded PostgreSQL server as the logic sees it."""

from __future__ import annotations

from typing import Protocol


class LocalServer(Protocol):
    """One client's use of the PostgreSQL server of a directory, which all processes of a user share."""

    async def start(self) -> str:
        """Start the server unless it runs, and return its URL. May be called again, which restarts one that is gone.

        Raises:
            InvalidRequestError: the directory cannot be made or written to.
            ProviderError: PostgreSQL cannot be started, or the use has ended.
        """
        ...

    async def release(self) -> None:
        """End the use. The server stops after the last one. Idempotent."""
        ...
