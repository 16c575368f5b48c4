"""The configuration file: profiles, each of which names a backend and says how to use it.

::

    profile = "work"

    [profiles.work]
    base_url = "https://memories.example.com"
    api_key_command = "op read op://Private/openmem/key"
    user = "maya"

It is read from the user's configuration directory only. A file in the current directory would let whoever wrote it,
such as the author of a cloned repository, choose where memories go.
"""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import platformdirs

from .._suggestions import closest
from .._text import quoted
from ..config import SETTINGS
from ..errors import InvalidRequestError

DEFAULT_PROFILE: Final = "default"
"""The profile that is used where none is chosen, if it is there."""

OWN_KEYS: Final[Mapping[str, str]] = {
    "provider": "backend, by name",
    "user": "whose memories, where no other user is named",
    "api_key_command": "program whose output is the api_key, with its arguments",
    "options": "table of arguments that only the provider knows",
}
"""What a profile may have beside the settings of a client."""

KEYS: Final = frozenset(SETTINGS) | frozenset(OWN_KEYS)
SECRETS: Final = frozenset(name for name, setting in SETTINGS.items() if setting.is_secret) | {"config", "options"}
"""Keys whose values are never shown, since they are secrets or may hold some."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile. It has no ``repr``, since its values may be secrets."""

    name: str
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file says.

    Attributes:
        path: where it is.
        chosen: the profile that it chooses; None for none.
        profiles: its profiles by name.
    """

    path: Path
    chosen: str | None
    profiles: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def profile(self, name: str | None) -> Profile | None:
        """A profile by its name; by default the one that the file chooses.

        Raises:
            InvalidRequestError: there is no such profile, or it has a key that there is not.
        """
        wanted = name or self.chosen or DEFAULT_PROFILE
        if wanted not in self.profiles:
            if name is None and self.chosen is None:
                return None
            has = ", ".join(map(quoted, self.profiles)) or "none"
            raise InvalidRequestError(
                f"there is no profile {quoted(wanted)} in {self.path}, which has {has}; "
                f"'openmem config set --profile NAME provider …' makes one"
            )
        values = self.profiles[wanted]
        for key in values:
            if key not in KEYS:
                meant = closest(key, KEYS, 0.6)
                hint = "" if meant is None else f"; did you mean {meant!r}?"
                raise InvalidRequestError(f"{self.path}: profile {wanted!r} has the unknown key {quoted(key)}{hint}")
        return Profile(wanted, values)


def config_path() -> Path:
    """Where the file is, or would be."""
    return platformdirs.user_config_path("openmem") / "config.toml"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait for other processes that change files of a folder in such a block, where the system can do that."""
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415 - there is none on Windows

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems have no locks.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_config() -> ConfigFile:
    """The file as it is; without profiles if there is none.

    Raises:
        InvalidRequestError: it cannot be read, is no TOML, has another shape, or others may read or change it.
    """
    path = config_path()
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            document = tomllib.loads(file.read().decode())
    except FileNotFoundError:
        return ConfigFile(path, None, {})
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror or type(error).__name__}") from None
    except tomllib.TOMLDecodeError as error:
        # Its message quotes one character at most.
        raise InvalidRequestError(f"{path}: it is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{path}: it is not UTF-8") from None
    return config_of(path, document)


def config_of(path: Path, document: Mapping[str, Any]) -> ConfigFile:
    """What a document says.

    Raises:
        InvalidRequestError: it has another shape.
    """
    for key in document:
        if key not in ("profile", "profiles"):
            raise InvalidRequestError(
                f"{path}: it has the unknown key {quoted(key)}; settings stand below [profiles.NAME]"
            )
    chosen, profiles = document.get("profile"), document.get("profiles", {})
    if not isinstance(chosen, str | None) or not isinstance(profiles, dict):
        raise InvalidRequestError(f"{path}: 'profile' is a name, and profiles are tables such as [profiles.work]")
    for name, values in profiles.items():
        if not isinstance(values, dict):
            raise InvalidRequestError(f"{path}: profile {quoted(name)} is not a table such as [profiles.work]")
    return ConfigFile(path, chosen, profiles)


def _check_owner(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if status.st_uid not in (0, os.geteuid()):
        raise InvalidRequestError(f"{path}: it belongs to another account, so it is not used; make a file of your own")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise InvalidRequestError(
            f"{path}: other accounts may read or change it, and it may hold secrets; run: chmod 600 '{path}'"
        )
