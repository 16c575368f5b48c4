"""The command ``status``: what is set, whether the backend answers, and what there is to do."""

from __future__ import annotations

import platform
import time
from typing import Any

from ... import __version__
from ...backend_report import ADVICE, backend_report
from ...errors import OMPError
from ...operations import Count
from ...wire.errors import error_body
from ..failures import exit_status
from ..output import table
from ..plain import one_line
from ..profiles import config_path
from ..session import Session, client_command
from ..settings_shown import SETTINGS_COLUMNS, shown_settings


@client_command("status", help="Check the settings and the backend. The exit status is not 0 if something is wrong.")
def status_command(session: Session) -> int:
    report: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "configuration": str(config_path()),
        "is_healthy": False,
    }
    failure: OMPError | None = None
    try:
        connection = session.connection
        report |= {"profile": connection.profile, "settings": shown_settings(connection)}
        report["backend"] = _backend(session)
        report["is_healthy"] = True
    except ImportError as error:
        failure = OMPError(str(error), code="missing_extra")
    except OMPError as error:
        failure = error
    if failure is not None:
        report |= error_body(failure)
    session.output.document(report, [_word(report)], lambda: _text(report))
    if failure is None:
        return 0
    session.say_error(failure)
    return exit_status(failure)


def _backend(session: Session) -> dict[str, Any]:
    began = time.perf_counter()
    with session.memory() as memory:
        opened = time.perf_counter()
        found = {"opened_in_ms": round((opened - began) * 1000), **session.run(backend_report(memory.client))}
        if session.user is not None and "count" in session.run(memory.client.capabilities()).verbs:
            found["memories_of_user"] = session.run(memory.client.run(Count(user_id=session.user)))
    return found


def _word(report: dict[str, Any]) -> str:
    return "healthy" if report["is_healthy"] else "unhealthy"


def _text(report: dict[str, Any]) -> str:
    profile = report.get("profile")
    lines = [
        f"openmem {report['version']}, Python {report['python']}",
        f"configuration: {report['configuration']}" + ("" if profile is None else f", profile {profile}"),
    ]
    if "settings" in report:
        lines += ["", table(report["settings"], SETTINGS_COLUMNS, None)]
    backend = report.get("backend")
    if backend is not None:
        lines += ["", *(f"{name.replace('_', ' ')}: {value}" for name, value in backend.items())]
        lines += [f"{backend[name]:,} {advice}" for name, advice in ADVICE.items() if backend.get(name)]
    return "\n".join([*map(_printable, lines), "", _word(report)])


def _printable(line: str) -> str:
    return line if "\n" in line else one_line(line)
