"""API keys: who may use the server, as which application, for which users and scopes.

A key is ``omk_<id>_<secret>``. The id is no secret and finds the entry in the file; the file has the
SHA-256 of the whole key and nothing it could be made from. A fast hash is right here: the secret is
256 random bits, which nobody guesses at any speed, while a slow hash, meant for passwords, would let
anyone keep the server busy with wrong keys.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import fasteners
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from .._forking import PerProcess
from ..access import UNRESTRICTED, Grants
from ..errors import InvalidRequestError
from .errors import KeyRefusedError

PREFIX: Final = "omk"
ENVIRONMENT_ID: Final = "environment"

# A file lock belongs to the whole process.
_between_threads = PerProcess(threading.Lock)

logger = logging.getLogger("openmem.server")


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a request comes from.

    Attributes:
        id: the key's id, or None for a server without keys.
        app: the application the key was made for.
        users: the users it may act for; None for any.
        grants: the scopes it may touch.
    """

    id: str | None = None
    app: str | None = None
    users: frozenset[str] | None = None
    grants: Grants = UNRESTRICTED


ANYONE: Final = Principal()


@dataclass(frozen=True, slots=True, repr=False)
class PresentedKey:
    """A key that somebody has shown, as far as it may be kept: it cannot be made from this.

    Attributes:
        id: its id; empty if it has none.
        sha256: the hash of the whole key.
    """

    id: str
    sha256: str

    @classmethod
    def of(cls, key: str) -> Self:
        """What may be kept of a key.

        Raises:
            KeyRefusedError: no key is written like this.
        """
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise KeyRefusedError("the API key has white space around it, or characters no key has")
        prefix, _, rest = key.partition("_")
        return cls(rest.partition("_")[0] if prefix == PREFIX else "", _digest(key))


class StoredKey(BaseModel):
    """A key as the file holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    sha256: str
    app: str
    users: tuple[str, ...] | None = None
    grants: tuple[str, ...] | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None

    def is_expired(self) -> bool:
        """Whether the key's time is over."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class KeysDocument(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    keys: tuple[StoredKey, ...] = ()


