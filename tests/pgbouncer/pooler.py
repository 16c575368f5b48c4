"""A real PgBouncer in transaction mode, in front of a test server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from ..servers import Server, free_port

PROGRAM = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
CONNECTIONS = 3
START_TIMEOUT = 10.0

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={target} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 500
server_round_robin = 1
logfile = {home}/log
"""


class Pooler:
    """PgBouncer with `CONNECTIONS` connections to each database, which it lends in turn.

    Attributes:
        port: where clients connect.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._home = Path(tempfile.mkdtemp(prefix="om-pgbouncer-"))
        self._home.chmod(0o777)
        self.port = free_port()
        settings = self._home / "pgbouncer.ini"
        settings.write_text(
            _SETTINGS.format(target=server.port, port=self.port, home=self._home, connections=CONNECTIONS)
        )
        # PgBouncer refuses to run as root.
        account = ["-u", "nobody"] if os.getuid() == 0 else []
        self._process = subprocess.Popen(
            [PROGRAM, "-q", *account, str(settings)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                psycopg.connect(self._server.url(port=self.port)).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    log = self._home / "log"
                    raise RuntimeError(log.read_text() if log.exists() else "no log") from error
                time.sleep(0.05)

    def create_database(self) -> tuple[str, str]:
        """The URLs of a new database: through the pooler, and of the server itself."""
        direct = self._server.create_database()
        name = direct.rpartition("/")[2]
        return f"{self._server.url(name, port=self.port)}?pgbouncer=true", direct

    def close(self) -> None:
        """Stop PgBouncer and delete its files."""
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._home)
