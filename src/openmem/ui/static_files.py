"""The files that pages load: named by their content, so that browsers may keep them for good."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

PREFIX: Final = "/ui"

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class StaticFile(NamedTuple):
    """A file as it is sent."""

    content: bytes
    media_type: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """The files by their paths behind ``/ui/``."""
    return {_path(name, file): file for name, file in _files().items()}


@cache
def path_of(name: str) -> str:
    """The path of a file by its name in the package."""
    return f"{PREFIX}/{_path(name, _files()[name])}"


@cache
def _files() -> Mapping[str, StaticFile]:
    found = {}
    for file in resources.files(__package__).joinpath("static").iterdir():
        media_type = _MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            found[file.name] = StaticFile(file.read_bytes(), media_type)
    return found


def _path(name: str, file: StaticFile) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"static/{stem}.{hashlib.sha256(file.content).hexdigest()[:16]}.{suffix}"
