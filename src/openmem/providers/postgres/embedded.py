"""The embedded PostgreSQL server, shared by the processes of one user.

A directory, the *home*, holds one server::

    data/         PostgreSQL's data directory, with its socket
    log           what PostgreSQL said
    users.lock    locked by every process that uses the server, and shared between them
    keepers.lock  the same for those that share the server's process ids, as in one container
    mutex.lock    locked by the one process that is starting or stopping the server

The kernel drops a process's locks however the process ends, and knows them in every container. So the lock on
``users.lock`` is the truth about who uses the server: the process that leaves last finds nobody else there and stops
the server, and a process that was killed needs no cleaning up after. A file lock belongs to a whole process, so within
one a registry counts the clients. Whether a server runs, the lock among the data tells; see `ownership`.

The first client starts the server, in its own container. Clients in other containers reach it through its socket, which
is a file among the data. When the last client of that container leaves, the server is stopped, since the container may
end at any moment, and a client elsewhere starts it there.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import shlex
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import fasteners
import platformdirs
import psycopg

from ...errors import InvalidRequestError, ProviderError, unavailable
from .cluster import START_TIMEOUT, STOP_TIMEOUT, Cluster, is_root
from .ownership import DataLock, Owner, forget_all

ROOT_HOME: Final = Path("/var/lib/openmem/postgres")
SOCKET: Final = ".s.PGSQL.5432"
ORPHANS_TIMEOUT: Final = 1.0
CRASH_DELAY: Final = 0.2
MAX_PATH: Final = 900
SETTINGS: Final = "-c max_connections=100 -c shared_buffers=128MB"

# Of what fits a socket's address (103 bytes) and needs no quoting in a URL or a list of hosts.
_SOCKET_PATH = re.compile(r"/[ \w./+-]{1,85}", re.ASCII)

logger = logging.getLogger("openmem.local")


class SharedServer:
    """The server of one home, as this process uses it. `_transition` is held around every call."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._users = fasteners.InterProcessReaderWriterLock(home / "users.lock")
        self._keepers = fasteners.InterProcessReaderWriterLock(home / "keepers.lock")
        self._keeps = False
        self._leases: set[Lease] = set()
        self._doorway: Doorway | None = None

    def join(self, lease: Lease) -> str:
        """Count `lease` in, start the server unless it runs, and return its URL."""
        with self._alone():
            if not self._leases:
                self._users.acquire_read_lock()
            self._leases.add(lease)
            try:
                return self._running()
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
        kept = self._keeps
        self._users.release_read_lock()
        self._keep(keeps=False)
        try:
            # The server ends with its container, so the last client in there stops it in good order. Clients
            # elsewhere start it again.
            if _is_free(self._users) or (kept and _is_free(self._keepers)):
                self._stop()
        finally:
            if self._doorway is not None:
                self._doorway.close()
                self._doorway = None

    def _keep(self, *, keeps: bool) -> None:
        """Count this process in, or out, among those that share the server's process ids."""
        if keeps and not self._keeps:
            self._keepers.acquire_read_lock()
        elif self._keeps and not keeps:
            self._keepers.release_read_lock()
        self._keeps = keeps

    def _running(self) -> str:
        """The URL of the server, once it runs."""
        cluster = Cluster(self._home / "data")
        cluster.initialize()
        if self._doorway is None:
            self._doorway = Doorway(cluster.data)
        here = Owner.here(cluster.data)
        began = time.monotonic()
        while not self._is_ready(cluster, here):
            waited = time.monotonic() - began
            if waited > START_TIMEOUT:
                state = f"is still {cluster.status()}" if self._doorway.is_open() else "does not answer"
                raise unavailable(f"the server of {self._home} {state}; see {self._home / 'log'}, or end its processes")
            if waited > ORPHANS_TIMEOUT and not self._doorway.is_open():
                # What a crashed server left behind ends by itself, but for a query that runs for long.
                cluster.kill()
            time.sleep(0.02)
        self._keep(keeps=cluster.state() is not None)
        return self._doorway.url() if self._doorway.is_open() else cluster.url()

    def _is_ready(self, cluster: Cluster, here: Owner) -> bool:
        """Whether the server accepts connections. It is started if nobody holds the data.

        Raises:
            ProviderError: another machine holds the data, or may hold it; the server cannot be started.
        """
        assert self._doorway is not None
        lock = DataLock(cluster.data)
        with lock.attempt() as is_free:
            owner = lock.owner()
            if not is_free:
                if owner is not None and not owner.is_on(here) and not here.is_alone():
                    raise unavailable(
                        f"the server of {self._home} runs on the machine {owner.host!r}: end the programs there, or "
                        "let them all use one server with provider='postgres'"
                    )
                return cluster.status() == "ready" and self._doorway.is_open()
            if cluster.status() is not None:
                if cluster.state() is not None or self._doorway.is_open():
                    return cluster.status() == "ready"
                if os.name != "nt":
                    self._check_abandoned(cluster, owner, here)
            try:
                cluster.clean_up()
                lock.sign(here)
                cluster.start(f"{self._listening(cluster)} {SETTINGS}", lock.descriptors)
            finally:
                lock.hand_on()
        return True

    def _check_abandoned(self, cluster: Cluster, owner: Owner | None, here: Owner) -> None:
        """Raise `ProviderError` if a server may still run that was not shut down, holds no lock and cannot be seen."""
        is_over = here.is_alone() if owner is None else owner.has_ended(here)
        if not is_over:
            host = "another machine" if owner is None else f"the machine {owner.host!r}"
            raise ProviderError(
                f"path: the server of {self._home} was not shut down on {host}, and it cannot be seen from here "
                f"whether it still runs. Make sure that it does not, delete {cluster.data / 'postmaster.pid'}, and try "
                "again; to use memories on several machines at once, use provider='postgres'"
            )
        if owner is None and self._is_used_elsewhere():
            raise unavailable(
                f"programs with an older openmem use {self._home}, perhaps in another container: "
                "end them, and try again"
            )

    def _is_used_elsewhere(self) -> bool:
        """Whether another process uses the server."""
        self._users.release_read_lock()
        try:
            return not _is_free(self._users)
        finally:
            self._users.acquire_read_lock()

    def _stop(self) -> None:
        if not (self._home / "data").exists():
            return
        cluster = Cluster(self._home / "data")
        lock = DataLock(cluster.data)
        if cluster.state() is not None:
            try:
                cluster.stop()
            except ProviderError as error:
                logger.warning("%s; stopping it without a checkpoint", error.message)
                cluster.stop("immediate")
        elif self._doorway is not None and self._doorway.is_open():
            _stop_from_within(self._doorway.url())
        deadline = time.monotonic() + STOP_TIMEOUT
        closed_until = time.monotonic() + CRASH_DELAY
        while time.monotonic() < deadline:
            with lock.attempt() as is_free:
                if is_free and cluster.status() is None:
                    lock.sign(None)
                    return
            if self._doorway is not None and self._doorway.is_open():
                # A server of an older openmem holds no lock; while its socket answers, it is still stopping.
                closed_until = time.monotonic() + CRASH_DELAY
            elif is_free and time.monotonic() > closed_until:
                return
            time.sleep(0.005)
        logger.warning("the server of %s could not be stopped and runs on", self._home)

    def _listening(self, cluster: Cluster) -> str:
        """The options that say where the server listens: on a socket that only its user can reach."""
        if os.name == "nt":
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                return f"-h 127.0.0.1 -p {probe.getsockname()[1]}"
        # The shorter name fits any path; the longer one is also understood by versions that knew no other.
        directory = str(cluster.data) if _SOCKET_PATH.fullmatch(str(cluster.data)) else "."
        return f"-c listen_addresses= -k {shlex.quote(directory)} -p 5432"

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


