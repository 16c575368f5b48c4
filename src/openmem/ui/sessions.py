"""Who has signed in: random tokens in cookies, and for each the key it stands for.

A session ends when nobody has used it for half an hour, when its owner signs out, with the process, and when its key
ends: the key is looked up anew for every request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..server.errors import KeyRefusedError
from ..server.keys import KeyRing, PresentedKey, Principal

IDLE_SECONDS: Final = 30 * 60.0
MAX_SESSIONS: Final = 10_000
MAX_SESSIONS_OF_KEY: Final = 100
"""So that nobody ends the sessions of others by signing in again and again."""
TOKEN_BYTES: Final = 32


@dataclass(slots=True)
class _Session:
    key: PresentedKey
    seen_at: float


class Sessions:
    """The sessions of one server.

    Args:
        keys: the keys that sign in.
        clock: seconds on a clock that never goes back.
        idle_seconds: a session ends when nobody has used it for so long.
        ticket: signs in once, as with `ticket_key`; None for none.
        ticket_key: a key.
    """

    def __init__(
        self,
        keys: KeyRing,
        clock: Callable[[], float] = time.monotonic,
        *,
        idle_seconds: float = IDLE_SECONDS,
        ticket: str | None = None,
        ticket_key: str = "",
    ) -> None:
        self._keys = keys
        self._idle_seconds = idle_seconds
        self._ticket = None if ticket is None else _hash(ticket)
        self._ticket_key = ticket_key
        self._clock = clock
        # By hashes, so that what is kept is of no use to whoever sees it. Those used longest ago come first.
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def start(self, key: str) -> str:
        """Sign in with a key; the token of the new session.

        Raises:
            KeyRefusedError: the key is not good.
        """
        presented = PresentedKey.of(key)
        self._keys.holder(presented)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions[_hash(token)] = _Session(presented, self._clock())
        of_key = [name for name, session in self._sessions.items() if session.key == presented]
        if len(of_key) > MAX_SESSIONS_OF_KEY:
            del self._sessions[of_key[0]]
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def redeem(self, ticket: str) -> str:
        """Sign in with the ticket, which then is of no use any more; the token of the new session.

        Raises:
            KeyRefusedError: it is not the ticket, or has been used.
        """
        if self._ticket is None or not hmac.compare_digest(self._ticket, _hash(ticket)):
            raise KeyRefusedError("this address does not open the memory browser, or has opened it already")
        self._ticket = None
        return self.start(self._ticket_key)

    def principal(self, token: str | None) -> Principal:
        """Whom a token stands for.

        Raises:
            KeyRefusedError: there is no such session any more, or its key is not good any more.
        """
        name = _hash(token or "")
        session = self._sessions.get(name)
        if session is None or self._clock() - session.seen_at > self._idle_seconds:
            self._sessions.pop(name, None)
            raise KeyRefusedError("sign in to go on")
        try:
            principal = self._keys.holder(session.key)
        except KeyRefusedError:
            del self._sessions[name]
            raise
        session.seen_at = self._clock()
        self._sessions.move_to_end(name)
        return principal

    def end(self, token: str | None) -> None:
        """Sign out."""
        self._sessions.pop(_hash(token or ""), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
