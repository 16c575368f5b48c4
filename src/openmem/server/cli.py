"""The command ``omp-server``: serve a backend over HTTP, and manage API keys."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from .. import __version__
from .._suggestions import closest
from .._text import quoted
from ..config import SETTINGS, UnreadSettingError
from ..errors import InvalidRequestError, OMPError
from ..settings import Choice, Setting, Switch
from . import require_server_extra
from .config import SERVER_SETTINGS, OmpServerConfig

EXIT_FAILED: Final = 1
EXIT_MISUSED: Final = 2
SHORT_KEY_CHARACTERS: Final = 24

LOG_FORMAT: Final = "time=%(asctime)s.%(msecs)03dZ level=%(levelname)s logger=%(name)s %(message)s"


class UsageError(Exception):
    """The command cannot be carried out as it was given."""


LOG_LEVEL: Final = Setting(
    Choice(("debug", "info", "warning", "error")),
    "least level of what is logged; by default requests and warnings",
    option="log-level",
    name="log_level",
)
BACKEND_SETTINGS: Final[Mapping[str, Setting]] = {
    name: setting for name, setting in SETTINGS.items() if setting.option is not None
}
OPTIONS: Final[Mapping[str, Setting]] = {**SERVER_SETTINGS, **BACKEND_SETTINGS, LOG_LEVEL.name: LOG_LEVEL}
"""Everything that can be given as a flag or in the environment, by its name in Python."""

REQUIRED: Final[Mapping[str, str]] = {"postgres": "url", "passthrough": "base_url"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 for a failure, 2 for wrong usage or settings."""
    try:
        _refuse_unknown_flags(sys.argv[1:] if arguments is None else arguments)
        parsed = command_line().parse_args(arguments)
        if parsed.command == "keys":
            return _keys(parsed)
        return _serve(parsed)
    except UsageError as error:
        _say(str(error))
        return EXIT_MISUSED
    except ImportError as error:
        _say(str(error))
        return EXIT_FAILED


def _refuse_unknown_flags(arguments: Sequence[str]) -> None:
    """Name a flag that there is not. argparse would complain of its value, since it may be a command."""
    known = {"--help", "--version", *(setting.flag for setting in OPTIONS.values() if setting.flag is not None)}
    for argument in arguments:
        if argument in ("keys", "--"):
            return
        flag = argument.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            meant = next((name for name in sorted(known) if name.startswith(flag)), None) or closest(flag, known)
            raise UsageError(f"there is no flag {quoted(flag)}" + ("" if meant is None else f"; did you mean {meant}?"))


def _say(message: str) -> None:
    print(f"omp-server: {message}", file=sys.stderr, flush=True)


