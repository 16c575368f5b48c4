"""The commands that move memories: to files, from files, and between backends."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Final, NoReturn
from urllib.parse import urlsplit

import click

from ...errors import InvalidRequestError, OMPError
from ...transfer import (
    WRITERS,
    Changes,
    Choice,
    ExportReport,
    ImportReport,
    ImportSettings,
    Progress,
    Source,
    format_names,
    read_options,
    read_user_map,
    reader_for,
    writer_for,
)
from ...transfer.atomic_file import atomic_file
from ...transfer.importing import import_source, verify_source
from ...transfer.migrating import migrate
from ..connection import Connection, connection_of_profile
from ..failures import EXIT_FAILED, EXIT_PARTLY, exit_status
from ..plain import counted, one_line
from ..progress import Progress as Shown
from ..records import memories
from ..session import Session, SessionCommand


def _shown(progress: Shown) -> Callable[[Progress], None]:
    return lambda found: progress(found.memories, found.expected)


def _source(path: str) -> Source:
    return Source(None, sys.stdin.buffer, "standard input") if path == "-" else Source.of(path)


def _settings(session: Session | None, given: dict[str, Any]) -> ImportSettings:
    options = dict(read_options(given["options"]))
    if given.get("turns"):
        options["turns"] = "true"
    users = {} if given["user_map"] is None else read_user_map(Path(given["user_map"]))
    try:
        return ImportSettings(
            changes=Changes(users, None if session is None else session.user, given["scope_prefix"]),
            options=options,
            dry_run=given.get("dry_run", False),
            rate=given.get("rate"),
            limit=given["limit"],
        )
    except InvalidRequestError as error:
        raise InvalidRequestError(_SETTING.sub(lambda found: _SETTINGS[found[0]], error.message)) from None


_SETTINGS: Final = {"user_id": "--user-map", "scope": "--scope-prefix", "rate": "--rate", "limit": "--limit"}
_SETTING: Final = re.compile(rf"^({'|'.join(_SETTINGS)})(?=:)")


def _checked(session: Session, format: str, file: str, given: dict[str, Any]) -> tuple[ImportSettings, Source]:
    """What is asked for, as far as it can be known to be right before a backend is reached."""
    reader, settings, source = reader_for(format), _settings(session, given), _source(file)
    reader.check(source, settings.options)
    return settings, source


@contextmanager
def _ends_at_sigterm() -> Iterator[None]:
    """Have SIGTERM end the block as an interrupt does, so that no half of a file is left behind."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:
        # Only the main thread can choose what happens.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


GO_ON: Final = "run the same command again to go on; what is there already is not stored twice"


