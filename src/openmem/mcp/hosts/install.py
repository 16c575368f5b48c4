"""openmem's entry in the configuration of a host on this machine: put in, brought up to date, taken out."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import files, json_config, toml_config
from .entries import Entry
from .errors import HostConfigError
from .known import HOSTS, WINDOWS, Host, Place

_UV_CACHE: Final = re.compile(r"[\\/]uv[\\/](?:cache[\\/])?(?:archive|environments)-v[0-9]+[\\/]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done.

    Attributes:
        path: the file of configuration.
        is_changed: whether it was changed; False if it was already as it should be.
        backup: the copy of what was there.
        is_deleted: whether the file is gone, since it was made for the entry.
    """

    path: Path
    is_changed: bool
    backup: Path | None = None
    is_deleted: bool = False


def host_named(name: str) -> Host:
    """The host with this name on the command line.

    Raises:
        HostConfigError: openmem does not know it.
    """
    if name not in HOSTS:
        raise HostConfigError(f"openmem knows the hosts {', '.join(HOSTS)}")
    return HOSTS[name]


def this_place() -> Place:
    """This machine.

    Raises:
        HostConfigError: the user has no home directory.
    """
    try:
        return Place(sys.platform, Path.home(), os.environ)
    except RuntimeError:
        raise HostConfigError("there is no home directory; set HOME, or name the file with --file") from None


def executable(name: str = "openmem") -> str:
    """The absolute path of a program that is installed with this Python.

    Hosts start programs with a short PATH and in another directory.

    Raises:
        HostConfigError: it is not there.
    """
    suffix = ".exe" if sys.platform == WINDOWS else ""
    beside = Path(sys.executable).absolute().with_name(name + suffix)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise HostConfigError(f"the program {name!r} is neither beside {sys.executable} nor on the PATH")
    if _UV_CACHE.search(found):
        raise HostConfigError(
            f"{found} is in the cache of uv, which may be emptied; run uv tool install 'openmem[local,mcp]' first"
        )
    return os.path.abspath(found)


def configuration_file(host: Host, place: Place, *, force: bool = False) -> Path:
    """The file of configuration that a host reads.

    Args:
        force: whether to name a file whose folder is missing although the host seems not to be installed.

    Raises:
        HostConfigError: the host seems not to be installed.
    """
    paths = [Path(path) for path in host.paths(place)]
    known = next((path for path in paths if path.exists()), None)
    known = known or next((path for path in paths if path.parent.is_dir()), paths[-1])
    if force or known.exists() or is_installed(host, place):
        return known
    raise HostConfigError(
        f"{host.title} seems not to be installed: there is no {known.parent}. Name its configuration with --file, "
        "or make it with --force"
    )


def is_installed(host: Host, place: Place) -> bool:
    """Whether a folder or a program of a host is on this machine."""
    path = place.environment.get("PATH")
    return any(Path(bundle).exists() for bundle in host.bundles(place)) or any(
        shutil.which(program, path=path) is not None for program in host.programs
    )


def install(host: Host, entry: Entry, path: Path) -> Outcome:
    """Put an entry into a file of configuration, or bring it up to date.

    Raises:
        HostConfigError: nothing was changed, for the reason it gives.
    """
    put = toml_config.put if host.is_toml else json_config.put
    before = files.read(path)
    after = _changed(path, before, lambda text: put(text, host, entry))
    if after is None or after == before:
        return Outcome(path, is_changed=False)
    try:
        Path(os.path.realpath(path)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostConfigError(f"{path.parent}: cannot be made: {error.strerror}") from error
    return Outcome(path, is_changed=True, backup=files.replace(path, before, after))


def uninstall(host: Host, name: str, path: Path) -> Outcome:
    """Take an entry out of a file of configuration.

    Raises:
        HostConfigError: nothing was changed, for the reason it gives.
    """
    take_out = toml_config.take_out if host.is_toml else json_config.take_out
    before = files.read(path)
    after = _changed(path, before, lambda text: take_out(text, host, name))
    if before is None or after == before:
        return Outcome(path, is_changed=False)
    if after is None:
        files.delete(path, before)
        return Outcome(path, is_changed=True, is_deleted=True)
    return Outcome(path, is_changed=True, backup=files.replace(path, before, after))


def fragment(host: Host, entry: Entry) -> str:
    """What `install` would write into an empty file."""
    return toml_config.put("", host, entry) if host.is_toml else json_config.put(None, host, entry)


def _changed(path: Path, before: bytes | None, change: Callable[[str | None], str | None]) -> bytes | None:
    try:
        after = change(files.decoded(before))
    except HostConfigError as error:
        raise HostConfigError(f"{path}: {error}") from None
    return None if after is None else after.encode()
