"""What it takes to run PostgreSQL's programs under root, as which PostgreSQL refuses to run.

They run as the owner of the data, and for new data as the account `SERVER_ACCOUNT`, which may pass through the
directories above the data and the programs, but not list them. Each change to the system is logged as a warning.
"""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

from ...errors import ProviderError

if sys.platform != "win32":
    import pwd

SERVER_ACCOUNT: Final = "openmem"

logger = logging.getLogger("openmem.local")


def is_root() -> bool:
    """Whether this process runs as root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def account_of(data: Path) -> tuple[int, int]:
    """User and group that a server on `data` runs as under root, made if need be."""
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    try:
        account = pwd.getpwnam(SERVER_ACCOUNT)
    except KeyError:
        logger.warning("making the account %r, as which PostgreSQL runs under root", SERVER_ACCOUNT)
        options = ("--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin")
        try:
            made = subprocess.run(["useradd", *options, SERVER_ACCOUNT], capture_output=True, text=True)
            account = pwd.getpwnam(SERVER_ACCOUNT)
        except OSError as error:
            raise _no_account(str(error)) from error
        except KeyError as error:
            raise _no_account(made.stderr.strip()) from error
    return account.pw_uid, account.pw_gid


def _no_account(reason: str) -> ProviderError:
    return ProviderError(
        f"PostgreSQL refuses to run as root, and the account {SERVER_ACCOUNT!r} cannot be made for it ({reason}): "
        f"create a user of that name, or run the application as an ordinary user"
    )


def let_through(user: int, path: Path) -> None:
    """Let `user` reach `path`, by passing through the directories above it."""
    for directory in path.parents:
        status = directory.stat()
        needed = stat.S_IXUSR if status.st_uid == user else stat.S_IXOTH
        if not status.st_mode & needed:
            logger.warning("made %s passable (chmod +x), so that PostgreSQL can reach %s without root", directory, path)
            directory.chmod(stat.S_IMODE(status.st_mode) | needed)


def let_run(programs: Path) -> None:
    """Let other users run what was installed under a umask that keeps it to root."""
    if not (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        logger.warning("letting other users run the programs in %s, as PostgreSQL does not run as root", programs)
        for path in (programs.parent, *programs.parent.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | (mode & (stat.S_IRUSR | stat.S_IXUSR)) >> 6)
