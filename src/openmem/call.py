"""Who performs an operation, and on whose behalf."""

from __future__ import annotations

from dataclasses import dataclass

from .access import UNRESTRICTED, Grants


@dataclass(frozen=True, slots=True)
class Call:
    """Who performs an operation, and on whose behalf.

    Attributes:
        request_id: unique per call; in the audit log and on errors.
        app: name of the calling application.
        grants: the scopes the caller may touch.
        users: the users the caller may act for; None for any. Memories of others do not exist for it.
        idempotency_key: an `add` with a key that its user has used before stores nothing and returns
            the memory of that time. Only for providers that say they remember keys.
        deadline: when all requests on its behalf must be done, on the clock of the ports; None for no such moment.
    """

    request_id: str
    app: str | None = None
    grants: Grants = UNRESTRICTED
    users: frozenset[str] | None = None
    idempotency_key: str | None = None
    deadline: float | None = None

    def may_act_for(self, user_id: str) -> bool:
        """Whether this user's memories exist for the caller."""
        return self.users is None or user_id in self.users
