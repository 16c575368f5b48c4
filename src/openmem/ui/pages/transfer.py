"""Import and export: files of memories, by `openmem.transfer`."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Final, cast

from starlette.responses import Response, StreamingResponse

from ...errors import InvalidRequestError
from ...transfer import (
    WRITERS,
    Changes,
    Choice,
    ImportReport,
    ImportSettings,
    Progress,
    Source,
    format_names,
    read_options,
    reader_for,
    writer_for,
)
from ...transfer.importing import import_source
from ...transfer.omp_format import FORMAT
from ..jobs import IMPORT, Job
from ..navigation import Link
from ..page import Page
from ..safety import HEADERS
from ..uploads import MAX_UPLOAD_BYTES, read_upload
from ..visit import Visit

PATH: Final = "transfer"
IMPORT_PATH: Final = "import"
JOB_PATH: Final = "import/job"
CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Import:
    """What an import does.

    Attributes:
        name: of the file.
        format: of the file.
        settings: how it goes.
    """

    name: str
    format: str
    settings: ImportSettings


async def show(visit: Visit) -> Response:
    """The forms, and the imports that this key began."""
    allowed = visit.principal.users
    capabilities = await visit.capabilities()
    return await visit.page(
        "transfer.html",
        title="Import and export",
        users=None if allowed is None else sorted(allowed),
        chosen=visit.query.one("user_id") or "",
        writers=WRITERS.values(),
        has_vectors=visit.site.client.vector_model is not None,
        has_audit=capabilities.features.supports_audit,
        formats=[(name, reader_for(name).title) for name in format_names()],
        jobs=visit.site.jobs.of_owner(IMPORT, visit.principal.id),
        max_gigabytes=MAX_UPLOAD_BYTES // 1024**3,
        may_export=visit.principal.grants.allow("read"),
        may_import=visit.principal.grants.allow("write"),
    )


async def export(visit: Visit) -> Response:
    """A file with memories. It is sent when it is complete, so that an error is seen as one."""
    form = visit.form
    user_id, scope = form.one("user_id"), form.one("scope")
    choice = Choice(
        None if user_id is None else [user_id],
        None if scope is None else [scope],
        with_audit=form.one("with_audit") is not None,
        with_vectors=form.one("with_vectors") is not None,
    )
    if user_id is None:
        visit.require_administrator()
    writer, is_packed = writer_for(form.one("format") or FORMAT), form.one("packed") is not None
    client, check = visit.site.client.on_behalf_of(visit.call()), visit.check_of_key()
    file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - it is closed when it is sent
    try:
        if is_packed:
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as packed:
                await writer.to_stream(client, cast(BinaryIO, packed), choice, lambda progress: check())
        else:
            await writer.to_stream(client, file, choice, lambda progress: check())
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    name = f"memories-{datetime.now(visit.zone):%Y-%m-%d}{writer.suffix}{'.gz' if is_packed else ''}"
    headers = {
        **HEADERS,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(size),
    }
    media_type = "application/gzip" if is_packed else writer.media_type
    return StreamingResponse(_chunks(file), 200, headers, media_type)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


async def upload(visit: Visit) -> Response:
    """Take a file, and begin to import it, or to try it."""
    with visit.site.jobs.place(IMPORT):
        form, file = await read_upload(visit.request, "file", visit.site.config.read_timeout)
    # Nothing is awaited until the job has begun, so that nobody else takes its place.
    try:
        what = Import(
            file.name,
            form.require("format"),
            ImportSettings(
                Changes(user=form.one("user_id"), scope_prefix=form.one("scope_prefix")),
                read_options(line.strip() for line in (form.one("options") or "").splitlines() if line.strip()),
                dry_run=form.one("mode") != "store",
            ),
        )
        reader_for(what.format).check(Source(file.path, name=what.name), what.settings.options)
        job = Job(visit.principal.id, IMPORT, visit.check_of_key(), what, file)
        _start(visit, job)
    except BaseException:
        file.close()
        raise
    return visit.redirect(JOB_PATH, id=job.id)


async def show_job(visit: Visit) -> Response:
    """How far an import is, or its report."""
    job = visit.site.jobs.get(visit.query.require("id"), visit.principal.id)
    report = job.result
    assert report is None or isinstance(report, ImportReport)
    stopped = None if report is None or report.stopped is None else visit.shown(report.stopped)
    return await visit.page(
        "import_job.html",
        title="Trial of an import" if job.subject.settings.dry_run else "Import",
        error=job.error or stopped,
        job=job,
        report=report,
        is_running=job.is_running,
        kept=job.upload is not None,
    )


async def change_job(visit: Visit) -> Response:
    """Store what was tried, stop an import, or put it away."""
    jobs = visit.site.jobs
    job = jobs.get(visit.form.require("id"), visit.principal.id)
    action = visit.form.require("action")
    if action == "stop":
        await jobs.stop(job)
        return visit.redirect(JOB_PATH, id=job.id)
    if action == "discard":
        await jobs.stop(job)
        job.close_upload()
        return visit.redirect(PATH)
    if action != "store":
        raise InvalidRequestError(f"action: {action[:40]!r} is not one of store, stop, discard")
    if job.upload is None or job.is_running:
        raise InvalidRequestError("the file is not there any more; choose it again")
    tried: Import = job.subject
    settings = ImportSettings(tried.settings.changes, tried.settings.options)
    again = Job(job.owner, IMPORT, visit.check_of_key(), Import(tried.name, tried.format, settings), job.upload)
    _start(visit, again)
    job.upload = None
    return visit.redirect(JOB_PATH, id=again.id)


def _start(visit: Visit, job: Job) -> None:
    client = visit.site.client.on_behalf_of(visit.call())
    what: Import = job.subject

    def on_progress(progress: Progress) -> None:
        job.progress(progress.memories, progress.expected)

    async def work(job: Job) -> ImportReport:
        assert job.upload is not None
        try:
            source = Source(job.upload.path, name=what.name)
            return await import_source(client, what.format, source, what.settings, on_progress)
        finally:
            if not what.settings.dry_run:
                job.close_upload()

    visit.site.jobs.start(job, work)


PAGES = (
    Page(PATH, show, link=Link("Import and export")),
    Page("export", post=export),
    Page(IMPORT_PATH, post=upload, takes_upload=True),
    Page(JOB_PATH, show_job, change_job),
)
