"""The formats that memories are exported in, by name, and what writes one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from ..client import Client
from ..errors import InvalidRequestError
from .atomic_file import atomic_file
from .exporting import EVERYTHING, Choice, export_stream
from .readers.pam_export import export_pam
from .reports import ExportReport, OnProgress

Write: TypeAlias = Callable[[Client, BinaryIO, Choice, OnProgress | None], Awaitable[ExportReport]]


@dataclass(frozen=True, slots=True)
class Writer:
    """What writes one format.

    Attributes:
        format: the format's name, as in ``openmem export --format``; readers of it have the same name.
        title: what people call it, and what a file holds, in a few words.
        suffix: how the names of its files end.
        media_type: of its files.
        write: writes what is chosen to a stream.
        is_of_one_user: whether a file holds all memories of one user, and nothing else.
    """

    format: str
    title: str
    suffix: str
    media_type: str
    write: Write
    is_of_one_user: bool = False

    def check(self, choice: Choice) -> None:
        """Refuse a choice that no file of this format can hold.

        Raises:
            InvalidRequestError: it is one.
        """
        if not self.is_of_one_user:
            return
        if choice.users is None or len(choice.users) != 1:
            raise InvalidRequestError(f"user: format {self.format} holds the memories of one user; say of whom")
        if choice.scope is not None or choice.with_audit or choice.with_vectors:
            raise InvalidRequestError(
                f"format {self.format}: holds all memories of a user; leave scope, audit log and vectors out"
            )

    async def to_stream(
        self, client: Client, stream: BinaryIO, choice: Choice = EVERYTHING, on_progress: OnProgress | None = None
    ) -> ExportReport:
        """Write to a stream. What an export that fails has written is not complete, and readers notice it.

        Raises:
            InvalidRequestError: the format cannot hold what is chosen.
            UnsupportedCapabilityError: the backend does not list its users, and none are named, or has no vectors.
            OMPError: the backend refused or failed.
        """
        self.check(choice)
        return await self.write(client, stream, choice, on_progress)

    async def to_file(
        self, client: Client, path: Path, choice: Choice = EVERYTHING, on_progress: OnProgress | None = None
    ) -> ExportReport:
        """Write a file, which is there as a whole or not at all, and which only this user may read.

        Args:
            path: where; compressed if it ends in ``.gz``.

        Raises:
            InvalidRequestError: the file cannot be written.
            OMPError: as of `to_stream`.
        """
        self.check(choice)
        with atomic_file(path) as file:
            return await self.write(client, file, choice, on_progress)


WRITERS: Final[Mapping[str, Writer]] = {
    writer.format: writer
    for writer in (
        Writer("omp", "all fields, for openmem", ".omp.jsonl", "application/jsonl", export_stream),
        Writer("pam", "Portable AI Memory 1.0, of one user", ".pam.json", "application/json", export_pam, True),
    )
}
"""By name; the first one is the default."""


def writer_for(format: str) -> Writer:
    """The writer of a format.

    Raises:
        InvalidRequestError: there is none of this name.
    """
    writer = WRITERS.get(format)
    if writer is None:
        raise InvalidRequestError(f"format: {format[:80]!r} is not one of {', '.join(WRITERS)}")
    return writer
