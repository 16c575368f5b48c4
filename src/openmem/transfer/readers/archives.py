"""JSON in ZIP archives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..json_items import items_of
from ..records import Place, Problem
from ..sources import Archive


def find(archive: Archive, name: str) -> str | None:
    """The path of the file of this name, in whatever folder."""
    return next((path for path in sorted(archive.names, key=len) if path.rsplit("/", 1)[-1] == name), None)


def table(archive: Archive, part: str, member: str | None = None) -> Iterator[tuple[Place, dict[str, Any]] | Problem]:
    """The objects of an array.

    Args:
        member: the member of an object that is the array; None if the file is an array.
    """
    with archive.open(part) as stream:
        for item in items_of(stream, part, member=member, part=part):
            if isinstance(item, Problem):
                yield item
            elif isinstance(item[1], dict):
                yield item[0], item[1]
            else:
                yield Problem(f"is no JSON object, but a value of type {type(item[1]).__name__}", item[0])
