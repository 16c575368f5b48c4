"""The command ``omp-server``: serve a backend over HTTP, and manage API keys."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..errors import InvalidRequestError, OMPError, UnsupportedProviderError
from . import require_server_extra

EXIT_FAILED: Final = 1
EXIT_MISUSED: Final = 2
SHORT_KEY: Final = 24

LOG_FORMAT: Final = "time=%(asctime)s.%(msecs)03dZ level=%(levelname)s logger=%(name)s %(message)s"


class UsageError(Exception):
    """The command cannot be carried out as it was given."""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting, given as a flag or in the environment.

    Attributes:
        flag: its name as a flag; None if only the environment may have it, since others can read a
            command line.
        variable: its name in the environment.
        parse: from its text to its value; raises `ValueError`.
        help: what it is.
        default: its value when it is not given.
    """

    flag: str | None
    variable: str
    parse: Callable[[str], Any]
    help: str
    default: Any = None

    def value(self, given: str | None, environment: Mapping[str, str]) -> Any:
        """The value: the flag's, else the environment's, else the default."""
        source, text = (self.flag, given) if given is not None else (self.variable, environment.get(self.variable))
        if not text:
            return self.default
        try:
            return self.parse(text)
        except ValueError as error:
            raise UsageError(f"bad config: {source}: {error}") from None


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise ValueError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return parse


def _port(text: str) -> int:
    port = _whole(0)(text)
    if port > 65_535:
        raise ValueError(f"{text!r} is not a port")
    return port


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or not float(text):
        raise ValueError(f"{text!r} is not a positive number of seconds")
    return float(text)


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{text!r} is not 'true' or 'false'")


def _several(text: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in text.split(",")) if part)


def _log_level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError(f"{text!r} is not one of debug, info, warning, error")
    return text.upper()


SERVER_OPTIONS: Final[Mapping[str, Option]] = {
    "provider": Option("--provider", "OMP_PROVIDER", str, "backend behind the server", "postgres"),
    "host": Option("--host", "OMP_HOST", str, "address to listen on", "127.0.0.1"),
    "port": Option("--port", "OMP_PORT", _port, "port to listen on; 0 is any free one", 8080),
    "keys_file": Option("--keys-file", "OMP_KEYS_FILE", Path, "file of API keys"),
    "keys": Option(None, "OMP_API_KEYS", _several, "further API keys, separated by commas", ()),
    "no_auth": Option("--no-auth", "OMP_NO_AUTH", _switch, "serve other machines without API keys", False),
    "cors_origins": Option(
        "--cors-origins", "OMP_CORS_ORIGINS", _several, "origins that browsers may call from, by commas", ()
    ),
    "max_in_flight": Option("--max-in-flight", "OMP_MAX_IN_FLIGHT", _whole(1), "requests at the same time", 64),
    "max_connections": Option(
        "--max-connections", "OMP_MAX_CONNECTIONS", _whole(1), "connections of clients at the same time"
    ),
    "rate_limit_per_minute": Option("--rate-limit", "OMP_RATE_LIMIT", _whole(1), "requests a minute for each key"),
    "read_timeout": Option(
        "--read-timeout", "OMP_READ_TIMEOUT", _seconds, "seconds a client may take to send a body", 10.0
    ),
    "head_timeout": Option(
        "--head-timeout", "OMP_HEAD_TIMEOUT", _seconds, "seconds a client may take to send a request's head", 10.0
    ),
    "shutdown_grace": Option(
        "--shutdown-grace", "OMP_SHUTDOWN_GRACE", _seconds, "seconds running requests get at the end", 10.0
    ),
    "metrics": Option("--metrics", "OMP_METRICS", _switch, "serve Prometheus metrics at /metrics", False),
}

BACKEND_OPTIONS: Final[Mapping[str, Option]] = {
    "url": Option("--postgres-url", "OMP_POSTGRES_URL", str, "libpq URL of the PostgreSQL server"),
    "base_url": Option("--base-url", "OMP_BASE_URL", str, "URL of the backend's HTTP interface"),
    "api_key": Option(None, "OMP_API_KEY", str, "credential for the backend"),
    "path": Option("--path", "OMP_PATH", str, "data directory of provider local"),
    "embedder": Option("--embedder", "OMP_EMBEDDER", str, "embedder, as 'name' or 'provider:model'"),
    "reranker": Option("--reranker", "OMP_RERANKER", str, "reranker, as 'name' or 'provider:model'"),
    "token_counter": Option(
        "--token-counter", "OMP_TOKEN_COUNTER", str, "what counts tokens, as 'tiktoken:o200k_base'"
    ),
    "schema": Option("--schema", "OMP_SCHEMA", str, "PostgreSQL schema of the tables"),
    "audit": Option("--audit", "OMP_AUDIT", str, "what is audited: all, writes or off"),
    "timeout": Option("--timeout", "OMP_TIMEOUT", _seconds, "seconds a statement or an upstream request may take"),
    "pool_max_size": Option("--pool-max-size", "OMP_POOL_MAX_SIZE", _whole(1), "connections to the backend"),
}

LOG_LEVEL: Final = Option(
    "--log-level", "OMP_LOG_LEVEL", _log_level, "least level of what is logged; by default requests and warnings"
)

