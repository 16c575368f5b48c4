"""Takes the memories of one backend to another: an export to a temporary file, and an import of it.

So what is moved is of one moment where the backend can show it, the source is not held while the target stores, and
whoever is interrupted runs the same again.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from ..client import Client
from .exporting import EVERYTHING, Choice
from .importing import AS_IT_IS, ImportSettings, check_stores_as_it_is, import_source
from .omp_format import FORMAT
from .reports import ExportReport, ImportReport, OnProgress
from .sources import Source
from .targets import takes_vectors
from .writers import writer_for


async def migrate(
    source: Client,
    target: Client,
    choice: Choice = EVERYTHING,
    settings: ImportSettings = AS_IT_IS,
    on_export: OnProgress | None = None,
    on_import: OnProgress | None = None,
) -> tuple[ExportReport, ImportReport]:
    """Store in one backend what another one holds; the other one stays as it is.

    Vectors come along where the target has the same embedder and takes them.

    Args:
        choice: what of it.
        settings: how it is imported.

    Raises:
        OMPError: a backend refused or failed.
    """
    check_stores_as_it_is(target)
    if await takes_vectors(target, source):
        choice = replace(choice, with_vectors=True)
    with tempfile.TemporaryDirectory(prefix="openmem-") as folder:
        path = Path(folder, "memories.omp.jsonl.gz")
        exported = await writer_for(FORMAT).to_file(source, path, choice, on_export)
        imported = await import_source(target, FORMAT, Source.of(path), settings, on_import)
    return exported, imported
