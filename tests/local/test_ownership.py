"""Who may start a server on data, and what is told to those who may not."""

from __future__ import annotations

import json
import os
import shutil
import signal

import psutil
import pytest

from openmem import Memory, ProviderError
from openmem.drivers.local.ownership import Owner

from .conftest import Home, Start

MODES = ("sync", "async")
ELSEWHERE = Owner("elsewhere", "another", "another", "nfs4")


def crash(home: Home) -> str:
    """Leave data as after a power failure, with a memory in it, whose id is returned."""
    with Memory("local", path=home.path, embedder="hashing") as memory:
        written = memory.add(content="precious", user_id="u").id
        home.cluster.kill()
    assert (home.data / "postmaster.pid").exists()
    return written


def sign(home: Home, **changes: str) -> None:
    """Let a machine have started the server last: this one, but for `changes`."""
    here = Owner.here(home.data)
    values = {name: getattr(here, name) for name in ("host", "machine", "boot", "file_system")}
    (home.data / "openmem.lock").write_text(json.dumps(values | changes))


@pytest.mark.parametrize(
    "changes",
    [{}, {"boot": "before"}, {"boot": "elsewhere", "host": "elsewhere", "machine": "elsewhere"}],
    ids=["crashed", "rebooted", "moved to another machine with its disk"],
)
def test_data_that_nobody_holds_is_opened(fresh: Home, changes: dict[str, str]) -> None:
    written = crash(fresh)
    sign(fresh, **changes)
    assert fresh.everything() == {written}


def test_a_machine_that_was_rebooted_opens_its_data_on_a_network(fresh: Home) -> None:
    written = crash(fresh)
    here = Owner.here(fresh.data)
    before = Owner(here.host, here.machine, "before", "nfs4")
    assert before.has_ended(here) == bool(here.machine)
    sign(fresh, boot="before", file_system="nfs4")
    if here.machine:
        assert fresh.everything() == {written}


@pytest.mark.parametrize("file_system", ["nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs", ""])
def test_data_that_another_machine_may_hold_is_refused(fresh: Home, file_system: str) -> None:
    written = crash(fresh)
    sign(fresh, host="mars", boot="another", machine="another", file_system=file_system)
    files = {path.name: path.read_bytes() for path in fresh.data.iterdir() if path.name.startswith(("post", "open"))}
    memory = Memory("local", path=fresh.path, embedder="hashing")
    with pytest.raises(ProviderError, match=r"'mars'.*delete .*postmaster.pid.*provider='postgres'"):
        memory.list("u")
    assert {path.name: path.read_bytes() for path in fresh.data.iterdir() if path.name in files} == files
    (fresh.data / "postmaster.pid").unlink()
    assert memory.get(written).content == "precious"
    memory.close()


def test_kernels_that_hold_the_lock_from_afar_are_named(fresh: Home) -> None:
    here = Owner("here", "m", "boot", "nfs4")
    assert not ELSEWHERE.is_on(here)
    assert not here.is_alone()
    assert Owner.here(fresh.path.parent).is_on(Owner.here(fresh.path.parent))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lock", [True, False], ids=["now", "by the version before"])
def test_a_copy_of_data_in_use_is_data_of_its_own(fresh: Home, start: Start, mode: str, *, lock: bool) -> None:
    """A copy has the original's process id, socket and lock file in it."""
    original = start(fresh.path, mode)
    written = original.do("add original")
    server = fresh.postmaster()
    copy = Home(fresh.path.parent / "copy")
    shutil.copytree(fresh.path, copy.path, ignore=shutil.ignore_patterns(".s.PGSQL.*"), symlinks=True)
    for path in (copy.path, *copy.path.rglob("*")):
        status = (fresh.path / path.relative_to(copy.path)).lstat()
        os.chown(path, status.st_uid, status.st_gid)
    if not lock:
        (copy.data / "openmem.lock").unlink()
    copied = start(copy.path, mode)
    new = copied.do("add copied")
    assert copied.do("list").split() == [new, written]
    assert original.do("list").split() == [written]
    assert fresh.postmaster() == server
    assert copy.postmaster() != server
    copied.do("close")
    original.do("add later")
    original.do("close")


def test_nothing_is_started_beside_what_a_crashed_server_left(home: Home, start: Start) -> None:
    """A query runs on after the server's main process was killed; the next server starts once it has ended."""
    application = start(home.path)
    application.do("open")
    server = home.postmaster()
    [orphan, *_] = [child for child in server.children() if "postgres postgres" in " ".join(child.cmdline())]
    orphan.send_signal(signal.SIGSTOP)
    server.kill()
    psutil.wait_procs([server], timeout=5)
    with Memory("local", path=home.path, embedder="hashing") as memory:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        memory.list("u")
    application.do("close")


def test_a_clock_that_jumps_changes_nothing(fresh: Home) -> None:
    written = crash(fresh)
    for moment in (0, 4_000_000_000):
        for path in (fresh.path / "users.lock", fresh.data / "postmaster.pid", fresh.data / "openmem.lock"):
            os.utime(path, (moment, moment))
        assert written in fresh.everything()
        crash(fresh)