REQUIRED: Final[Mapping[str, str]] = {"postgres": "url", "passthrough": "base_url"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 for a failure, 2 for wrong usage or settings."""
    parsed = command_line().parse_args(arguments)
    try:
        if parsed.command == "keys":
            return _keys(parsed)
        return _serve(parsed)
    except UsageError as error:
        _say(str(error))
        return EXIT_MISUSED
    except ImportError as error:
        _say(str(error))
        return EXIT_FAILED


def _say(message: str) -> None:
    print(f"omp-server: {message}", file=sys.stderr, flush=True)


def command_line() -> argparse.ArgumentParser:
    """The parser of the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="omp-server",
        description="Serve a memory backend over HTTP, as the Open Memory Protocol.",
        epilog="Every flag can be given in the environment as well; OMP_API_KEYS and OMP_API_KEY only there.",
    )
    parser.add_argument("--version", action="version", version=f"omp-server {__version__}")
    for name, option in {**SERVER_OPTIONS, **BACKEND_OPTIONS, "log_level": LOG_LEVEL}.items():
        if option.flag is None:
            continue
        text = f"{option.help} [{option.variable}]"
        if option.parse is _switch:
            parser.add_argument(option.flag, dest=name, action="store_const", const="true", help=text)
        else:
            parser.add_argument(option.flag, dest=name, metavar=name.upper(), help=text)
    commands = parser.add_subparsers(dest="command", metavar="keys")
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    actions = keys.add_subparsers(dest="action", required=True)
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument("--file", help="file of API keys [OMP_KEYS_FILE]")
    create = actions.add_parser("create", parents=[file], help="make a key and print it, once")
    create.add_argument("--app", required=True, help="application that will use it; in the audit log")
    create.add_argument("--user", action="append", metavar="USER", help="user it may act for; by default any")
    create.add_argument("--grant", action="append", metavar="GRANT", help="such as 'read:coding/*'; by default all")
    create.add_argument("--expires", metavar="WHEN", help="such as 90d, 12h or 2027-01-31; by default never")
    actions.add_parser("list", parents=[file], help="list the keys, without their secrets")
    revoke = actions.add_parser("revoke", parents=[file], help="make a key useless from now on")
    revoke.add_argument("id", help="the key's id, the part behind 'omk_'")
    return parser


def _serve(parsed: argparse.Namespace) -> int:
    require_server_extra()
    from .app import create_app  # noqa: PLC0415 - the extra may be missing
    from .config import OmpServerConfig  # noqa: PLC0415
    from .serve import ListenError, listen, serve  # noqa: PLC0415

    def values(options: Mapping[str, Option]) -> dict[str, Any]:
        return {name: option.value(getattr(parsed, name, None), os.environ) for name, option in options.items()}

    server_settings = values(SERVER_OPTIONS)
    backend_settings = {name: value for name, value in values(BACKEND_OPTIONS).items() if value is not None}
    provider = server_settings["provider"]
    _require_backend(provider, backend_settings)
    config = OmpServerConfig(**server_settings, settings=backend_settings)
    if not config.has_keys and not config.no_auth:
        config = OmpServerConfig(**server_settings, settings=backend_settings, loopback_only=True)
    _log_to_stderr(LOG_LEVEL.value(parsed.log_level, os.environ))
    try:
        config.check_exposure()
        app = create_app(config)
    except UnsupportedProviderError as error:
        raise UsageError(f"bad config: {error.message}") from None
    except InvalidRequestError as error:
        name = error.message.partition(":")[0]
        is_missing = name in BACKEND_OPTIONS and name not in backend_settings
        raise UsageError(f"{'missing' if is_missing else 'bad'} config: {error.message}") from None
    _warn(config)
    try:
        serve(app, config, listen(config.host, config.port))
    except ListenError as error:
        _say(str(error))
        return EXIT_FAILED
    except OMPError as error:
        _say(f"cannot start: {error.message}")
        return EXIT_FAILED
    return 0


def _require_backend(provider: str, settings: Mapping[str, Any]) -> None:
    name = REQUIRED.get(provider)
    if name is not None and name not in settings:
        option = BACKEND_OPTIONS[name]
        raise UsageError(
            f"missing config: provider {provider!r} needs {option.variable} or {option.flag} ({option.help})"
            + ("; --provider local needs nothing" if provider == "postgres" else "")
        )


def _warn(config: Any) -> None:
    if config.no_auth and not config.has_keys:
        _say(
            "WARNING: --no-auth: everyone who can reach this port can read, change and delete every memory "
            "of every user"
        )
    if any(len(key) < SHORT_KEY for key in config.keys):
        _say(f"WARNING: OMP_API_KEYS has a key of less than {SHORT_KEY} characters; long random ones cannot be guessed")
    if config.keys_file is not None and os.name == "posix" and config.keys_file.stat().st_mode & 0o077:
        _say(f"WARNING: {config.keys_file} can be read by other accounts; chmod 600 it")


def _log_to_stderr(level: str | None) -> None:
    handler = logging.StreamHandler()
    formatter = logging.Formatter(LOG_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # Its warnings are about single requests, which the access log tells.
    logging.getLogger("uvicorn").setLevel("ERROR")
    logging.getLogger("openmem").setLevel(level or "WARNING")
    logging.getLogger("openmem.access").setLevel(level or "INFO")


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