@contextmanager
def _resumable(session: Session) -> Iterator[None]:
    """Tell who interrupts the block how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        session.output.note(GO_ON)
        raise


@contextmanager
def _in_words_of(*connections: Connection) -> Iterator[None]:
    """Have an error of the block name settings as the connection does whose server it is about."""
    try:
        yield
    except OMPError as error:
        for connection in connections:
            url = urlsplit(str(connection.settings.get("base_url") or ""))
            if url.hostname and url.netloc.rpartition("@")[2] in error.message and "in profile" not in error.message:
                error.message = connection.given.translated(error.message)
        raise


@contextmanager
def _report_file(path: str | None, source: Source | None = None) -> Iterator[Callable[[ImportReport], None]]:
    """What writes a report to a file. That it cannot be written there is known before the work begins."""
    if path is None:
        yield lambda report: None
        return
    if source is not None and source.path is not None and Path(path).exists() and Path(path).samefile(source.path):
        raise InvalidRequestError(f"--report: {path} is the file that is read, and would be replaced; name another one")
    with atomic_file(Path(path)) as file:
        yield lambda report: _write_json(report, file)


def _write_json(report: ImportReport, file: BinaryIO) -> None:
    file.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False).encode() + b"\n")


def _tell(session: Session, report: ImportReport, status: int, target: Connection) -> int:
    """Tell a report, and return the exit status.

    Args:
        target: the backend, whose settings have the names that messages use.
    """
    if report.stopped is not None:
        report.stopped.message = target.given.translated(report.stopped.message)
    session.output.document(report.to_json(), text=lambda: "\n".join(map(one_line, report.lines())))
    if report.stopped is not None:
        session.say_error(report.stopped)
        session.output.note(GO_ON)
        return exit_status(report.stopped)
    return status


def export_memories(
    session: Session, file: str, users: tuple[str, ...], scopes: tuple[str, ...], format: str, **given: bool
) -> None:
    choice = Choice(users or None, scopes or None, **given)
    writer = writer_for(format)
    writer.check(choice)
    with _ends_at_sigterm(), session.memory() as memory, session.progress("exported") as progress:
        shown = _shown(progress)
        if file == "-":
            session.run(writer.to_stream(memory.client, sys.stdout.buffer, choice, shown))
            return
        report = session.run(writer.to_file(memory.client, Path(file), choice, shown))
    session.output.document(report.to_json(), text=lambda: _exported(report))


def _exported(report: ExportReport) -> str:
    """What was exported, for people."""
    said = f"{memories(report.memories)} of {counted(report.users, 'user', 'users')}"
    if report.audit:
        said += f", {counted(report.audit, 'audit entry', 'audit entries')}"
    if not report.consistent:
        said += ", which may have changed while they were read"
    if report.audit_cut:
        said += f"; of {counted(report.audit_cut, 'user', 'users')} only the newest entries of the audit log"
    return said


def import_memories(session: Session, format: str, file: str, report_path: str | None, **given: Any) -> int:
    settings, source = _checked(session, format, file, given)
    with (
        _ends_at_sigterm(),
        _report_file(report_path, source) as write,
        _resumable(session),
        session.memory() as memory,
        session.progress("read") as progress,
    ):
        report = session.run(import_source(memory.client, format, source, settings, _shown(progress)))
        write(report)
    return _tell(session, report, EXIT_PARTLY if report.invalid or report.failed else 0, session.connection)


def verify_memories(session: Session, file: str, format: str, report_path: str | None, **given: Any) -> int:
    settings, source = _checked(session, format, file, given)
    with (
        _report_file(report_path, source) as write,
        session.memory() as memory,
        session.progress("compared") as progress,
    ):
        report = session.run(verify_source(memory.client, format, source, settings, _shown(progress)))
        write(report)
    is_same = report.is_complete and not report.written
    return _tell(session, report, 0 if is_same else EXIT_FAILED, session.connection)


def migrate_memories(
    session: Session,
    source: str,
    target: str,
    users: tuple[str, ...],
    scopes: tuple[str, ...],
    report_path: str | None,
    **given: Any,
) -> int:
    if source == target:
        raise InvalidRequestError("--to: it is the profile of --from; name another one")
    settings = _settings(None, given)
    choice = Choice(users or None, scopes or None)
    origin, to = connection_of_profile(source), connection_of_profile(target)
    with (
        _ends_at_sigterm(),
        _report_file(report_path) as write,
        _resumable(session),
        _in_words_of(origin, to),
        origin.open() as old,
        to.open() as new,
        session.progress("exported") as exported,
        session.progress("read") as imported,
    ):
        _, report = session.run(migrate(old.client, new.client, choice, settings, _shown(exported), _shown(imported)))
        write(report)
    return _tell(session, report, EXIT_PARTLY if report.invalid or report.failed else 0, to)


def _choice_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["users", "-u", "--user"], multiple=True, metavar="NAME",
            help="Only of this user; give it several times. By default of everybody.",
        ),
        click.Option(
            ["scopes", "--scope"], multiple=True, metavar="PATTERN",
            help="Only in this scope; give it several times.",
        ),
    ]  # fmt: skip


def _import_options(*, is_verification: bool = False) -> list[click.Parameter]:
    options: list[click.Parameter] = [
        click.Option(
            ["user_map", "--user-map"], metavar="FILE",
            help="CSV of two columns: users of the source, and who they are in the backend.",
        ),
        click.Option(["scope_prefix", "--scope-prefix"], metavar="PATH", help="Put this before every scope."),
        click.Option(
            ["options", "-o", "--option"], multiple=True, metavar="NAME=VALUE",
            help="Option of the format; give it several times.",
        ),
        click.Option(["limit", "--limit"], type=click.IntRange(1), metavar="N", help="Read so many records at most."),
        click.Option(["report_path", "--report"], metavar="FILE", help="Also write the report there, as JSON."),
    ]  # fmt: skip
    if not is_verification:
        options += [
            click.Option(["dry_run", "--dry-run"], is_flag=True, help="Store nothing; only tell what would be stored."),
            click.Option(
                ["rate", "--rate"], type=click.FloatRange(0, min_open=True), metavar="N",
                help="Read so many records a second at most.",
            ),
        ]  # fmt: skip
    return options


def _turns() -> click.Option:
    return click.Option(["turns", "--turns"], is_flag=True, help="Also the turns of conversations; as -o turns=true.")


def _command(
    name: str, help: str, callback: Callable[..., int | None], params: Sequence[click.Parameter], **rest: Any
) -> click.Command:
    return SessionCommand(name, help=help, callback=callback, params=params, **rest)


export_command = _command(
    "export",
    "Write memories to a file (.omp.jsonl, or .omp.jsonl.gz). - writes to standard output.",
    export_memories,
    [
        click.Argument(["file"], metavar="FILE"),
        *_choice_options(),
        click.Option(["with_audit", "--with-audit"], is_flag=True, help="Also the audit log."),
        click.Option(["with_vectors", "--vectors"], is_flag=True, help="Also what the embedder made of the memories."),
        click.Option(
            ["format", "--format"],
            type=click.Choice([*WRITERS]),
            default=next(iter(WRITERS)),
            help=f"{'; or '.join(f'{name}: {writer.title}' for name, writer in WRITERS.items())}.",
        ),
    ],
)

import_command = _command(
    "import",
    "Store what a file of a format holds and the backend does not have. - reads standard input. --user is for records "
    "that have none. It can be run again at any time.\n\nFormats: "
    f"{', '.join(format_names())}.",
    import_memories,
    [
        click.Argument(["format"], metavar="FORMAT"),
        click.Argument(["file"], metavar="FILE"),
        *_import_options(),
        _turns(),
    ],
)

verify_command = _command(
    "verify",
    "Compare a file with what the backend has, and store nothing. - reads standard input.",
    verify_memories,
    [
        click.Argument(["file"], metavar="FILE"),
        click.Option(["format", "--format"], default="omp", metavar="FORMAT", help="Its format; by default omp."),
        *_import_options(is_verification=True),
        _turns(),
    ],
)

migrate_command = _command(
    "migrate",
    "Store in the backend of one profile what that of another one holds. It can be run again at any time.",
    migrate_memories,
    [
        click.Option(["source", "--from"], required=True, metavar="PROFILE", help="Where they are."),
        click.Option(["target", "--to"], required=True, metavar="PROFILE", help="Where they are to be, too."),
        *_choice_options(),
        *_import_options(),
    ],
    has_backend=False,
)
