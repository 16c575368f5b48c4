"""Real PostgreSQL servers for the tests, from the embedded wheel, that can be stopped and crashed."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from openmem.drivers.local.cluster import Cluster

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "120",
    "autovacuum": "off",
}


def free_port() -> int:
    """A TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One PostgreSQL server of its own, on a loopback port, with pgvector available.

    Args:
        version: major version, 16 or 18.
        settings: server settings over the fast defaults of `SETTINGS`.
    """

    def __init__(self, version: int = 18, **settings: str) -> None:
        self.version = version
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="om-"))
        self._home.chmod(0o755)
        self._cluster = Cluster(self._home / "data", version)
        self._settings = SETTINGS | settings
        self._cluster.initialize()

    def url(self, database: str = "postgres", *, port: int | None = None, user: str = "postgres") -> str:
        """The URL of a database; with `port`, of the same database seen through a proxy there."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        self._cluster.start(f"-h 127.0.0.1 -p {self.port} -k '' {options}")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` breaks connections off, ``immediate`` crashes without a checkpoint."""
        self._cluster.stop(mode)

    def crash(self) -> None:
        """Kill every process of the server at once, as a power failure would."""
        self._cluster.clean_up()

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def ask_for_passwords(self, user: str) -> None:
        """Let `user` in with a password only."""
        rules = self._home / "data" / "pg_hba.conf"
        rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")

    def remove(self) -> None:
        """Stop the server if it runs, and delete its data."""
        if self._cluster.state() is not None:
            self._cluster.stop("immediate")
        shutil.rmtree(self._home)


class Standby:
    """A replica of a server, which follows it by streaming.

    Args:
        primary: a running server.
    """

    def __init__(self, primary: Server) -> None:
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="om-"))
        self._home.chmod(0o755)
        self._cluster = Cluster(self._home / "data", primary.version)
        data = self._home / "data"
        data.mkdir(mode=0o700)
        self._cluster.chown(data)
        self._cluster._run(
            data, "pg_basebackup", "-d", primary.url(), "-D", str(data), "-R", "-c", "fast", "-X", "stream"
        )
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        self._cluster.start(f"-h 127.0.0.1 -p {self.port} -k '' {options}")

    def stop(self) -> None:
        """Break all connections off and stop."""
        self._cluster.stop("fast")

    def url(self, primary_url: str) -> str:
        """The URL of a database of the primary, on this replica."""
        parts = urlsplit(primary_url)
        return urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{self.port}"))

    def remove(self) -> None:
        """Stop it if it runs, and delete its data."""
        if self._cluster.state() is not None:
            self._cluster.stop("immediate")
        shutil.rmtree(self._home)
