"""What commands about a server do, whichever program has them: serve a backend, and manage API keys."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from ..config import SETTINGS
from ..errors import InvalidRequestError, OMPError
from ..given import Given
from ..moments import read_moment
from ..settings import Choice, Setting
from . import require_server_extra
from .config import SERVER_SETTINGS, OmpServerConfig

EXIT_FAILED: Final = 1
SHORT_KEY_CHARACTERS: Final = 24

LOG_FORMAT: Final = "time=%(asctime)s.%(msecs)03dZ level=%(levelname)s logger=%(name)s %(message)s"

Say: TypeAlias = Callable[[str], None]
"""Shows a message to whoever runs the program, beside its output."""

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


def run_server(
    given: Given,
    backend_settings: Mapping[str, Any],
    say: Say,
    *,
    announce: Callable[[str], None] | None = None,
    ui_ticket: str | None = None,
) -> int:
    """Serve until a signal ends the process; the exit status.

    Args:
        given: the settings of `OPTIONS` that are given.
        backend_settings: arguments of the client behind the server.
        say: for warnings, and for what the server could not do.
        announce: called once with the server's URL, when requests are answered; by default `say` is told.
        ui_ticket: serve the memory browser, to the web browser that shows this first, and nothing to anybody else.

    Raises:
        InvalidRequestError: a setting is missing or wrong.
        ImportError: the extra is not installed; the message has the command.
    """
    require_server_extra()
    from .app import create_app  # noqa: PLC0415 - the extra may be missing
    from .serve import ListenError, listen, serve  # noqa: PLC0415

    config = OmpServerConfig(**given.among(SERVER_SETTINGS), settings=backend_settings)
    if ui_ticket is not None:
        # The key is told to nobody: what has no session gets nothing, neither pages nor the API.
        config = replace(config, keys=[secrets.token_urlsafe(32)], loopback_only=True, ui=True, ui_ticket=ui_ticket)
    if not config.has_keys and not config.no_auth:
        config = replace(config, loopback_only=True)
    _require_backend(config.provider, backend_settings)
    _log_to_stderr(given.values.get(LOG_LEVEL.name))
    try:
        config.check_exposure()
        app = create_app(config)
    except InvalidRequestError as error:
        raise given.refusal(error) from None
    _warn(config, say)
    try:
        serve(
            app,
            config,
            listen(config.host, config.port),
            announce or (lambda url: say(f"serving {config.provider} at {url}")),
        )
    except ListenError as error:
        say(str(error))
        return EXIT_FAILED
    except InvalidRequestError as error:
        raise given.refusal(error) from None
    except OMPError as error:
        say(f"cannot start: {given.translated(error.message)}")
        return EXIT_FAILED
    return 0


def create_key(
    file: str | None,
    *,
    app: str,
    users: Sequence[str] | None,
    grants: Sequence[str] | None,
    expires: str | None,
    say: Say,
    expires_label: str = "--expires",
) -> str:
    """Make an API key, and keep its hash in a file.

    Args:
        file: the file; by default what OMP_KEYS_FILE names.
        app: the application that will use it.
        users: whom it may act for; None for anyone.
        grants: what it may do; None for everything.
        expires: when it ends, as `read_moment` takes it; None for never.
        say: for where it is kept.
        expires_label: what a message about `expires` calls it.

    Returns:
        The key, which cannot be read anywhere afterwards.

    Raises:
        InvalidRequestError: an argument is wrong, or the file cannot be used.
        ImportError: the extra is not installed.
    """
    path = _keys_path(file)
    from .keys import KeysFile  # noqa: PLC0415 - the extra may be missing

    try:
        expires_at = None if expires is None else read_moment(expires, datetime.now(UTC)).astimezone(UTC)
    except ValueError as error:
        raise InvalidRequestError(f"{expires_label}: {error}") from None
    key = KeysFile(path).create(app=app, users=users or None, grants=grants or None, expires_at=expires_at)
    say(f"added to {path}; this is the only time the key is shown:")
    return key


def revoke_key(file: str | None, key_id: str, say: Say) -> None:
    """Make a key useless from now on.

    Raises:
        InvalidRequestError: there is no such key, or the file cannot be used.
        ImportError: the extra is not installed.
    """
    path = _keys_path(file)
    from .keys import KeysFile  # noqa: PLC0415 - the extra may be missing

    KeysFile(path).revoke(key_id)
    say(f"revoked {key_id}")


def list_keys(file: str | None) -> list[dict[str, Any]]:
    """The keys in a file, without their secrets: JSON objects with id, app, users, grants, created_at and expires_at.

    Users and grants are None for any, and `expires_at` for never.

    Raises:
        InvalidRequestError: the file cannot be used.
        ImportError: the extra is not installed.
    """
    path = _keys_path(file)
    from .keys import KeysFile  # noqa: PLC0415 - the extra may be missing

    return [key.model_dump(mode="json", exclude={"sha256"}) for key in KeysFile(path).read().keys]


def describe_key(key: Mapping[str, Any]) -> tuple[str, ...]:
    """A key of `list_keys` for people: id, app, users, grants, the day it was made, and when it ends."""
    return (
        key["id"],
        key["app"],
        "any" if key["users"] is None else ",".join(key["users"]),
        "all" if key["grants"] is None else ",".join(key["grants"]),
        f"{datetime.fromisoformat(key['created_at']):%Y-%m-%d}",
        _shown_expiry(None if key["expires_at"] is None else datetime.fromisoformat(key["expires_at"])),
    )


def _keys_path(file: str | None) -> Path:
    require_server_extra()
    path = file or os.environ.get("OMP_KEYS_FILE")
    if not path:
        raise InvalidRequestError("missing config: the file of API keys; pass --keys-file, or set OMP_KEYS_FILE")
    return Path(path)


def _shown_expiry(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" + (" (over)" if moment <= datetime.now(UTC) else "")


def _require_backend(provider: str, settings: Mapping[str, Any]) -> None:
    name = REQUIRED.get(provider)
    if name is not None and name not in settings:
        option = BACKEND_SETTINGS[name]
        raise InvalidRequestError(
            f"missing config: provider {provider!r} needs {option.variable} or {option.flag} ({option.help})"
            + ("; --provider local needs nothing" if provider == "postgres" else "")
        )


def _warn(config: OmpServerConfig, say: Say) -> None:
    if config.no_auth and not config.has_keys:
        say(
            "WARNING: --no-auth: everyone who can reach this port can read, change and delete every memory "
            "of every user"
        )
    if any(len(key) < SHORT_KEY_CHARACTERS for key in config.keys):
        say(
            f"WARNING: OMP_API_KEYS has a key of less than {SHORT_KEY_CHARACTERS} characters; "
            "long random ones cannot be guessed"
        )
    if config.keys_file is not None and os.name == "posix" and config.keys_file.stat().st_mode & 0o077:
        say(f"WARNING: {config.keys_file} can be read by other accounts; chmod 600 it")


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
