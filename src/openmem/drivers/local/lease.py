"""Who in this process uses which embedded server, and where the data of a user lies."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from pathlib import Path
from typing import Final

import platformdirs

from ...errors import InvalidRequestError, ProviderError, unavailable
from .ownership import forget_all
from .root import is_root
from .server import SharedServer

DATA_ROOT_OF_ROOT: Final = Path("/var/lib/openmem/postgres")
MAX_PATH_BYTES: Final = 900

logger = logging.getLogger("openmem.local")


class ServerLease:
    """One client's use of the server in a directory.

    Args:
        path: the data root; None for `default_data_root`.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._server: SharedServer | None = None
        self._released = False

    def acquire(self) -> str:
        """Start the server or attach to it, and return its URL. May be called again to restart it.

        Raises:
            InvalidRequestError: the directory cannot be made or written to.
            ProviderError: PostgreSQL cannot be started, or the lease was released.
        """
        with _transition:
            if self._released:
                raise unavailable("the client was closed")
            root = Path(os.path.realpath(self._path)) if self._path is not None else default_data_root()
            if len(os.fsencode(root)) > MAX_PATH_BYTES:
                raise InvalidRequestError(
                    f"path: it is longer than {MAX_PATH_BYTES} bytes, which PostgreSQL cannot handle"
                )
            try:
                root.mkdir(mode=0o711 if is_root() else 0o700, parents=True, exist_ok=True)
                self._server = _servers.setdefault(root, SharedServer(root))
                return self._server.acquire(self)
            except OSError as error:
                raise InvalidRequestError(
                    f"path: {root} cannot hold the database ({error.strerror}): "
                    "pass path= a directory that this user may write to"
                ) from error

    def release(self) -> None:
        """End the use, now or as soon as a running `acquire` is done. Idempotent."""
        with _transition:
            self._released = True
            if self._server is not None:
                self._server.release(self)


_servers: dict[Path, SharedServer] = {}
_transition = threading.Lock()


def default_data_root() -> Path:
    """The directory ``openmem/postgres`` in the user's data directory.

    Root's own directory is closed to other accounts and stays so; the server, which cannot run as
    root, has its data in `DATA_ROOT_OF_ROOT` instead.
    """
    try:
        root = platformdirs.user_data_path("openmem") / "postgres"
    except RuntimeError:
        root = Path("~")
    if not root.is_absolute():
        raise InvalidRequestError("path: this user has no home directory: pass path= a directory, or set HOME")
    if is_root() and root.is_relative_to(os.path.expanduser("~root")):
        return DATA_ROOT_OF_ROOT
    return root


def _release_all() -> None:
    with _transition:
        for server in _servers.values():
            try:
                server.abandon()
            except ProviderError as error:
                logger.warning("%s", error.message)


def _forget_all() -> None:
    """In a forked child: the parent's locks and clients are not its own."""
    global _transition
    _transition = threading.Lock()
    _servers.clear()
    forget_all()


atexit.register(_release_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
