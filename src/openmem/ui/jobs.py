"""Work that goes on when the page that began it has been shown: imports, and what concerns the whole store."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ..errors import NotFoundError, OMPError
from ..server.errors import ServerBusyError, for_clients
from .uploads import Upload

IMPORT: Final = "import"
"""The kind of jobs of which there may be several."""
MAX_RUNNING: Final = 2
MAX_KEPT: Final = 50
KEPT_SECONDS: Final = 60 * 60.0
"""How long an ended job and its file can still be looked at."""


@dataclass(slots=True, repr=False)
class Job:
    """A piece of work.

    Attributes:
        id: random; in addresses.
        owner: the id of the key that began it; None on a server without keys.
        kind: what it does, such as ``import``.
        check: raises an `OMPError` once its owner may no longer have it done.
        began: when.
        subject: what a page shows of it beside its progress.
        upload: the file it reads; None if there is none, or it is no longer there.
        done: how many memories are done.
        expected: how many there are; None if that is not known.
        result: what it came to; None until it has ended well.
        error: why it failed; None if it did not.
        ended: when it ended; None while it runs.
    """

    owner: str | None
    kind: str
    check: Callable[[], None]
    subject: Any = None
    upload: Upload | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    done: int = 0
    expected: int | None = None
    result: Any = None
    error: OMPError | None = None
    ended: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.ended is None

    def progress(self, done: int, expected: int | None) -> None:
        """Note how far it is.

        Raises:
            OMPError: it must go no further.
        """
        self.done, self.expected = done, expected
        self.check()

    def close_upload(self) -> None:
        """Remove the file it reads."""
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.close()


class Jobs:
    """The jobs of one server. They end with it."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._places = 0

    @contextmanager
    def place(self, kind: str) -> Iterator[None]:
        """Keep a place for a job of a kind until its file has come. It can be started right behind this block.

        Raises:
            ServerBusyError: there is none; `start` would raise it, too.
        """
        self._check_room(kind)
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    def start(self, job: Job, work: Callable[[Job], Awaitable[Any]]) -> None:
        """Begin to work.

        Args:
            work: does it, and returns the result.

        Raises:
            ServerBusyError: as many are at work as there may be, or one of a kind of which there may be one.
        """
        self._check_room(job.kind)
        self._jobs[job.id] = job
        while len(self._jobs) > MAX_KEPT:
            self._drop(next(id for id, other in self._jobs.items() if not other.is_running))
        self._tasks[job.id] = asyncio.create_task(self._work(job, work))

    def _check_room(self, kind: str) -> None:
        running = [other for other in self._jobs.values() if other.is_running]
        if len(running) + self._places >= MAX_RUNNING or any(other.kind == kind != IMPORT for other in running):
            raise ServerBusyError("the server is at work on something like this already; try again when it is done")

    async def _work(self, job: Job, work: Callable[[Job], Awaitable[Any]]) -> None:
        try:
            job.result = await work(job)
        except asyncio.CancelledError:
            job.error = OMPError("it was stopped before its end", code="cancelled")
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: told to the log, and to people as far as they may know
            job.error = for_clients(error, f"of job {job.kind}")
        finally:
            job.ended = datetime.now(UTC)
            self._tasks.pop(job.id, None)
            self._timers[job.id] = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._drop, job.id)

    def get(self, id: str, owner: str | None) -> Job:
        """A job, for the key that began it.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
        """
        job = self._jobs.get(id)
        if job is None or job.owner != owner:
            raise NotFoundError("job: there is none of this id any more; begin anew")
        return job

    def of_kind(self, kind: str) -> list[Job]:
        """The jobs of a kind, whoever began them, the latest first."""
        return [job for job in reversed(self._jobs.values()) if job.kind == kind]

    def latest(self, kind: str) -> Job | None:
        """The job of a kind that was begun last, whoever began it; None if there is none."""
        return next(iter(self.of_kind(kind)), None)

    def of_owner(self, kind: str, owner: str | None) -> list[Job]:
        """The jobs of a kind that a key began, the latest first."""
        return [job for job in self.of_kind(kind) if job.owner == owner]

    async def stop(self, job: Job) -> None:
        """End a job that runs, and wait until it has ended."""
        task = self._tasks.get(job.id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def close(self) -> None:
        """End all jobs, and remove their files."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for id in list(self._jobs):
            self._drop(id)

    def _drop(self, id: str) -> None:
        timer = self._timers.pop(id, None)
        if timer is not None:
            timer.cancel()
        self._jobs.pop(id).close_upload()
