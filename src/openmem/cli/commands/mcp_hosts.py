"""``openmem mcp install`` and ``uninstall``: openmem in the configuration of MCP hosts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from ...errors import InvalidRequestError
from ...mcp import require_mcp_extra
from ...mcp.hosts.entries import DEFAULT_NAME, KEY_VARIABLE, PROFILE_VARIABLE, USER_VARIABLE, Entry, mcp_url
from ...mcp.hosts.install import Outcome, configuration_file, executable, fragment, host_named, this_place
from ...mcp.hosts.install import install as put_in
from ...mcp.hosts.install import uninstall as take_out
from ...mcp.hosts.known import HOSTS, Host
from ..connection import KNOWN, find_connection
from ..plain import one_line

_HOST: Final = click.Argument(["host"], type=click.Choice(list(HOSTS)), metavar="HOST")
_NAME: Final = click.Option(["--name"], default=DEFAULT_NAME, metavar="NAME", help="Name of the entry.")
_FILE: Final = click.Option(
    ["--file"], type=click.Path(path_type=Path), metavar="FILE",
    help="The file of configuration, such as .vscode/mcp.json of a project; by default the user's.",
)  # fmt: skip


def install(
    host: str,
    http: str | None,
    user: str | None,
    profile: str | None,
    key_variable: str,
    has_no_key: bool,
    name: str,
    file: Path | None,
    is_forced: bool,
    is_print: bool,
) -> None:
    known = host_named(host)
    if http is None:
        entry = _program(user, profile, name)
    else:
        key = None if has_no_key else key_variable
        entry = Entry(url=mcp_url(http), user=user, profile=profile, key_variable=key, name=name)
    text = fragment(known, entry)
    path = _path(known, file, is_forced=is_forced or is_print)
    if is_print:
        click.echo(text.rstrip("\r\n"))
        _say(f"this belongs into {path}; nothing was written")
        return
    _tell(put_in(known, entry, path), "openmem is in", "openmem was already in")
    _say(f"now: {known.after}")
    if entry.url is None:
        _warn_of_variables()
    elif known.input(entry) is not None:
        _say(f"{known.title} will ask for the API key")
    elif entry.key_variable is None and entry.user is None:
        _say("a server without keys is told whose memories by the host: install it again with -u NAME")
    elif entry.key_variable is not None:
        _say(f"the API key is read from the variable {entry.key_variable}, which {known.title} must see when it starts")


def uninstall(host: str, name: str, file: Path | None) -> None:
    known = host_named(host)
    path = _path(known, file, is_forced=True)
    _tell(take_out(known, name, path), "openmem is no longer in", "openmem was not in")


def _program(user: str | None, profile: str | None, name: str) -> Entry:
    """The entry of the program, with what the host's environment will not have."""
    require_mcp_extra("openmem mcp")
    user = user or os.environ.get(USER_VARIABLE) or None
    profile = profile or os.environ.get(PROFILE_VARIABLE) or None
    if find_connection({"user": user}, profile).user is None:
        raise InvalidRequestError(
            "--user: whose memories? pass -u NAME, set OMP_USER, or run 'openmem config set user NAME'"
        )
    return Entry((executable(), "mcp"), user=user, profile=profile, name=name)


def _path(host: Host, file: Path | None, *, is_forced: bool) -> Path:
    return configuration_file(host, this_place(), force=is_forced) if file is None else file.absolute()


def _tell(outcome: Outcome, changed: str, unchanged: str) -> None:
    gone = ", which had nothing else and is gone" if outcome.is_deleted else ""
    _say(f"{changed if outcome.is_changed else unchanged} {outcome.path}{gone}")
    if outcome.backup is not None:
        _say(f"what it was before is in {outcome.backup}")


def _warn_of_variables() -> None:
    variables = sorted(
        setting.variable
        for name, setting in KNOWN.items()
        if name != "user" and setting.variable is not None and os.environ.get(setting.variable)
    )
    if variables:
        _say(
            f"{', '.join(variables)}: set here, and hosts may not see it; put it into a profile with "
            "'openmem config set', and pass --profile"
        )


def _say(text: str) -> None:
    click.echo(one_line(text), err=True)


install_command = click.Command(
    "install",
    help="Put openmem into the configuration of an MCP host, or bring its entry up to date. Everything else in the "
    f"file stays as it is. HOST is one of {', '.join(HOSTS)}.",
    callback=install,
    params=[
        _HOST,
        click.Option(["--http"], metavar="URL", help="Address of an omp-server's /mcp, instead of a program to start."),
        click.Option(["user", "-u", "--user"], metavar="NAME", help="Whose memories. [OMP_USER]"),
        click.Option(
            ["profile", "-p", "--profile"], metavar="NAME",
            help="Profile of the configuration file, for the program. [OPENMEM_PROFILE]",
        ),
        click.Option(
            ["--key-variable"], default=KEY_VARIABLE, metavar="VARIABLE",
            help=f"Environment variable in which the host finds the API key for --http; by default {KEY_VARIABLE}.",
        ),
        click.Option(["has_no_key", "--no-key"], is_flag=True, help="The server of --http wants no key."),
        _NAME,
        _FILE,
        click.Option(["is_forced", "--force"], is_flag=True, help="Make the folder of a host that is not installed."),
        click.Option(["is_print", "--print"], is_flag=True, help="Show the entry, and write nothing."),
    ],
)  # fmt: skip
uninstall_command = click.Command(
    "uninstall",
    help="Take openmem out of the configuration of an MCP host. HOST is one of " + ", ".join(HOSTS) + ".",
    callback=uninstall,
    params=[_HOST, _NAME, _FILE],
)
