"""Homes of embedded servers, and applications in processes of their own that use them."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest

from openmem import Memory
from openmem.drivers.local.cluster import Cluster

APPLICATION = Path(__file__).with_name("application.py")


class Home:
    """A directory for an embedded server, and what becomes of the server."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.data)

    @property
    def is_running(self) -> bool:
        return self.cluster.state() == "ready"

    def everything(self) -> set[str]:
        """The ids of all memories of the user ``u``."""
        found: set[str] = set()
        with Memory("local", path=self.path, embedder="hashing") as memory:
            page = memory.list("u", limit=500)
            while page.next_cursor is not None:
                found |= {record.id for record in page.items}
                page = memory.list("u", limit=500, cursor=page.next_cursor)
            return found | {record.id for record in page.items}

    def postmaster(self) -> psutil.Process:
        """The server's main process."""
        return psutil.Process(int((self.data / "postmaster.pid").read_text().splitlines()[0]))


class Application:
    """A process that uses the local provider.

    Args:
        inside: a command that runs the application, such as one that makes a container for it.
    """

    def __init__(self, path: Path | str, mode: str = "sync", inside: Sequence[str] = (), **options: Any) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [*inside, sys.executable, "-W", "error", str(APPLICATION), mode, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def begin(self, command: str) -> None:
        """Send a command and do not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """The next line that the application says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            pytest.fail(self.process.communicate()[1])
        return line

    def do(self, command: str) -> str:
        """Send a command and wait for its answer."""
        self.begin(command)
        return self.answer()

    def end(self) -> str:
        """Let the application end by itself; what it said on standard error."""
        complaints = self.process.communicate(timeout=20)[1]
        assert self.process.returncode == 0, complaints
        return complaints

    def kill(self) -> None:
        """End the application at once, as ``kill -9`` does."""
        self.process.kill()
        self.process.communicate()


Start: TypeAlias = Callable[..., Application]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts applications; those that still run at the end of the test are killed."""
    with ExitStack() as stack:

        def started(path: Path | str, mode: str = "sync", **options: Any) -> Application:
            application = Application(path, mode, **options)
            stack.callback(application.kill)
            return application

        yield started


@pytest.fixture(scope="module")
def used_path() -> Iterator[Path]:
    """A home with data of earlier tests in it."""
    with tempfile.TemporaryDirectory(prefix="om-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def home(used_path: Path) -> Iterator[Home]:
    """A home whose server does not run."""
    yield from _clean(used_path)


@pytest.fixture
def fresh() -> Iterator[Home]:
    """A home that does not exist yet."""
    with tempfile.TemporaryDirectory(prefix="om-") as parent:
        Path(parent).chmod(0o755)
        yield from _clean(Path(parent, "fresh"))


@pytest.fixture
def ordinary(home: Home, start: Start) -> Application:
    """An application of an ordinary user: of root's, if root runs the tests, after it gave up its rights."""
    # That user may not write where coverage collects its data.
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    application = start(home.path, env=environment)
    for command in ("open", "add warm", "list", "close"):
        application.do(command)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        application.do(f"become {nobody.pw_uid} {nobody.pw_gid}")
    return application


def _clean(path: Path) -> Iterator[Home]:
    home = Home(path)
    yield home
    if home.data.exists():
        was_running = home.is_running
        home.cluster.clean_up()
        assert not was_running, "the test left its server running"
