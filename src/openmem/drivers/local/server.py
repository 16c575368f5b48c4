"""The embedded PostgreSQL server, shared by the processes of one user.

A directory, the data root, holds one server::

    data/         PostgreSQL's data directory, with its socket
    log           what PostgreSQL said
    users.lock    locked by every process that uses the server, and shared between them
    keepers.lock  the same for those that share the server's process ids, as in one container
    mutex.lock    locked by the one process that is starting or stopping the server

The kernel drops a process's locks however the process ends, and knows them in every container. So the lock on
``users.lock`` is the truth about who uses the server: the process that leaves last finds nobody else there and stops
the server, and a process that was killed needs no cleaning up after. A file lock belongs to a whole process, so within
one a registry counts the clients. The lock in the data directory says whether a server runs; see `ownership`.

The first client starts the server, in its own container. Clients in other containers reach it through its socket, which
is a file among the data. When the last client of that container leaves, the server is stopped, since the container may
end at any moment, and a client elsewhere starts it there.
"""

from __future__ import annotations

import logging
import os
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import fasteners
import psycopg

from ...errors import ProviderError, unavailable
from .cluster import START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS, Cluster
from .ownership import DataLock, Owner
from .socket_path import SocketPath, fits_a_socket

ORPHANS_TIMEOUT_SECONDS: Final = 1.0
CRASH_DELAY_SECONDS: Final = 0.2
SETTINGS: Final = "-c max_connections=100 -c shared_buffers=128MB"

logger = logging.getLogger("openmem.local")


