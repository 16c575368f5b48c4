"""The path of the embedded server's socket, short and plain enough for a URL."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

SOCKET: Final = ".s.PGSQL.5432"

# Of what fits a socket's address (103 bytes) and needs no quoting in a URL or a list of hosts.
_FITS = re.compile(r"/[ \w./+-]{1,85}", re.ASCII)


def fits_a_socket(directory: Path) -> bool:
    """Whether a socket in the directory can have its whole path as its address."""
    return _FITS.fullmatch(str(directory)) is not None


class SocketPath:
    """The way to the server's socket, which is among the data.

    The path of a socket may have 103 bytes, and what stands in a URL must not look like a list of hosts. Where the name
    of the data directory does not suit, the directory gets a second, short one, which is this process's alone.
    """

    def __init__(self, data: Path) -> None:
        self._directory = data
        self._file: int | None = None
        self._alias: Path | None = None
        if os.name == "nt" or fits_a_socket(data):
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
