"""The embedded PostgreSQL server, shared by the processes of one user.

A directory, the *home*, holds one server::

    data/       PostgreSQL's data directory
    log         what PostgreSQL said
    users.lock  locked by every process that uses the server, and shared between them
    mutex.lock  locked by the one process that is starting or stopping the server

The kernel drops a process's locks however the process ends. So the lock on ``users.lock`` is the
truth about who uses the server: the process that leaves last finds nobody else there and stops the
server, and a process that was killed needs no cleaning up after. A file lock belongs to a whole
process, so within one a registry counts the clients.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import re
import shlex
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import fasteners
import platformdirs

from ...errors import InvalidRequestError, ProviderError, unavailable
from .cluster import START_TIMEOUT, Cluster, is_root

ROOT_HOME: Final = Path("/var/lib/openmem/postgres")
SETTINGS: Final = "-c max_connections=100 -c shared_buffers=128MB"

# Of what fits a socket's address (103 bytes) and needs no quoting in a URL or a list of hosts.
_SOCKET_PATH = re.compile(r"/[ \w./+-]{1,85}", re.ASCII)

logger = logging.getLogger("openmem.local")


class SharedServer:
    """The server of one home, as this process uses it. `_transition` is held around every call."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._users = fasteners.InterProcessReaderWriterLock(home / "users.lock")
        self._leases: set[Lease] = set()

    def join(self, lease: Lease) -> str:
        """Count `lease` in, start the server unless it runs, and return its URL."""
        with self._alone():
            if not self._leases:
                self._users.acquire_read_lock()
            self._leases.add(lease)
            try:
                return self._running().url()
            except BaseException:
                self._leave(lease)
                raise

    def leave(self, lease: Lease) -> None:
        """Count `lease` out, and stop the server if nobody in any process uses it."""
        if lease in self._leases:
            with self._alone():
                self._leave(lease)

    def abandon(self) -> None:
        """Count everybody out."""
        for lease in tuple(self._leases):
            self.leave(lease)

    def _leave(self, lease: Lease) -> None:
        self._leases.discard(lease)
        if self._leases:
            return
        self._users.release_read_lock()
        try:
            if self._users.acquire_write_lock(blocking=False):
                self._stop()
        finally:
            self._users.release_write_lock()

    def _running(self) -> Cluster:
        cluster = Cluster(self._home / "data")
        cluster.initialize()
        deadline = time.monotonic() + START_TIMEOUT
        while (state := cluster.state()) not in (None, "ready"):
            if time.monotonic() > deadline:
                raise unavailable(f"the server in {self._home} is still {state}; see {self._home / 'log'}")
            time.sleep(0.02)
        if state is None:
            cluster.start(f"{self._listening(cluster)} {SETTINGS}")
        return cluster

    def _stop(self) -> None:
        cluster = Cluster(self._home / "data")
        if cluster.state() is None:
            return
        try:
            cluster.stop()
        except ProviderError as error:
            logger.warning("%s; stopping it without a checkpoint", error.message)
            cluster.stop("immediate")
        with suppress(OSError):
            _spare_socket_directory(cluster).rmdir()

    def _listening(self, cluster: Cluster) -> str:
        """The options that say where the server listens: on a socket that only its user can reach."""
        if os.name == "nt":
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                return f"-h 127.0.0.1 -p {probe.getsockname()[1]}"
        directory = cluster.data
        if not _SOCKET_PATH.fullmatch(str(directory)):
            directory = _spare_socket_directory(cluster)
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
                cluster.hand_over(directory)
            status = directory.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != cluster.data.stat().st_uid:
                raise ProviderError(f"{directory} belongs to somebody else: remove it, or choose another path")
        # A crash leaves it behind, and PostgreSQL believes it if any process has the number in it.
        (directory / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        return f"-c listen_addresses= -k {shlex.quote(str(directory))} -p 5432"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from starting or stopping the server meanwhile."""
        mutex = fasteners.InterProcessLock(self._home / "mutex.lock")
        try:
            acquired = mutex.acquire(timeout=2 * START_TIMEOUT)
        except threading.ThreadError as error:
            raise ProviderError(f"path: files in {self._home} cannot be locked ({error}); use a local disk") from error
        if not acquired:
            raise unavailable(f"another process has been starting or stopping the server in {self._home} for too long")
        try:
            yield
        finally:
            mutex.release()


class Lease:
    """One client's use of the server in a directory.

    Args:
        path: the home; None for `default_home`.
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
            home = Path(os.path.realpath(self._path)) if self._path is not None else default_home()
            try:
                home.mkdir(mode=0o711 if is_root() else 0o700, parents=True, exist_ok=True)
                self._server = _servers.setdefault(home, SharedServer(home))
                return self._server.join(self)
            except OSError as error:
                raise InvalidRequestError(
                    f"path: {home} cannot hold the database ({error.strerror}): "
                    "pass path= a directory that this user may write to"
                ) from error

    def release(self) -> None:
        """End the use, now or as soon as a running `acquire` is done. Idempotent."""
        with _transition:
            self._released = True
            if self._server is not None:
                self._server.leave(self)


_servers: dict[Path, SharedServer] = {}
_transition = threading.Lock()


def default_home() -> Path:
    """The directory ``openmem/postgres`` in the user's data directory.

    Root's own directory is closed to other accounts and stays so; the server, which cannot run as
    root, has its data in `ROOT_HOME` instead.
    """
    home = platformdirs.user_data_path("openmem") / "postgres"
    if is_root() and home.is_relative_to(os.path.expanduser("~root")):
        return ROOT_HOME
    return home


def _spare_socket_directory(cluster: Cluster) -> Path:
    """Where the socket goes if the data directory's name does not suit: a short name of its own."""
    identity = f"{cluster.data.stat().st_ino}:{cluster.data}"
    return Path("/tmp", f"openmem-{hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]}")


def _leave_all() -> None:
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


atexit.register(_leave_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
