"""Takes the records of a source to a backend.

Nothing is stored twice: what the target has is found by its keys, in this run and in every later one. So an import that
was interrupted, or whose target died, is run again, and goes on where it was.

The functions are coroutines over a `Client` of either mode. That of a `openmem.Memory` blocks and never suspends.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import islice
from typing import Any, Final, cast

from ..client import Client
from ..errors import InvalidRequestError, OMPError
from .formats import Options, reader_for
from .known import Knowledge
from .preparing import TICK, Changes, Prepared, prepare
from .records import Item, Loss, Problem, SourceRecord
from .reports import ImportReport, OnProgress, Progress
from .sources import Source
from .targets import StoppedError, Target, target_of

BATCH_RECORDS: Final = 1000
BATCH_CHARACTERS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """How an import goes.

    Attributes:
        changes: what it changes of every record.
        options: those of the reader.
        dry_run: whether nothing is written, and the report says what would be.
        rate: records a second at most; None for no bound.
        limit: how many records are read at most; None for all.

    Raises:
        InvalidRequestError: a bound is not positive.
    """

    changes: Changes = field(default_factory=Changes)
    options: Options = field(default_factory=dict)
    dry_run: bool = False
    rate: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise InvalidRequestError(f"rate: {self.rate} is not a number of records a second")
        if self.limit is not None and self.limit < 1:
            raise InvalidRequestError(f"limit: {self.limit} is less than 1, the least that is allowed")


AS_IT_IS: Final = ImportSettings()
"""Everything, with nothing changed."""


def check_stores_as_it_is(client: Client) -> None:
    """Refuse a backend that would store what a language model makes of memories.

    Raises:
        InvalidRequestError: it is one.
    """
    if client.infers:
        raise InvalidRequestError(
            f"infer: provider {client.provider.name!r} would have a model make other memories of those that are "
            "imported; leave it out"
        )


async def import_source(
    client: Client,
    format: str,
    source: Source,
    settings: ImportSettings = AS_IT_IS,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Store what a source holds and the backend does not have.

    Args:
        format: the name of a format, see `openmem.transfer.formats`.

    Returns:
        What was done. `ImportReport.stopped` says why the backend took no more, if it did not.

    Raises:
        InvalidRequestError: there is no such format, the source is not of it, an option is wrong, or the backend would
            store what a language model makes of memories.
        OMPError: the backend could not be asked what it has.
    """
    check_stores_as_it_is(client)
    report = ImportReport(dry_run=settings.dry_run)
    await _Importing(client, format, source, settings, report, on_progress).run()
    return report


