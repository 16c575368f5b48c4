"""Writes the memories of one user to a file of Portable AI Memory."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path

import openmem

from ...client import Client
from ...models import MemoryRecord
from ..atomic_file import atomic_file
from ..exporting import Run, memory_pages
from ..reports import ExportReport
from .pam_writer import pam_document


async def export_pam(client: Client, path: Path, user_id: str) -> ExportReport:
    """Write a file, which is there as a whole or not at all, and which only this user may read.

    The format is one JSON document, so that all memories of the user are in memory at once.

    Args:
        path: where; compressed if it ends in ``.gz``.

    Raises:
        InvalidRequestError: the file cannot be written.
        OMPError: the backend refused or failed.
    """
    records: list[MemoryRecord] = []

    async def collect(run: Run) -> None:
        async with aclosing(memory_pages(run, user_id)) as pages:
            async for page in pages:
                records.extend(page.items)

    if client.has_snapshots:
        await client.at_one_moment(collect)
    else:
        await collect(client.run)
    ports = client.provider.ports
    now, exporter = ports.now(), f"openmem/{openmem.__version__}"
    document = await ports.run_cpu(lambda: pam_document(records, user_id, exported_at=now, exporter=exporter))
    with atomic_file(path) as file:
        file.write(json.dumps(document, ensure_ascii=False, indent=1).encode())
    digest = document["integrity"]["checksum"].removeprefix("sha256:")
    is_consistent = client.has_snapshots
    return ExportReport(memories=len(records), users=int(bool(records)), sha256=digest, consistent=is_consistent)
