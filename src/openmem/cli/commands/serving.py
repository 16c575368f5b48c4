"""The commands ``serve`` and ``keys``: what ``omp-server`` does, with the settings of this command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ...errors import InvalidRequestError
from ...given import Given, environment, flags
from ...server.commands import (
    LOG_LEVEL,
    OPTIONS,
    create_key,
    describe_key,
    list_keys,
    revoke_key,
    run_server,
)
from ...server.config import SERVER_SETTINGS
from ...settings import Setting, Switch
from ..output import Column
from ..session import Session, SessionCommand


def _say(message: str) -> None:
    click.echo(f"openmem: {message}", err=True)


@contextmanager
def _naming_own_commands() -> Iterator[None]:
    """Have an error of the block name the command of ``openmem`` that makes keys, not that of ``omp-server``."""
    try:
        yield
    except InvalidRequestError as error:
        error.message = error.message.replace("omp-server keys", "openmem keys")
        raise


def _option(name: str, setting: Setting) -> click.Option:
    text = f"{setting.help[:1].upper()}{setting.help[1:]}. [{setting.variable}]"
    if isinstance(setting.kind, Switch):
        return click.Option([name, str(setting.flag)], flag_value="true", help=text)
    return click.Option([name, str(setting.flag)], metavar=name.upper(), help=text)


def _serve(session: Session, **given: Any) -> int:
    connection = session.connection
    settings = Given(OPTIONS, flags({**given, "provider": connection.provider}), environment(OPTIONS, os.environ))
    with _naming_own_commands():
        return run_server(settings, connection.arguments(), _say_of_server)


def _say_of_server(message: str) -> None:
    click.echo(f"openmem serve: {message}", err=True)


def _create(session: Session, file: str | None, app: str, **given: Any) -> None:
    key = create_key(file, app=app, users=given["users"], grants=given["grants"], expires=given["expires"], say=_say)
    session.output.document({"key": key}, [key], lambda: key)


def _list(session: Session, file: str | None) -> None:
    with _naming_own_commands():
        keys = list_keys(file)
    titles = ("ID", "APP", "USERS", "GRANTS", "CREATED", "EXPIRES")
    columns = [Column(title, _described(number)) for number, title in enumerate(titles)]
    session.output.rows({"keys": keys}, keys, columns, lambda key: str(key["id"]), "there are no keys")


def _described(number: int) -> Any:
    return lambda key: describe_key(key)[number]


def _revoke(session: Session, file: str | None, id: str) -> None:
    with _naming_own_commands():
        revoke_key(file, id, _say)


class _KeysFile(click.Option):
    """The file of API keys, by the name that it has for the server, too. It is read as ``--file`` as well."""

    def __init__(self) -> None:
        super().__init__(["file", "--keys-file"], metavar="FILE", help="File of API keys. [OMP_KEYS_FILE]")

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        parser.add_option(self, ["--file"], self.name)


serve_command = SessionCommand(
    "serve",
    help="Serve the backend over HTTP, as the Open Memory Protocol. OMP_API_KEYS has further API keys.",
    callback=_serve,
    params=[
        _option(name, setting)
        for name, setting in {**SERVER_SETTINGS, LOG_LEVEL.name: LOG_LEVEL}.items()
        if setting.flag is not None and name != "provider"
    ],
    without=("user", "json", "jsonl", "quiet", "no_input", "verbose"),
)
keys_command = click.Group(
    "keys",
    help="Make, list and revoke the API keys of a server.",
    commands=[
        SessionCommand(
            "create",
            help="Make a key and print it, once.",
            callback=_create,
            has_backend=False,
            params=[
                _KeysFile(),
                click.Option(["--app"], required=True, metavar="NAME", help="Application that will use it."),
                click.Option(
                    ["users", "-u", "--user"], multiple=True, metavar="NAME",
                    help="User it may act for; give it several times. By default any.",
                ),
                click.Option(
                    ["grants", "--grant"], multiple=True, metavar="GRANT",
                    help="Such as 'read:coding/*'; give it several times. By default all.",
                ),
                click.Option(["--expires"], metavar="WHEN", help="Such as 90d, 12h or 2027-01-31. By default never."),
            ],
        ),
        SessionCommand(
            "list",
            help="List the keys, without their secrets.",
            callback=_list,
            has_backend=False,
            params=[_KeysFile()],
        ),
        SessionCommand(
            "revoke",
            help="Make a key useless from now on.",
            callback=_revoke,
            has_backend=False,
            params=[click.Argument(["id"], metavar="ID"), _KeysFile()],
        ),
    ],
)  # fmt: skip
