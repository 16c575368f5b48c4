"""Writes the memories of one user as a document of Portable AI Memory."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import BinaryIO

import openmem

from ...client import Client
from ...models import MemoryRecord
from ..exporting import Choice, Run, memory_pages
from ..reports import ExportReport, OnProgress, Progress
from .pam_writer import pam_document


async def export_pam(
    client: Client, stream: BinaryIO, choice: Choice, on_progress: OnProgress | None = None
) -> ExportReport:
    """Write the document to a stream.

    The format is one JSON document, so that all memories of the user are in memory at once.

    Args:
        choice: one user, and nothing else.

    Raises:
        OMPError: the backend refused or failed.
    """
    [user_id] = choice.users or ()
    records: list[MemoryRecord] = []

    async def collect(run: Run) -> None:
        async with aclosing(memory_pages(run, user_id)) as pages:
            async for page in pages:
                records.extend(page.items)
                if on_progress is not None:
                    on_progress(Progress(len(records)))

    if client.has_snapshots:
        await client.at_one_moment(collect)
    else:
        await collect(client.run)
    ports = client.provider.ports
    now, exporter = ports.now(), f"openmem/{openmem.__version__}"
    document = await ports.run_cpu(lambda: pam_document(records, user_id, exported_at=now, exporter=exporter))
    text = await ports.run_cpu(lambda: json.dumps(document, ensure_ascii=False, indent=1).encode())
    await ports.to_thread(stream.write, text)
    digest = document["integrity"]["checksum"].removeprefix("sha256:")
    is_consistent = client.has_snapshots
    return ExportReport(memories=len(records), users=int(bool(records)), sha256=digest, consistent=is_consistent)