class KeysFile:
    """A file of keys. Changes are made one at a time, and appear completely or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> KeysDocument:
        """The keys.

        Raises:
            InvalidRequestError: the file cannot be read, or is not a file of keys.
        """
        try:
            return KeysDocument.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            raise InvalidRequestError(
                f"keys file {self.path} does not exist; make a key with 'omp-server keys create'"
            ) from None
        except OSError as error:
            raise InvalidRequestError(f"keys file {self.path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
            raise InvalidRequestError(
                f"keys file {self.path} is not a file of keys (at {field or 'its start'})"
            ) from None

    def create(
        self,
        *,
        app: str,
        users: Iterable[str] | None = None,
        grants: Iterable[str] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Add a key and return it. It cannot be shown again.

        Raises:
            InvalidRequestError: a grant is malformed, a name is empty, or the file is unusable.
        """
        users = None if users is None else tuple(users)
        grants = None if grants is None else tuple(grants)
        Grants.parse(grants)
        if any(not name.strip() for name in (app, *(users or ()))):
            raise InvalidRequestError("app, user: a name is empty")
        key_id = secrets.token_hex(6)
        key = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        entry = StoredKey(
            id=key_id,
            sha256=_digest(key),
            app=app,
            users=users,
            grants=grants,
            created_at=datetime.now(UTC).replace(microsecond=0),
            expires_at=expires_at,
        )
        self._change(lambda keys: (*keys, entry), create=True)
        return key

    def revoke(self, key_id: str) -> None:
        """Remove a key, given by its id.

        Raises:
            InvalidRequestError: there is no such key, or the file is unusable.
        """

        def without(keys: tuple[StoredKey, ...]) -> tuple[StoredKey, ...]:
            left = tuple(key for key in keys if key.id != key_id)
            if len(left) == len(keys):
                raise InvalidRequestError(f"keys file {self.path} has no key with the id {key_id!r}")
            return left

        self._change(without)

    def _change(
        self, change: Callable[[tuple[StoredKey, ...]], tuple[StoredKey, ...]], *, create: bool = False
    ) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _between_threads.get(), fasteners.InterProcessLock(self.path.with_name(self.path.name + ".lock")):
                document = KeysDocument() if create and not self.path.exists() else self.read()
                self._write(document.model_copy(update={"keys": change(document.keys)}))
        except OSError as error:
            raise InvalidRequestError(f"keys file {self.path} cannot be written: {error.strerror}") from error

    def _write(self, document: KeysDocument) -> None:
        # mkstemp makes the file for its owner only.
        descriptor, name = tempfile.mkstemp(prefix=self.path.name, dir=self.path.parent)
        new = Path(name)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(document.model_dump_json(indent=2, exclude_none=True) + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


class KeyRing:
    """The keys a server accepts.

    Args:
        file: keys made by ``omp-server keys``, read again when the file changes.
        keys: further keys in clear; they may do everything.
    """

    def __init__(self, file: Path | None, keys: Sequence[str]) -> None:
        self._file = None if file is None else KeysFile(file)
        self._unrestricted = tuple(_digest(key) for key in keys)
        self._stamp: tuple[int, ...] | None = None
        self._stored: Mapping[str, tuple[StoredKey, Principal]] = {}
        self._is_unread = False
        self.is_open = self._file is None and not self._unrestricted
        if self._file is not None:
            # Stamped first: a change while it is read, such as a revocation, is then read again.
            self._stamp = self._stamp_now()
            self._stored = _by_id(self._file.read())

    def principal(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """Whom these request headers identify.

        Raises:
            KeyRefusedError: a key is needed, and there is none or not a good one.
        """
        return ANYONE if self.is_open else self.holder(PresentedKey.of(_presented(headers)))

    def holder(self, key: PresentedKey) -> Principal:
        """Whom a key identifies, now.

        Raises:
            KeyRefusedError: the key is not known, not known any more, or expired.
        """
        digest = key.sha256
        # Every comparison is made, and each takes the same time, whatever the key has in common with a good one.
        matches = [hmac.compare_digest(digest, good) for good in self._unrestricted]
        stored, principal = self._current().get(key.id, (None, ANYONE))
        if any(matches):
            return Principal(id=f"{ENVIRONMENT_ID}-{matches.index(True)}")
        if stored is None or not hmac.compare_digest(digest, stored.sha256):
            raise KeyRefusedError("the API key is not known to this server")
        if stored.is_expired():
            raise KeyRefusedError("the API key is expired; ask for a new one")
        return principal

    def check_unchanged(self, principal: Principal) -> None:
        """Refuse to go on with work that somebody began whose key has ended since, or has other users or grants now.

        Raises:
            KeyRefusedError: that is so.
        """
        if principal.id is None or principal.id.startswith(f"{ENVIRONMENT_ID}-"):
            return
        stored, current = self._current().get(principal.id, (None, ANYONE))
        if stored is None:
            raise KeyRefusedError(f"the API key {principal.id}, which began this, has been revoked")
        if stored.is_expired():
            raise KeyRefusedError(f"the API key {principal.id}, which began this, is expired")
        if current != principal:
            raise KeyRefusedError(f"the API key {principal.id}, which began this, has other users or grants now")

    def _current(self) -> Mapping[str, tuple[StoredKey, Principal]]:
        stamp = self._stamp_now()
        if self._file is not None and (stamp != self._stamp or self._is_unread):
            was_told = self._is_unread and stamp == self._stamp
            self._stamp = stamp
            try:
                self._stored = _by_id(self._file.read())
                self._is_unread = False
            except InvalidRequestError as error:
                self._stored = {}
                self._is_unread = True
                if not was_told:
                    logger.error("no key of the file is accepted until it can be read: %s", error.message)
        return self._stored

    def _stamp_now(self) -> tuple[int, ...]:
        if self._file is None:
            return ()
        try:
            status = self._file.path.stat()
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _by_id(document: KeysDocument) -> Mapping[str, tuple[StoredKey, Principal]]:
    return {
        key.id: (
            key,
            Principal(
                id=key.id,
                app=key.app,
                users=None if key.users is None else frozenset(key.users),
                grants=Grants.parse(key.grants),
            ),
        )
        for key in document.keys
    }


def _presented(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The one key in ``Authorization: Bearer`` and ``X-API-Key``."""
    found: set[str] = set()
    for name, value in headers:
        text = value.decode("latin-1")
        if name == b"x-api-key":
            found.add(text)
        elif name == b"authorization":
            scheme, _, credentials = text.partition(" ")
            if scheme.lower() != "bearer":
                raise KeyRefusedError("Authorization: the scheme is not 'Bearer'")
            found.add(credentials)
    if not found:
        raise KeyRefusedError("an API key is needed: send 'Authorization: Bearer <key>' or 'X-API-Key: <key>'")
    if len(found) > 1:
        raise KeyRefusedError("there are two different API keys in the request")
    return found.pop()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
