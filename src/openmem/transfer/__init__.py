"""Memories that move: files of memories, imports from other systems, and migrations between backends.

::

    with Memory("local") as memory:
        transfer.export(memory, "memories.omp.jsonl.gz")
        report = transfer.import_(memory, "mem0", "export.json", ImportSettings(dry_run=True))

Each function is there for `openmem.Memory` and, with ``async_`` before its name, for `openmem.AsyncMemory`. A *reader*
turns one format into records; see `openmem.transfer.records`. What takes records to a backend does not know where they
came from.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..ports import run_blocking
from .exporting import EVERYTHING, Choice
from .formats import Reader, format_names, read_options, reader_for
from .importing import AS_IT_IS, ImportSettings, import_source, verify_source
from .migrating import migrate as migrate_clients
from .omp_format import FORMAT
from .preparing import Changes
from .records import Item, Loss, Place, Problem, SourceRecord
from .reports import ExportReport, ImportReport, OnProgress, Progress
from .sources import Source
from .user_maps import read_user_map
from .writers import WRITERS, Writer, writer_for

if TYPE_CHECKING:
    from ..async_memory import AsyncMemory
    from ..memory import Memory

__all__ = [
    "AS_IT_IS",
    "EVERYTHING",
    "WRITERS",
    "Changes",
    "Choice",
    "ExportReport",
    "ImportReport",
    "ImportSettings",
    "Item",
    "Loss",
    "OnProgress",
    "Place",
    "Problem",
    "Progress",
    "Reader",
    "Source",
    "SourceRecord",
    "Writer",
    "async_export",
    "async_export_pam",
    "async_import",
    "async_migrate",
    "async_verify",
    "export",
    "export_pam",
    "format_names",
    "import_",
    "migrate",
    "read_options",
    "read_user_map",
    "reader_for",
    "verify",
    "writer_for",
]

FilePath = str | os.PathLike[str]


def export(
    memory: Memory,
    path: FilePath,
    choice: Choice = EVERYTHING,
    on_progress: OnProgress | None = None,
    *,
    format: str = FORMAT,
) -> ExportReport:
    """Write memories to a file, which is there as a whole or not at all, and which only this user may read.

    Args:
        path: where, as in ``memories.omp.jsonl``; compressed if it ends in ``.gz``.
        choice: which memories.
        on_progress: called after each page.
        format: one of `WRITERS`.

    Raises:
        InvalidRequestError: the file cannot be written, or a file of this format cannot hold what is chosen.
        UnsupportedCapabilityError: the backend does not list its users, and `choice` names none.
        OMPError: the backend refused or failed.
    """
    return run_blocking(writer_for(format).to_file(memory.client, Path(path), choice, on_progress))


async def async_export(
    memory: AsyncMemory,
    path: FilePath,
    choice: Choice = EVERYTHING,
    on_progress: OnProgress | None = None,
    *,
    format: str = FORMAT,
) -> ExportReport:
    """As `export`."""
    return await writer_for(format).to_file(memory.client, Path(path), choice, on_progress)


def export_pam(memory: Memory, path: FilePath, user_id: str) -> ExportReport:
    """Write the memories of one user to a file of Portable AI Memory 1.0.

    What that format has no field for is in the metadata of each memory, where an import by openmem finds it.

    Args:
        path: where; compressed if it ends in ``.gz``.

    Raises:
        InvalidRequestError: the file cannot be written.
        OMPError: the backend refused or failed.
    """
    return export(memory, path, Choice([user_id]), format="pam")


async def async_export_pam(memory: AsyncMemory, path: FilePath, user_id: str) -> ExportReport:
    """As `export_pam`."""
    return await async_export(memory, path, Choice([user_id]), format="pam")


def import_(
    memory: Memory,
    format: str,
    source: Source | FilePath,
    settings: ImportSettings = AS_IT_IS,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Store what a file of a format holds and the backend does not have.

    It can be run again at any time, also after it was interrupted, and adds nothing twice.

    Args:
        format: name of a format, as in `format_names`.
        source: the file, or the folder.
        settings: what is changed, and whether anything is written.
        on_progress: called after each part.

    Returns:
        What was done, and what is lost. `ImportReport.stopped` says why the backend took no more, if it did not.

    Raises:
        InvalidRequestError: there is no such format, the source is not of it, or a setting is wrong.
        OMPError: the backend could not be asked what it has.
    """
    return run_blocking(import_source(memory.client, format, _source(source), settings, on_progress))


async def async_import(
    memory: AsyncMemory,
    format: str,
    source: Source | FilePath,
    settings: ImportSettings = AS_IT_IS,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """As `import_`."""
    return await import_source(memory.client, format, _source(source), settings, on_progress)


def verify(
    memory: Memory,
    format: str,
    source: Source | FilePath,
    settings: ImportSettings = AS_IT_IS,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Read back what a file holds from the backend, and compare; nothing is written.

    Returns:
        A report in which `ImportReport.written` is what is missing, `ImportReport.changed` what is different, and
        `ImportReport.extra` what only the backend has.
    """
    return run_blocking(verify_source(memory.client, format, _source(source), settings, on_progress))


async def async_verify(
    memory: AsyncMemory,
    format: str,
    source: Source | FilePath,
    settings: ImportSettings = AS_IT_IS,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """As `verify`."""
    return await verify_source(memory.client, format, _source(source), settings, on_progress)


def migrate(
    source: Memory, target: Memory, choice: Choice = EVERYTHING, settings: ImportSettings = AS_IT_IS
) -> tuple[ExportReport, ImportReport]:
    """Store in one backend what another one holds; the other one stays as it is.

    Raises:
        OMPError: a backend refused or failed.
    """
    return run_blocking(migrate_clients(source.client, target.client, choice, settings))


async def async_migrate(
    source: AsyncMemory, target: AsyncMemory, choice: Choice = EVERYTHING, settings: ImportSettings = AS_IT_IS
) -> tuple[ExportReport, ImportReport]:
    """As `migrate`."""
    return await migrate_clients(source.client, target.client, choice, settings)


def _source(source: Source | FilePath) -> Source:
    return source if isinstance(source, Source) else Source.of(source)
