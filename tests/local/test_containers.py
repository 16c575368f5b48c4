"""One directory in several containers: each has process ids of its own, and may have anything else of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from openmem import Memory

from .conftest import Application, Home, Start

MODES = ("sync", "async")

# A container that ends with its first process, and with whoever made it. "pod" is what the containers of a pod share.
KINDS = {
    "pod": ("--pid",),
    "container": ("--pid", "--ipc"),
    "stranger": ("--pid", "--ipc", "--uts", "--net"),
}
PREPARE = """
set -e
mount --make-rprivate /
if test "$OTHER_NAME"; then hostname other-machine; mkdir -p "$OTHER_NAME"; mount --bind "$HOME_PATH" "$OTHER_NAME"; fi
exec "$@"
"""

probe = subprocess.run(
    ["unshare", "--pid", "--ipc", "--uts", "--net", "--mount", "--fork", "--mount-proc", "true"], capture_output=True
)
pytestmark = pytest.mark.skipif(
    probe.returncode != 0, reason=f"no containers here: {probe.stderr.decode(errors='replace').strip()}"
)

Contain = Callable[..., Application]


@pytest.fixture
def contain(start: Start) -> Iterator[Contain]:
    """Starts applications, each in a container of its own."""
    with tempfile.TemporaryDirectory(prefix="om-elsewhere-", dir="/var/tmp") as elsewhere:

        def contained(
            home: Home, mode: str = "sync", kind: str = "container", first: tuple[str, ...] = ()
        ) -> Application:
            path = Path(elsewhere, "under", "another", "name") if kind == "stranger" else home.path
            environment = os.environ | {
                "HOME_PATH": str(home.path),
                "OTHER_NAME": str(path) if kind == "stranger" else "",
            }
            flags = (*KINDS[kind], "--mount", "--fork", "--kill-child", "--mount-proc")
            inside = ("unshare", *flags, "sh", "-c", PREPARE, "sh", *first)
            return start(path, mode, inside=inside, env=environment)

        yield contained


def answers(application: Application, count: int) -> list[str]:
    return [application.answer() for _ in range(count)]


def stored(said: list[str]) -> set[str]:
    return {answer for answer in said if answer.startswith("mem_")}


def failed(said: list[str]) -> list[str]:
    return [answer for answer in said if not answer.startswith("mem_")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_containers_share_one_server_and_lose_nothing(home: Home, contain: Contain, mode: str, kind: str) -> None:
    """The container whose server it is ends at once, in the middle of what both write."""
    first = contain(home, mode)
    first.do("open")
    second = contain(home, mode, kind)
    second.do("open")
    first.begin("flood")
    second.begin("flood")
    said = answers(first, 20) + answers(second, 20)
    assert not failed(said)
    first.kill()
    after = answers(second, 100)
    third = contain(home, mode, kind)
    after += [third.do("try later") for _ in range(20)]
    assert len(failed(after)) <= 1, failed(after)
    second.kill()
    last = [third.do("try last") for _ in range(20)]
    assert len(failed(last)) <= 1, failed(last)
    third.do("close")
    assert third.end() == ""
    assert stored(said + after + last) <= home.everything()
    assert home.cluster.status() is None


@pytest.mark.parametrize("mode", MODES)
def test_the_last_client_of_a_container_hands_the_server_over(home: Home, contain: Contain, mode: str) -> None:
    """No call in the other container fails."""
    first, second = contain(home, mode), contain(home, mode, "stranger")
    first.do("open")
    second.do("open")
    said = [first.do("add here")]
    second.begin("flood")
    said += answers(second, 20)
    first.do("close")
    assert first.end() == ""
    said += answers(second, 100)
    second.kill()
    assert not failed(said)
    assert stored(said) <= home.everything()


@pytest.mark.parametrize("mode", MODES)
def test_a_server_in_another_container_is_stopped_by_the_last_client(home: Home, contain: Contain, mode: str) -> None:
    """Its container runs on, but the application in there was killed."""
    first = contain(home, mode, first=("sh", "-c", '"$@"; sleep 60', "sh"))
    first.do("open")
    [application] = [
        process
        for process in psutil.Process(first.process.pid).children(recursive=True)
        if process.cmdline()[:1] == [sys.executable]
    ]
    application.kill()
    assert home.cluster.status() == "ready"
    second = contain(home, mode)
    written = second.do("add alone")
    second.do("close")
    assert second.end() == ""
    assert home.cluster.status() is None
    assert written in home.everything()


@pytest.mark.parametrize("mode", MODES)
def test_a_crashed_server_in_another_container_is_started_here(home: Home, contain: Contain, mode: str) -> None:
    """Everything of PostgreSQL ends at once; the container and the application in it run on."""
    first, second = contain(home, mode), contain(home, mode)
    said = [first.do("try first"), second.do("try second")]
    processes = [process for process in psutil.process_iter() if _is_in(home.data, process)]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)
    said += [second.do("try third"), first.do("try fourth")]
    assert not failed(said)
    for application in (first, second):
        application.do("close")
        assert application.end() == ""
    assert stored(said) <= home.everything()


@pytest.mark.parametrize("mode", MODES)
def test_a_server_of_the_version_before_is_found_from_a_container(home: Home, contain: Contain, mode: str) -> None:
    """It holds no lock. Nobody starts a second one beside it, and nobody removes what it left."""
    with Memory("local", path=home.path, embedder="hashing"):
        pass
    (home.data / "openmem.lock").unlink()
    home.cluster.start(f"-c listen_addresses= -k {home.data} -p 5432")
    before = (home.data / "postmaster.pid").read_text()
    application = contain(home, mode)
    assert application.do("add shared").startswith("mem_")
    assert (home.data / "postmaster.pid").read_text().splitlines()[:3] == before.splitlines()[:3]
    application.do("close")
    assert application.end() == ""
    assert home.cluster.status() is None


def _is_in(data: Path, process: psutil.Process) -> bool:
    try:
        return os.path.samefile(f"/proc/{process.pid}/cwd", data)
    except OSError:
        return False