class SharedServer:
    """The server of one data root, as this process uses it. The caller makes one call at a time."""

    def __init__(self, data_root: Path) -> None:
        self._root = data_root
        self._users = fasteners.InterProcessReaderWriterLock(data_root / "users.lock")
        self._keepers = fasteners.InterProcessReaderWriterLock(data_root / "keepers.lock")
        self._keeps = False
        self._leases: set[object] = set()
        self._socket: SocketPath | None = None

    def acquire(self, lease: object) -> str:
        """Count `lease` in, start the server unless it runs, and return its URL."""
        with self._exclusive():
            if not self._leases:
                self._users.acquire_read_lock()
            self._leases.add(lease)
            try:
                return self._running()
            except BaseException:
                self._release(lease)
                raise

    def release(self, lease: object) -> None:
        """Count `lease` out, and stop the server if nobody in any process uses it."""
        if lease in self._leases:
            with self._exclusive():
                self._release(lease)

    def abandon(self) -> None:
        """Count everybody out."""
        for lease in tuple(self._leases):
            self.release(lease)

    def _release(self, lease: object) -> None:
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
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _keep(self, *, keeps: bool) -> None:
        """Count this process in, or out, among those that share the server's process ids."""
        if keeps and not self._keeps:
            self._keepers.acquire_read_lock()
        elif self._keeps and not keeps:
            self._keepers.release_read_lock()
        self._keeps = keeps

    def _running(self) -> str:
        """The URL of the server, once it runs."""
        cluster = Cluster(self._root / "data")
        cluster.initialize()
        if self._socket is None:
            self._socket = SocketPath(cluster.data)
        here = Owner.here(cluster.data)
        began = time.monotonic()
        while not self._is_ready(cluster, here):
            waited = time.monotonic() - began
            if waited > START_TIMEOUT_SECONDS:
                state = f"is still {cluster.status()}" if self._socket.is_open() else "does not answer"
                raise unavailable(f"the server of {self._root} {state}; see {self._root / 'log'}, or end its processes")
            if waited > ORPHANS_TIMEOUT_SECONDS and not self._socket.is_open():
                # What a crashed server left behind ends by itself, but for a query that runs for long.
                cluster.kill()
            time.sleep(0.02)
        self._keep(keeps=cluster.state() is not None)
        return self._socket.url() if self._socket.is_open() else cluster.url()

    def _is_ready(self, cluster: Cluster, here: Owner) -> bool:
        """Whether the server accepts connections. It is started if nobody holds the data.

        Raises:
            ProviderError: another machine holds the data, or may hold it; the server cannot be started.
        """
        assert self._socket is not None
        lock = DataLock(cluster.data)
        with lock.attempt() as is_free:
            owner = lock.owner()
            if not is_free:
                if owner is not None and not owner.is_on(here) and not here.is_alone():
                    raise unavailable(
                        f"the server of {self._root} runs on the machine {owner.host!r}: end the programs there, or "
                        "let them all use one server with provider='postgres'"
                    )
                return cluster.status() == "ready" and self._socket.is_open()
            if cluster.status() is not None:
                if cluster.state() is not None or self._socket.is_open():
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
                f"path: the server of {self._root} was not shut down on {host}, and it cannot be seen from here "
                f"whether it still runs. Make sure that it does not, delete {cluster.data / 'postmaster.pid'}, and try "
                "again; to use memories on several machines at once, use provider='postgres'"
            )
        if owner is None and self._is_used_elsewhere():
            raise unavailable(
                f"programs with an older openmem use {self._root}, perhaps in another container: "
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
        if not (self._root / "data").exists():
            return
        cluster = Cluster(self._root / "data")
        lock = DataLock(cluster.data)
        if cluster.state() is not None:
            try:
                cluster.stop()
            except ProviderError as error:
                logger.warning("%s; stopping it without a checkpoint", error.message)
                cluster.stop("immediate")
        elif self._socket is not None and self._socket.is_open():
            _stop_from_within(self._socket.url())
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        closed_until = time.monotonic() + CRASH_DELAY_SECONDS
        while time.monotonic() < deadline:
            with lock.attempt() as is_free:
                if is_free and cluster.status() is None:
                    lock.sign(None)
                    return
            if self._socket is not None and self._socket.is_open():
                # A server of an older openmem holds no lock; while its socket answers, it is still stopping.
                closed_until = time.monotonic() + CRASH_DELAY_SECONDS
            elif is_free and time.monotonic() > closed_until:
                return
            time.sleep(0.005)
        logger.warning("the server of %s could not be stopped and runs on", self._root)

    def _listening(self, cluster: Cluster) -> str:
        """The options that say where the server listens: on a socket that only its user can reach."""
        if os.name == "nt":
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                return f"-h 127.0.0.1 -p {probe.getsockname()[1]}"
        # The shorter name fits any path; the longer one is also understood by versions that knew no other.
        directory = str(cluster.data) if fits_a_socket(cluster.data) else "."
        return f"-c listen_addresses= -k {shlex.quote(directory)} -p 5432"

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other processes from starting or stopping the server meanwhile."""
        mutex = fasteners.InterProcessLock(self._root / "mutex.lock")
        try:
            acquired = mutex.acquire(timeout=2 * START_TIMEOUT_SECONDS)
        except threading.ThreadError as error:
            raise ProviderError(f"path: files in {self._root} cannot be locked ({error}); use a local disk") from error
        if not acquired:
            raise unavailable(f"another process has been starting or stopping the server in {self._root} for too long")
        try:
            yield
        finally:
            mutex.release()


def _is_free(lock: fasteners.InterProcessReaderWriterLock) -> bool:
    """Whether no process has a lock that this one does not have either. `SharedServer._exclusive` keeps it so."""
    try:
        free: bool = lock.acquire_write_lock(blocking=False)
        return free
    finally:
        lock.release_write_lock()


def _stop_from_within(url: str) -> None:
    """Stop a server whose processes this one does not see: it is asked to send the signal itself."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=STOP_TIMEOUT_SECONDS) as connection:
            connection.execute("COPY (SELECT) TO PROGRAM 'read -r number < postmaster.pid && kill -INT $number'")
    except psycopg.Error as error:
        # The server ends this connection and the program, too.
        logger.debug("stopping a server from within: %s", error)
