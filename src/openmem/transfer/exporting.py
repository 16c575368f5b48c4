"""Writes the memories of a backend in openmem's own format.

The functions are coroutines over a `Client` of either mode. That of a `openmem.Memory` blocks and never suspends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, TypeVar

import openmem

from ..client import Client
from ..errors import UnsupportedCapabilityError
from ..models import MemoryPage
from ..operations import Audit, List, Operation, Users
from ..operations.vectors import StoredVector, StoredVectors
from . import omp_format
from .reports import ExportReport, OnProgress, Progress

R = TypeVar("R")

PAGE_MEMORIES: Final = 500
AUDIT_ENTRIES: Final = 1000
"""Entries of an audit log that are read at once."""


class Run(Protocol):
    """Performs operations."""

    async def __call__(self, op: Operation[R], /) -> R: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What is exported.

    Attributes:
        users: whose memories; None for everybody's.
        scope: scope patterns; None for all.
        with_audit: whether the audit log is, too: of all calls on the users' memories, in whatever scope.
        with_vectors: whether what the embedder made of them is, too.
    """

    users: Sequence[str] | None = None
    scope: Sequence[str] | None = None
    with_audit: bool = False
    with_vectors: bool = False


EVERYTHING: Final = Choice()
"""All memories of everybody."""


async def export_stream(
    client: Client, stream: BinaryIO, choice: Choice = EVERYTHING, on_progress: OnProgress | None = None
) -> ExportReport:
    """Write the lines of a file to a stream. One that fails leaves lines without the last one, which readers notice."""
    await _check(client, choice)
    await _leave_audit_entries(client, choice)
    report = ExportReport(consistent=client.has_snapshots)

    async def work(run: Run) -> None:
        await _Writing(client, stream, choice, run, report, on_progress).write()

    if client.has_snapshots:
        await client.at_one_moment(work)
    else:
        await work(client.run)
    return report


async def _check(client: Client, choice: Choice) -> None:
    capabilities = await client.capabilities()
    if choice.users is None and Users.verb not in capabilities.verbs:
        raise UnsupportedCapabilityError(
            f"users: provider {capabilities.provider!r} does not list its users; name those whose memories to export"
        )
    if choice.with_vectors and client.vector_model is None:
        raise UnsupportedCapabilityError(
            f"vectors: provider {capabilities.provider!r} does not hand out its vectors; leave them out"
        )


async def _leave_audit_entries(client: Client, choice: Choice) -> None:
    """Have an entry for each user in the audit log, where reading leaves entries: a snapshot cannot."""
    capabilities = await client.capabilities()
    if not client.has_snapshots or not capabilities.features.audits_reads:
        return
    async with aclosing(_users(client.run, choice)) as users:
        async for user_id, _ in users:
            await client.run(List(user_id=user_id, scope=choice.scope, limit=1))


async def _users(run: Run, choice: Choice) -> AsyncGenerator[tuple[str, int], None]:
    """Whose memories, and how many; 0 if that is not known."""
    if choice.users is not None:
        for user_id in sorted(set(choice.users)):
            yield user_id, 0
        return
    cursor: str | None = None
    while True:
        page = await run(Users(cursor=cursor, limit=1000))
        for user in page:
            yield user.user_id, user.count
        cursor = page.next_cursor
        if cursor is None:
            return


async def memory_pages(run: Run, user_id: str, scope: Sequence[str] | None = None) -> AsyncGenerator[MemoryPage, None]:
    """The memories of a user, the oldest first, some at a time."""
    cursor: str | None = None
    while True:
        page = await run(List(user_id=user_id, scope=scope, order="oldest", limit=PAGE_MEMORIES, cursor=cursor))
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


class _Writing:
    """One export."""

    def __init__(
        self,
        client: Client,
        stream: BinaryIO,
        choice: Choice,
        run: Run,
        report: ExportReport,
        on_progress: OnProgress | None,
    ) -> None:
        self._client = client
        self._stream = stream
        self._choice = choice
        self._run = run
        self._report = report
        self._on_progress = on_progress
        self._tally = omp_format.Tally()
        self._total: int | None = None

    async def write(self) -> None:
        self._stream.write(omp_format.encoded(await self._header()))
        if self._on_progress is not None and self._choice.users is None and self._choice.scope is None:
            async with aclosing(_users(self._run, self._choice)) as users:
                self._total = sum([count async for _, count in users])
        async with aclosing(_users(self._run, self._choice)) as users:
            async for user_id, _ in users:
                await self._write_user(user_id)
        end = self._tally.end()
        self._stream.write(omp_format.encoded(end))
        self._report.memories, self._report.users = self._tally.memories, self._tally.users
        self._report.audit, self._report.sha256 = self._tally.audit, end["sha256"]

    async def _header(self) -> dict[str, object]:
        provider, choice = self._client.provider, self._choice
        capabilities = await self._client.capabilities()
        return omp_format.header(
            exporter=f"openmem/{openmem.__version__}",
            exported_at=provider.ports.now(),
            source={"provider": capabilities.provider},
            users=choice.users,
            filters={} if choice.scope is None else {"scope": list(choice.scope)},
            features=capabilities.features.to_wire(),
            consistent=self._report.consistent,
            has_vectors=choice.with_vectors,
        )

    async def _write_user(self, user_id: str) -> None:
        ports, tally = self._client.provider.ports, self._tally
        async with aclosing(memory_pages(self._run, user_id, self._choice.scope)) as pages:
            async for page in pages:
                vectors: Mapping[str, StoredVector] = {}
                if self._choice.with_vectors and page.items:
                    ids = tuple(record.id for record in page.items)
                    vectors = await self._run(StoredVectors(user_id=user_id, ids=ids))
                lines = await ports.run_cpu(omp_format.memory_lines, page.items, tally, vectors)
                await ports.to_thread(self._stream.write, lines)
                if self._on_progress is not None:
                    self._on_progress(Progress(tally.memories, self._total))
        if self._choice.with_audit:
            await self._write_audit(user_id)

    async def _write_audit(self, user_id: str) -> None:
        """Write a user's audit log, the newest entry first: it is read in this order, and may be of any length."""
        ports, cursor = self._client.provider.ports, None
        while True:
            entries = await self._run(Audit(user_id=user_id, limit=AUDIT_ENTRIES, cursor=cursor))
            lines = await ports.run_cpu(omp_format.audit_lines, user_id, entries, self._tally)
            await ports.to_thread(self._stream.write, lines)
            cursor = entries.next_cursor
            if cursor is None:
                break
        # Other servers may have no pages.
        features = (await self._client.capabilities()).features
        self._report.audit_cut += len(entries) == AUDIT_ENTRIES and not features.audit_pages
