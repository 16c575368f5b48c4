"""The command that spreads a store over several machines."""

from __future__ import annotations

import click

from ...errors import InvalidRequestError
from ...scaling import DEFAULT_SHARDS, MAX_SHARDS, scale_out
from ..plain import counted
from ..session import Session, SessionCommand


def spread(session: Session, shards: int, dry_run: bool) -> None:
    connection = session.connection
    url = connection.settings.get("url")
    if connection.provider != "postgres" or url is None:
        raise InvalidRequestError("OMP_POSTGRES_URL: name the coordinator of the Citus cluster there, or in a profile")
    schema = {"schema": connection.settings["schema"]} if "schema" in connection.settings else {}
    done = scale_out(url, shards=shards, dry_run=dry_run, progress=lambda text: click.echo(text, err=True), **schema)
    count = counted(len(done.steps), "step", "steps")
    told = f"{'to be done' if dry_run else 'done'}: {count}" if done.steps else "nothing is left to do"
    session.output.document({"dry_run": dry_run, "steps": list(done.steps)}, done.steps, lambda: told)


scale_out_command = SessionCommand(
    "scale-out",
    help="Divide the tables over the nodes of a Citus cluster. With what is stored; it may be stopped at any time, and "
    "goes on. Run it again after an upgrade.",
    callback=spread,
    params=[
        click.Option(
            ["--shards"],
            type=click.IntRange(1, MAX_SHARDS),
            default=DEFAULT_SHARDS,
            show_default=True,
            help="Into how many parts. Only the first time.",
        ),
        click.Option(["--dry-run"], is_flag=True, help="Say what would be done, and do nothing."),
    ],
)
