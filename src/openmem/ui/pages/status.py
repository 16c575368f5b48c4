"""How the server is: its backend and what that can do, and what is to be done for the whole store."""

from __future__ import annotations

import platform
from typing import Any, Final

from starlette.responses import Response

from ... import __version__
from ...backend_report import backend_report
from ...errors import InvalidRequestError, OMPError
from ...operations import Operation, Reembed, Reindex
from ..jobs import IMPORT, Job
from ..navigation import Link
from ..page import Page
from ..visit import Visit
from ..wording import worded

PATH: Final = "status"
UPKEEP: Final[dict[str, tuple[str, type[Reembed | Reindex], str, str]]] = {
    "reembed": (
        "to_reembed",
        Reembed,
        "Embed again",
        "were embedded by another model and are found by their words only",
    ),
    "reindex": ("to_reindex", Reindex, "Analyse again", "were analysed by another version"),
}
"""What can be done, by its name: which number of the report says for how many, the verb, its button, and why."""


async def show(visit: Visit) -> Response:
    """The report, and jobs with their progress."""
    visit.require_administrator()
    capabilities = await visit.capabilities()
    report: dict[str, Any] = {}
    failure: OMPError | None = None
    try:
        report = await backend_report(visit.site.client)
    except OMPError as error:
        failure = visit.shown(error)
    numbers = {number for number, *_ in UPKEEP.values()}
    return await visit.page(
        "status.html",
        title="Status",
        error=failure,
        status=200 if failure is None else 503,
        versions={"openmem": __version__, "Python": platform.python_version()},
        report=worded({name: value for name, value in report.items() if name not in numbers}),
        pool=visit.site.client.pool_usage(),
        verbs=capabilities.verbs,
        features=worded({**capabilities.features.to_wire(), **capabilities.limits.to_wire()}),
        upkeep={
            name: (report[number], button, why) for name, (number, _, button, why) in UPKEEP.items() if number in report
        },
        imports=[(job, _ended_by(visit, job)) for job in visit.site.jobs.of_kind(IMPORT)],
        jobs={name: visit.site.jobs.latest(name) for name in UPKEEP},
    )


def _ended_by(visit: Visit, job: Job) -> OMPError | None:
    """What ended an import before its end."""
    stopped = None if job.result is None else job.result.stopped
    return job.error if stopped is None else visit.shown(stopped)


async def begin(visit: Visit) -> Response:
    """Begin to embed or to analyse again, or stop it."""
    visit.require_administrator()
    name = visit.form.require("action")
    jobs = visit.site.jobs
    if name in UPKEEP:
        _, verb, _, _ = UPKEEP[name]
        call = visit.call()

        async def work(job: Job) -> int:
            operation: Operation[int] = verb(progress=job.progress)
            return await visit.site.client.run(operation, call)

        jobs.start(Job(visit.principal.id, name, visit.check_of_key()), work)
    elif name == "stop":
        job = jobs.latest(visit.form.require("job"))
        if job is not None:
            await jobs.stop(job)
    else:
        raise InvalidRequestError(f"action: {name[:40]!r} is not one of {', '.join(UPKEEP)}, stop")
    return visit.redirect(PATH)


PAGES = (Page(PATH, show, begin, Link("Status", is_administrative=True)),)