async def verify_source(
    client: Client,
    format: str,
    source: Source,
    settings: ImportSettings = AS_IT_IS,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Read back what a source holds from the backend, and compare; nothing is written.

    Returns:
        A report of which `ImportReport.written` is what is missing, and `ImportReport.extra` what only the backend has
        of the users of the source.
    """
    report = ImportReport(dry_run=True)
    importing = _Importing(client, format, source, settings, report, on_progress, is_verification=True)
    await importing.run()
    return report


@contextmanager
def _closing(items: Generator[Item, None, None]) -> Iterator[None]:
    """Close what reads a source. Where an import is interrupted while a thread reads, that is when the thread ends."""
    try:
        yield
    finally:
        try:
            items.close()
        except ValueError:
            if getgeneratorstate(items) == GEN_CLOSED:
                raise


class _Importing:
    """One import."""

    def __init__(
        self,
        client: Client,
        format: str,
        source: Source,
        settings: ImportSettings,
        report: ImportReport,
        on_progress: OnProgress | None,
        *,
        is_verification: bool = False,
    ) -> None:
        self._client = client
        self._reader = reader_for(format)
        self._source = source
        self._settings = settings
        self._report = report
        self._on_progress = on_progress
        self._is_dry = settings.dry_run or is_verification
        self._is_verification = is_verification
        self._ports = client.provider.ports
        self._now = self._moment = self._ports.now()

    async def run(self) -> None:
        items = self._reader.items(self._source, self._settings.options)
        with closing(Knowledge()) as known, _closing(cast("Generator[Item, None, None]", items)):
            target = await target_of(self._client, known)
            self._ports = self._client.provider.ports
            self._now, started = self._ports.now(), self._ports.monotonic()
            self._moment = self._now
            records = self._counted(items)
            try:
                while batch := await self._ports.to_thread(self._next_batch, records):
                    await self._take(batch, target)
                    self._tell_progress()
                    if self._settings.rate is not None:
                        elapsed = self._ports.monotonic() - started
                        await self._ports.sleep(max(0.0, self._report.read / self._settings.rate - elapsed))
            except StoppedError as error:
                self._report.stopped = error.cause
            if self._is_verification:
                self._report.extra = known.unseen()

    def _tell_progress(self) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(Progress(self._report.read, None, self._source.fraction))
        except OMPError as error:
            raise StoppedError(error) from error

    def _counted(self, items: Iterator[Item]) -> Iterator[Prepared]:
        """The records that can be stored; what else there is goes into the report."""
        report = self._report
        found = (item for item in items if isinstance(item, SourceRecord) or self._note(item))
        for source in islice(found, self._settings.limit):
            assert isinstance(source, SourceRecord)
            report.read += 1
            prepared = prepare(source, self._reader.format, self._settings.changes)
            if isinstance(prepared, Problem):
                report.note_invalid(prepared)
            else:
                yield prepared

    def _note(self, item: Problem | Loss) -> bool:
        if isinstance(item, Problem):
            self._report.note_invalid(item)
        else:
            self._report.note_loss(item)
        return False

    def _next_batch(self, records: Iterator[Prepared]) -> list[Prepared]:
        rate = self._settings.rate
        most = BATCH_RECORDS if rate is None else max(1, min(BATCH_RECORDS, int(rate)))
        batch: list[Prepared] = []
        characters = 0
        for prepared in islice(records, most):
            batch.append(prepared)
            content = prepared.fields.get("content")
            characters += len(content) if isinstance(content, str) else 0
            if characters > BATCH_CHARACTERS:
                break
        return batch

    async def _take(self, batch: list[Prepared], target: Target) -> None:
        for user_id in dict.fromkeys(prepared.user_id for prepared in batch):
            await target.load(user_id)
        missing = await self._ports.run_cpu(self._missing, batch, target)
        if self._is_dry:
            await self._ports.run_cpu(target.pretend, missing, self._report, self._now)
        else:
            await target.store(missing, self._report)
        for prepared in batch:
            for loss in prepared.losses:
                self._report.note_loss(loss)

    def _missing(self, batch: list[Prepared], target: Target) -> list[tuple[Prepared, Any]]:
        """What the target does not have of a batch, each with what it is asked for."""
        report = self._report
        missing: dict[tuple[str, str], tuple[Prepared, Any]] = {}
        for prepared in batch:
            self._moment += TICK
            wanted = target.wanted(prepared, self._moment)
            if isinstance(wanted, Problem):
                report.note_invalid(wanted)
                continue
            operation = target.operation(wanted)
            name = prepared.user_id, target.key(prepared)
            if operation.expires_at is not None and operation.expires_at <= self._now:
                report.expired += 1
            elif name in missing:
                earlier = target.operation(missing[name][1])
                self._note_twin(prepared, is_equal=earlier == operation)
            elif (found := target.known.find(*name)) is None:
                missing[name] = prepared, wanted
            else:
                target.known.see(*name)
                if found.is_new:
                    self._note_twin(prepared, is_equal=not target.difference(prepared, operation, found))
                else:
                    target.found(prepared, operation, found, report)
        return list(missing.values())

    def _note_twin(self, prepared: Prepared, *, is_equal: bool) -> None:
        """Note a record whose id another one of the source has."""
        source = prepared.source
        if is_equal:
            self._report.equal += 1
        else:
            reason = "another record of the source has this id, and other values"
            self._report.note_invalid(Problem(reason, source.place, "id", source.source_id))
