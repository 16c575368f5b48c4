"""The commands ``config``, ``profile`` and ``completion``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from ..._suggestions import closest
from ..._text import quoted
from ...errors import InvalidRequestError
from ...settings import Seconds, Setting, Several, Text, Whole
from ..connection import KNOWN, PROVIDER_OF
from ..failures import EXIT_FAILED
from ..output import Column
from ..plain import one_line
from ..profiles import DEFAULT_PROFILE, KEYS, OWN_KEYS, SECRETS, alone_in, config_path, read_config
from ..session import Session, SessionCommand, client_command, confirm
from ..settings_shown import SETTINGS_COLUMNS, shown_settings
from ..streams import is_terminal, text_of
from ..toml_lines import with_value, without_table

SHELLS: Final = ("bash", "zsh", "fish", "powershell")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TABLES: Final = frozenset({"config", "options"})
_OWN: Final = {name: Setting(Text(), help, name=name) for name, help in OWN_KEYS.items()}


def _setting(key: str) -> Setting:
    if key not in KEYS:
        meant = closest(key, KEYS, 0.6)
        hint = f"there are {', '.join(sorted(KEYS))}" if meant is None else f"did you mean {meant!r}?"
        raise InvalidRequestError(f"there is no setting {quoted(key)}; {hint}")
    if key in _TABLES:
        raise InvalidRequestError(f"{key}: it is a table; write it into {config_path()} as [profiles.NAME.{key}]")
    if key == "grants":
        return Setting(Several(), "scope grants", name=key)
    return KNOWN.get(key) or _OWN[key]


def _value(key: str, text: str) -> Any:
    """A value as the file has it: numbers and lists as such, all else as text."""
    setting = _setting(key)
    try:
        value = setting.kind.check(setting.kind.parse(text))
    except ValueError as error:
        raise InvalidRequestError(f"{key}: {error}") from None
    if key == "path" and not os.path.isabs(os.path.expanduser(text)):
        raise InvalidRequestError("path: it is relative; write the whole path")
    return value if isinstance(setting.kind, Whole | Seconds | Several) else text


def _change(change: Callable[[str], str]) -> Path:
    """Change the text of the file."""
    from ...transfer.atomic_file import atomic_file  # noqa: PLC0415 - much comes with it

    path = read_config().path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone_in(path.parent):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        try:
            changed = change(text)
        except ValueError as error:
            raise InvalidRequestError(f"{path}: {error}") from None
        with atomic_file(path.resolve()) as file:
            file.write(changed.encode())
    return path


def _profile_name(profile: str | None) -> str:
    name = profile or os.environ.get("OPENMEM_PROFILE") or read_config().chosen or DEFAULT_PROFILE
    if not _NAME.fullmatch(name):
        raise InvalidRequestError("profile: a name has letters, digits, '-' and '_', and 64 characters at most")
    return name


def _secret(key: str) -> str:
    if is_terminal(sys.stdin):
        text: str = click.prompt(key, hide_input=True, err=True)
        return text
    return text_of("-")


@client_command("path", help="Show where the configuration file is, or would be.", has_backend=False)
def _path(session: Session) -> None:
    path = str(config_path())
    session.output.document({"path": path}, [path], lambda: path)


@client_command("show", help="Show the settings that count, and where each comes from. Secrets are not shown.")
def _show(session: Session) -> None:
    rows = shown_settings(session.connection)
    session.output.rows({"settings": rows}, rows, SETTINGS_COLUMNS, lambda row: str(row["name"]))


@client_command("get", help="Show the value of a setting that counts.")
@click.argument("key", metavar="KEY")
def _get(session: Session, key: str) -> int:
    if key in SECRETS:
        raise InvalidRequestError(f"{key}: it is a secret, or may hold some, and is never shown")
    if key not in OWN_KEYS:
        _setting(key)
    values = {row["name"]: row["value"] for row in shown_settings(session.connection)}
    if key not in values:
        session.output.note(f"{key} is not set")
        return EXIT_FAILED
    session.output.document({key: values[key]}, [str(values[key])], lambda: one_line(str(values[key])))
    return 0


def _set(session: Session, key: str, value: str | None, profile: str | None) -> None:
    _setting(key)
    if key in SECRETS:
        if value not in (None, "-"):
            raise InvalidRequestError(
                f"{key}: it is a secret, and others can read a command line; leave the value out to be asked for it, "
                f"or write it to standard input"
            )
        value = _secret(key)
    elif value is None:
        raise InvalidRequestError(f"{key}: give a value; {(_setting(key)).help}")
    table = ("profiles", _profile_name(profile))
    given = _value(key, text_of(value))
    path = _change(lambda text: with_value(text, table, key, given))
    session.output.note(f"{key} is set in the profile {table[1]} of {path}")


def _unset(session: Session, key: str, profile: str | None) -> None:
    _setting(key)
    table = ("profiles", _profile_name(profile))
    values = read_config().profiles.get(table[1], {})
    if key not in values:
        raise InvalidRequestError(f"{key}: the profile {table[1]} does not have it")
    path = _change(lambda text: with_value(text, table, key, None))
    session.output.note(f"{key} is not set any more in the profile {table[1]} of {path}")


def _list_profiles(session: Session) -> None:
    file = read_config()
    rows = [
        {
            "name": name,
            "provider": _provider_of(values),
            "user": values.get("user"),
            "chosen": name == (file.chosen or DEFAULT_PROFILE),
        }
        for name, values in file.profiles.items()
    ]
    session.output.rows({"profiles": rows}, rows, _PROFILES, lambda row: str(row["name"]), "there are no profiles")


def _provider_of(values: Any) -> str:
    return str(values.get("provider") or next((PROVIDER_OF[name] for name in PROVIDER_OF if name in values), "local"))


def _use_profile(session: Session, name: str) -> None:
    read_config().profile(name)
    _change(lambda text: with_value(text, (), "profile", name))
    session.output.note(f"the profile {name} is used from now on")


def _remove_profile(session: Session, name: str, is_sure: bool) -> None:
    file = read_config()
    file.profile(name)
    confirm(session, f"Remove the profile {name} for good?", is_sure)

    def removed(text: str) -> str:
        changed = without_table(text, ("profiles", name))
        return with_value(changed, (), "profile", None) if file.chosen == name else changed

    path = _change(removed)
    session.output.note(f"the profile {name} is removed from {path}; the memories of its backend stay")


def _completion(session: Session, shell: str) -> None:
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only for this command

    found = get_completion_class(shell)
    if found is None:
        raise InvalidRequestError(f"the installed click knows no completion for {shell}: pip install 'click>=8.5'")
    from ..application import application  # noqa: PLC0415 - it imports this module

    click.echo(found(application, {}, "openmem", "_OPENMEM_COMPLETE").source())


_PROFILES: Final = (
    Column("", lambda row: "*" if row["chosen"] else ""),
    Column("PROFILE", lambda row: row["name"]),
    Column("PROVIDER", lambda row: row["provider"]),
    Column("USER", lambda row: row["user"]),
)


def _command(name: str, help: str, callback: Callable[..., int | None], *params: click.Parameter) -> click.Command:
    return SessionCommand(name, help=help, callback=callback, params=params, has_backend=False)


def _of_profile() -> click.Option:
    return click.Option(["-p", "--profile"], metavar="NAME", help="Profile to change; by default the one that is used.")


config_command = click.Group(
    "config",
    help="Show and change settings. They are kept in profiles of the configuration file.",
    commands=[
        _path,
        _show,
        _get,
        _command(
            "set",
            "Keep a setting in a profile. For a secret leave VALUE out: you are asked for it, or it is read from "
            "standard input.",
            _set,
            click.Argument(["key"], metavar="KEY"),
            click.Argument(["value"], metavar="[VALUE]", required=False),
            _of_profile(),
        ),
        _command(
            "unset", "Remove a setting from a profile.", _unset, click.Argument(["key"], metavar="KEY"), _of_profile()
        ),
    ],
)
profile_command = click.Group(
    "profile",
    help="List profiles, choose one, and remove one.",
    commands=[
        _command("list", "List the profiles. The one that is used has a star.", _list_profiles),
        _command(
            "remove",
            "Remove a profile. The memories of its backend stay.",
            _remove_profile,
            click.Argument(["name"], metavar="NAME"),
            click.Option(["is_sure", "-y", "--yes"], is_flag=True, help="Do not ask."),
        ),
        _command("use", "Use a profile from now on.", _use_profile, click.Argument(["name"], metavar="NAME")),
    ],
)
completion_command = SessionCommand(
    "completion",
    help='Write the completion script of a shell. For bash: eval "$(openmem completion bash)".',
    callback=_completion,
    params=[click.Argument(["shell"], type=click.Choice(SHELLS), metavar="SHELL")],
    has_backend=False,
    without=("json", "jsonl", "quiet", "no_input", "verbose"),
)