class Doorway:
    """The way to the server's socket, which is among the data.

    The path of a socket may have 103 bytes, and what stands in a URL must not look like a list of hosts. Where the name
    of the data directory does not suit, the directory gets a second, short one, which is this process's alone.
    """

    def __init__(self, data: Path) -> None:
        self._directory = data
        self._file: int | None = None
        self._alias: Path | None = None
        if os.name == "nt" or _SOCKET_PATH.fullmatch(str(data)):
            return
        if os.path.isdir("/proc/self/fd"):
            self._file = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._directory = Path(f"/proc/self/fd/{self._file}")
        else:
            self._alias = Path(tempfile.mkdtemp(prefix="openmem-"))
            self._directory = self._alias / "data"
            self._directory.symlink_to(data, target_is_directory=True)

    def url(self) -> str:
        """The URL of the database ``postgres`` there."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._directory))}&port=5432"

    def is_open(self) -> bool:
        """Whether a server listens there. Those of a crashed one do not."""
        if os.name == "nt":
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self._directory / SOCKET))
            except (BlockingIOError, TimeoutError):
                return True
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Give the second name up."""
        if self._file is not None:
            os.close(self._file)
        if self._alias is not None:
            shutil.rmtree(self._alias, ignore_errors=True)
        self._file = self._alias = None


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
            if len(os.fsencode(home)) > MAX_PATH:
                raise InvalidRequestError(f"path: it is longer than {MAX_PATH} bytes, which PostgreSQL cannot handle")
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
    try:
        home = platformdirs.user_data_path("openmem") / "postgres"
    except RuntimeError:
        home = Path("~")
    if not home.is_absolute():
        raise InvalidRequestError("path: this user has no home directory: pass path= a directory, or set HOME")
    if is_root() and home.is_relative_to(os.path.expanduser("~root")):
        return ROOT_HOME
    return home


def _is_free(lock: fasteners.InterProcessReaderWriterLock) -> bool:
    """Whether no process has a lock that this one does not have either. `SharedServer._alone` keeps it so."""
    try:
        free: bool = lock.acquire_write_lock(blocking=False)
        return free
    finally:
        lock.release_write_lock()


def _stop_from_within(url: str) -> None:
    """Stop a server whose processes this one does not see: it is asked to send the signal itself."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=STOP_TIMEOUT) as connection:
            connection.execute("COPY (SELECT) TO PROGRAM 'read -r number < postmaster.pid && kill -INT $number'")
    except psycopg.Error as error:
        # The server ends this connection and the program, too.
        logger.debug("stopping a server from within: %s", error)


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
    forget_all()


atexit.register(_leave_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
