"""The command ``omp-server``: serve a backend over HTTP, and manage API keys."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from .. import __version__
from .._suggestions import closest
from .._text import quoted
from ..errors import InvalidRequestError
from ..given import Given, environment, flags
from ..settings import Switch
from .commands import (
    BACKEND_SETTINGS,
    EXIT_FAILED,
    OPTIONS,
    create_key,
    describe_key,
    list_keys,
    revoke_key,
    run_server,
)

EXIT_MISUSED: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 for a failure, 2 for wrong usage or settings."""
    try:
        _refuse_unknown_flags(sys.argv[1:] if arguments is None else arguments)
        parsed = command_line().parse_args(arguments)
        if parsed.command == "keys":
            _keys(parsed)
            return 0
        given = Given(OPTIONS, flags(vars(parsed)), environment(OPTIONS, os.environ))
        return run_server(given, given.among(BACKEND_SETTINGS), _say)
    except InvalidRequestError as error:
        _say(error.message)
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
            raise InvalidRequestError(
                f"there is no flag {quoted(flag)}" + ("" if meant is None else f"; did you mean {meant}?")
            )


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
    file.add_argument("--keys-file", dest="file", metavar="FILE", help="file of API keys [OMP_KEYS_FILE]")
    file.add_argument("--file", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    create = actions.add_parser("create", parents=[file], allow_abbrev=False, help="make a key and print it, once")
    create.add_argument("--app", required=True, help="application that will use it; in the audit log")
    create.add_argument("--user", action="append", metavar="USER", help="user it may act for; by default any")
    create.add_argument("--grant", action="append", metavar="GRANT", help="such as 'read:coding/*'; by default all")
    create.add_argument("--expires", metavar="WHEN", help="such as 90d, 12h or 2027-01-31; by default never")
    actions.add_parser("list", parents=[file], allow_abbrev=False, help="list the keys, without their secrets")
    revoke = actions.add_parser("revoke", parents=[file], allow_abbrev=False, help="make a key useless from now on")
    revoke.add_argument("id", help="the key's id, the part behind 'omk_'")
    return parser


def _keys(parsed: argparse.Namespace) -> None:
    if parsed.action == "create":
        print(
            create_key(
                parsed.file,
                app=parsed.app,
                users=parsed.user,
                grants=parsed.grant,
                expires=parsed.expires,
                say=_say,
            )
        )
    elif parsed.action == "revoke":
        revoke_key(parsed.file, parsed.id, _say)
    else:
        for key in list_keys(parsed.file):
            id, *columns = describe_key(key)
            names = ("app", "users", "grants", "created", "expires")
            print(id, *(f"{name}={text}" for name, text in zip(names, columns, strict=True)), sep="\t")


if __name__ == "__main__":
    sys.exit(main())
