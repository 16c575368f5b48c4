"""Who holds a data directory, whichever process or container asks.

Process ids do not tell. Each container numbers its own, and the numbers are used again. The lock of the file
``openmem.lock`` among the data does: whoever starts a server takes the lock, and all processes of the server inherit
the open file. The kernel frees the lock when the last of them ends, however it ends. So as long as any process of
PostgreSQL has the data open, in any container on this kernel, nobody else gets the lock; and who gets it may start a
server.

Of other machines the lock tells nothing where a network file system keeps locks to itself. The file therefore names the
machine that started the server last. Windows has no such locks for inherited files, and no containers that share a
directory without sharing its processes; there the process ids decide.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

if sys.platform != "win32":
    import fcntl

# Only one kernel at a time mounts these, so that what held the data under another one has ended.
_OF_ONE_KERNEL: Final = frozenset(
    {
        "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfs", "jfs", "nilfs2", "ntfs",
        "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "tmpfs", "ufs", "vfat", "xfs", "zfs",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Owner:
    """The machine that started a server.

    Attributes:
        host: its name.
        machine: what its operating system calls it; empty if unknown.
        boot: the run of its kernel; empty if unknown.
        file_system: what the data lay on as it saw them.
    """

    host: str
    machine: str
    boot: str
    file_system: str

    @classmethod
    def here(cls, data: Path) -> Owner:
        """This machine, as the owner of `data`."""
        return cls(
            host=platform.node(),
            machine=_text("/etc/machine-id"),
            boot=_text("/proc/sys/kernel/random/boot_id"),
            file_system=_file_system(data),
        )

    def is_on(self, other: Owner) -> bool:
        """Whether both are one run of one kernel, as far as can be known."""
        if self.boot and other.boot:
            return self.boot == other.boot
        return self.host == other.host

    def is_alone(self) -> bool:
        """Whether no other machine can have the data open."""
        return self.file_system in _OF_ONE_KERNEL

    def has_ended(self, here: Owner) -> bool:
        """Whether nothing that this owner started can be running any more, given that nobody holds the lock `here`."""
        if self.is_on(here) or (self.is_alone() and here.is_alone()):
            return True
        return bool(self.machine) and (self.machine, self.host) == (here.machine, here.host)


class DataLock:
    """The lock of one data directory, for one caller at a time.

    Args:
        data: the data directory, which exists.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._path = data / "openmem.lock"
        self._file: int | None = None

    @contextmanager
    def attempt(self) -> Iterator[bool]:
        """Try to take the lock, and return whether it was free. It is given back at the end."""
        taken = self._take()
        try:
            yield taken
        finally:
            self._close(unlock=True)

    def owner(self) -> Owner | None:
        """Who started the server that ran last; None if it was shut down, or openmem did not start it."""
        try:
            return Owner(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the processes of a server inherit, while the lock is taken."""
        return () if self._file is None else (self._file,)

    def hand_on(self) -> None:
        """Leave the lock to the processes that inherited it."""
        self._close(unlock=False)

    def sign(self, owner: Owner | None) -> None:
        """Write down who starts a server, or that nobody does. The lock is taken."""
        if self._file is not None:
            text = b"" if owner is None else json.dumps(asdict(owner)).encode()
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text, 0)
            os.fsync(self._file)

    def _take(self) -> bool:
        if sys.platform == "win32":
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _open_files.add(file)
        self._file = file
        status = self._data.stat()
        try:
            if os.fstat(file).st_uid != status.st_uid and os.geteuid() == 0:
                os.fchown(file, status.st_uid, status.st_gid)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close(unlock=False)
            return False
        except BaseException:
            self._close(unlock=False)
            raise
        return True

    def _close(self, *, unlock: bool) -> None:
        """Close the file. Unlocking also frees the lock where a forked process has the file open."""
        file, self._file = self._file, None
        if file is None:
            return
        _open_files.discard(file)
        if unlock and sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


# Those of a forked child keep the parent's locks, so the child closes them.
_open_files: set[int] = set()


def forget_all() -> None:
    """In a forked child: let go of the locks that the parent was holding."""
    for file in _open_files:
        with suppress(OSError):
            os.close(file)
    _open_files.clear()


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _file_system(path: Path) -> str:
    """The type of the file system that holds `path`; empty if it is unknown."""
    best, found = -1, ""
    try:
        partitions = psutil.disk_partitions(all=True)
    except (OSError, psutil.Error):
        return ""
    for partition in partitions:
        length = len(partition.mountpoint)
        if length >= best and path.is_relative_to(partition.mountpoint):
            best, found = length, partition.fstype.lower()
    return found