def command_line() -> argparse.ArgumentParser:
    """The parser of the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="omp-server",
        allow_abbrev=False,
        description="Serve a memory backend over HTTP, as the Open Memory Protocol.",
        epilog="Every flag can be given in the environment as well; OMP_API_KEYS and OMP_API_KEY only there.",
    )
    parser.add_argument("--version", action="version", version=f"omp-server {__version__}")
    for name, setting in OPTIONS.items():
        if setting.flag is None:
            continue
        text = f"{setting.help} [{setting.variable}]"
        if isinstance(setting.kind, Switch):
            parser.add_argument(setting.flag, dest=name, action="store_const", const="true", help=text)
        else:
            parser.add_argument(setting.flag, dest=name, metavar=name.upper(), help=text)
    commands = parser.add_subparsers(dest="command", metavar="keys")
    keys = commands.add_parser("keys", allow_abbrev=False, help="make, list and revoke API keys")
    actions = keys.add_subparsers(dest="action", required=True)
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument("--file", help="file of API keys [OMP_KEYS_FILE]")
    create = actions.add_parser("create", parents=[file], allow_abbrev=False, help="make a key and print it, once")
    create.add_argument("--app", required=True, help="application that will use it; in the audit log")
    create.add_argument("--user", action="append", metavar="USER", help="user it may act for; by default any")
    create.add_argument("--grant", action="append", metavar="GRANT", help="such as 'read:coding/*'; by default all")
    create.add_argument("--expires", metavar="WHEN", help="such as 90d, 12h or 2027-01-31; by default never")
    actions.add_parser("list", parents=[file], allow_abbrev=False, help="list the keys, without their secrets")
    revoke = actions.add_parser("revoke", parents=[file], allow_abbrev=False, help="make a key useless from now on")
    revoke.add_argument("id", help="the key's id, the part behind 'omk_'")
    return parser


class Given:
    """The settings on the command line and in the environment.

    Raises:
        UsageError: the text of one does not stand for a value of its kind.
    """

    def __init__(self, parsed: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self._values: dict[str, Any] = {}
        self._spelled: dict[str, str] = {}
        for name, setting in OPTIONS.items():
            flag = getattr(parsed, name, None)
            text = flag if flag is not None else environment.get(setting.variable or "")
            if text:
                spelled = setting.flag if flag is not None else setting.variable
                self._spelled[name] = spelled or name
                try:
                    self._values[name] = setting.kind.parse(text)
                except ValueError as error:
                    raise UsageError(f"bad config: {spelled}: {error}") from None

    def among(self, settings: Mapping[str, Setting]) -> dict[str, Any]:
        """The values of those of these settings that are given."""
        return {name: self._values[name] for name in settings if name in self._values}

    def usage_error(self, error: InvalidRequestError) -> UsageError:
        """The error of a client, in the words of the command line."""
        if isinstance(error, UnreadSettingError):
            reads = [self.spelled(name) for name in sorted(error.reads) if name in BACKEND_SETTINGS]
            return UsageError(
                f"bad config: {self.spelled(error.setting.name)}: provider {error.refused_by!r} does not read it; "
                f"it reads {', '.join(reads) or 'none of these'}"
            )
        name = error.message.partition(":")[0]
        is_missing = name in BACKEND_SETTINGS and name not in self._values
        return UsageError(f"{'missing' if is_missing else 'bad'} config: {self.in_options(error.message)}")

    def spelled(self, name: str) -> str:
        """What the command line calls a setting: as it is given, or by its flag, or by its variable."""
        return self._spelled.get(name) or OPTIONS[name].flag or OPTIONS[name].variable or name

    def in_options(self, message: str) -> str:
        """A message that names settings as Python does, ``name: …`` and ``name=``, with their options.

        Calls, such as ``embedder=OpenAIEmbedder(api_key=...)``, stay as they are.
        """

        def leading(found: re.Match[str]) -> str:
            return f"{self.spelled(found[1])}:"

        def mentioned(found: re.Match[str]) -> str:
            return self.spelled(found[1]) + (" " if found[2] else "")

        names = "|".join(OPTIONS)
        long_names = "|".join(name for name in BACKEND_SETTINGS if "_" in name)
        message = re.sub(rf"^({names}):", leading, message)
        message = re.sub(rf"(?<![\w?&(-])({names})=(?![A-Z]\w*\()(?=(['\w]?))", mentioned, message)
        return re.sub(rf"(?<![\w-])({long_names})\b(?!=)()", mentioned, message)


def _serve(parsed: argparse.Namespace) -> int:
    require_server_extra()
    from .app import create_app  # noqa: PLC0415 - the extra may be missing
    from .serve import ListenError, listen, serve  # noqa: PLC0415

    given = Given(parsed, os.environ)
    server_settings, backend_settings = given.among(SERVER_SETTINGS), given.among(BACKEND_SETTINGS)
    config = OmpServerConfig(**server_settings, settings=backend_settings)
    if not config.has_keys and not config.no_auth:
        config = replace(config, loopback_only=True)
    _require_backend(config.provider, backend_settings)
    _log_to_stderr(given.among({LOG_LEVEL.name: LOG_LEVEL}).get(LOG_LEVEL.name))
    try:
        config.check_exposure()
        app = create_app(config)
    except InvalidRequestError as error:
        raise given.usage_error(error) from None
    _warn(config)
    try:
        serve(app, config, listen(config.host, config.port))
    except ListenError as error:
        _say(str(error))
        return EXIT_FAILED
    except InvalidRequestError as error:
        raise given.usage_error(error) from None
    except OMPError as error:
        _say(f"cannot start: {given.in_options(error.message)}")
        return EXIT_FAILED
    return 0


def _require_backend(provider: str, settings: Mapping[str, Any]) -> None:
    name = REQUIRED.get(provider)
    if name is not None and name not in settings:
        option = BACKEND_SETTINGS[name]
        raise UsageError(
            f"missing config: provider {provider!r} needs {option.variable} or {option.flag} ({option.help})"
            + ("; --provider local needs nothing" if provider == "postgres" else "")
        )


def _warn(config: OmpServerConfig) -> None:
    if config.no_auth and not config.has_keys:
        _say(
            "WARNING: --no-auth: everyone who can reach this port can read, change and delete every memory "
            "of every user"
        )
    if any(len(key) < SHORT_KEY_CHARACTERS for key in config.keys):
        _say(
            f"WARNING: OMP_API_KEYS has a key of less than {SHORT_KEY_CHARACTERS} characters; "
            "long random ones cannot be guessed"
        )
    if config.keys_file is not None and os.name == "posix" and config.keys_file.stat().st_mode & 0o077:
        _say(f"WARNING: {config.keys_file} can be read by other accounts; chmod 600 it")


def _log_to_stderr(level: str | None) -> None:
    level = None if level is None else level.upper()
    handler = logging.StreamHandler()
    formatter = logging.Formatter(LOG_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # Its warnings are about single requests, which the access log tells.
    logging.getLogger("uvicorn").setLevel("ERROR")
    logging.getLogger("openmem").setLevel(level or "WARNING")
    for name in ("openmem.access", "openmem.purge"):
        logging.getLogger(name).setLevel(level or "INFO")


def _keys(parsed: argparse.Namespace) -> int:
    require_server_extra()
    from .keys import KeysFile  # noqa: PLC0415 - the extra may be missing

    path = parsed.file or os.environ.get("OMP_KEYS_FILE")
    if not path:
        raise UsageError("missing config: the file of API keys; pass --file, or set OMP_KEYS_FILE")
    file = KeysFile(Path(path))
    try:
        if parsed.action == "create":
            key = file.create(
                app=parsed.app, users=parsed.user, grants=parsed.grant, expires_at=_expiry(parsed.expires)
            )
            _say(f"added to {path}; this is the only time the key is shown:")
            print(key)
        elif parsed.action == "revoke":
            file.revoke(parsed.id)
            _say(f"revoked {parsed.id}")
        else:
            for key_entry in file.read().keys:
                print(
                    key_entry.id,
                    f"app={key_entry.app}",
                    f"users={'any' if key_entry.users is None else ','.join(key_entry.users)}",
                    f"grants={'all' if key_entry.grants is None else ','.join(key_entry.grants)}",
                    f"created={key_entry.created_at:%Y-%m-%d}",
                    f"expires={_shown_expiry(key_entry.expires_at)}",
                    sep="\t",
                )
    except InvalidRequestError as error:
        raise UsageError(error.message) from None
    return 0


def _shown_expiry(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" + (" (over)" if moment <= datetime.now(UTC) else "")


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    unit = {"d": "days", "h": "hours", "m": "minutes"}
    if match := re.fullmatch(r"([0-9]{1,5})([dhm])", text):
        return datetime.now(UTC).replace(microsecond=0) + timedelta(**{unit[match[2]]: int(match[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires: {text!r} is not a time such as 90d, 12h or 2027-01-31") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


if __name__ == "__main__":
    sys.exit(main())
