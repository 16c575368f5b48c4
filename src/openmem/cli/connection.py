"""Which backend a command uses, and how: from flags, the environment and a profile, in this order."""

from __future__ import annotations

import importlib
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._text import MAX_NAME_CHARACTERS, check_text
from ..config import COMMON_SETTINGS, SETTINGS
from ..embedders import resolve_embedder
from ..errors import InvalidRequestError, OMPError
from ..given import Given, Source, environment, flags
from ..settings import Setting, Text
from .profiles import ConfigFile, Profile, read_config

if TYPE_CHECKING:
    from ..memory import Memory

M = TypeVar("M")

DEFAULT_PROVIDER: Final = "local"

APP: Final = "openmem-cli"
"""What the audit log calls the command, where a profile does not name it otherwise."""

_PROVIDER: Final = Setting(Text(), "backend, by name; by default local", option="provider", name="provider")
_USER: Final = Setting(Text(MAX_NAME_CHARACTERS), "whose memories", option="user", name="user")
KNOWN: Final[Mapping[str, Setting]] = {"provider": _PROVIDER, "user": _USER, **SETTINGS}
"""Every setting of the command line, by its name in Python and in profiles."""

FLAGS: Final[Mapping[str, Setting]] = {
    name: setting for name, setting in KNOWN.items() if setting.flag is not None and not setting.is_secret
}
"""Those that have a flag. Others can read a command line, so secrets have none."""

WITHOUT_FLAGS: Final = KNOWN.keys() - FLAGS.keys()
"""Those that have none, by their names in Python."""

PROVIDER_OF: Final[Mapping[str, str]] = {"base_url": "passthrough", "url": "postgres", "path": "local"}
"""Which provider a setting stands for where none is named."""

_EMBEDDING_PROVIDERS: Final = ("local", "postgres")
_OF_ANY_BACKEND: Final = COMMON_SETTINGS | {"user"}


@dataclass(frozen=True, slots=True, repr=False)
class Connection:
    """A backend and how to use it. It has no ``repr``, since its settings may be secrets.

    Attributes:
        provider: the provider's name.
        settings: arguments of the client.
        given: where they come from.
        profile: the profile that was read; None for none.
        key_command: program whose output is the ``api_key``; None for none.
    """

    provider: str
    settings: Mapping[str, Any]
    given: Given
    profile: str | None
    key_command: str | None

    @property
    def user(self) -> str | None:
        """The user that is named."""
        user: str | None = self.given.values.get("user")
        return user

    def arguments(self) -> dict[str, Any]:
        """Arguments of the client, with the credential that a program has to be asked for.

        Raises:
            InvalidRequestError: the program fails.
        """
        secret = {} if self.key_command is None else {"api_key": _output_of(self.key_command)}
        return {**self.settings, **secret}

    def client(self, kind: Callable[..., M]) -> M:
        """A client that is not open yet.

        Args:
            kind: `openmem.Memory` or `openmem.AsyncMemory`.

        Raises:
            InvalidRequestError: a setting is wrong.
            ImportError: an extra is not installed; the message has the command.
        """
        try:
            return kind(self.provider, **{"app": APP, **self.arguments()})
        except InvalidRequestError as error:
            raise self.given.refusal(error) from None
        except TypeError as error:
            raise InvalidRequestError(f"bad config: {error}") from None

    @contextmanager
    def open(self, *, embeds: bool = False) -> Iterator[Memory]:
        """The client, until the end of the block.

        Args:
            embeds: whether a text will be compared or stored. Then what that needs is loaded while the client connects.

        Raises:
            OMPError: a setting is wrong, or the backend cannot be reached.
            ImportError: an extra is not installed; the message has the command.
        """
        from ..memory import Memory  # noqa: PLC0415 - what needs no client starts without

        memory = self.client(Memory)
        if embeds and self.provider in _EMBEDDING_PROVIDERS:
            loading = ThreadPoolExecutor(1)
            # An error stays in the future: the client meets it again, and tells it.
            loading.submit(_load_ahead, self.settings.get("embedder"))
            loading.shutdown(wait=False)
        try:
            entered = memory.__enter__()
        except InvalidRequestError as error:
            raise self.given.refusal(error) from None
        except OMPError as error:
            error.message = self.given.translated(error.message)
            raise
        with memory:
            yield entered


def find_connection(
    given_flags: Mapping[str, Any], profile: str | None = None, variables: Mapping[str, str] = os.environ
) -> Connection:
    """What the flags, the environment and a profile say together.

    A profile is for one backend. Where flags or the environment name another one, only those of its settings count that
    have to do with none, so that no key is sent to a server that it is not for.

    Args:
        given_flags: the flags' texts by the settings' names in Python.
        profile: name of the profile; by default that of OPENMEM_PROFILE, else the one that the file chooses.

    Raises:
        InvalidRequestError: a setting is wrong, or there is no such profile.
    """
    file = read_config()
    found = file.profile(profile or variables.get("OPENMEM_PROFILE") or None)
    nearer = Given(KNOWN, flags(given_flags), environment(KNOWN, variables), without_flags=WITHOUT_FLAGS)
    values: Mapping[str, Any] = {} if found is None else found.values
    if not _is_for(values, nearer.values):
        values = {name: value for name, value in values.items() if name in _OF_ANY_BACKEND}
    sources = flags(given_flags), environment(KNOWN, variables), _source(found, values)
    given = Given(KNOWN, *sources, without_flags=WITHOUT_FLAGS)
    _check_user(given)
    settings = {name: value for name, value in given.values.items() if name in SETTINGS}
    settings |= _options(file, values)
    asks = "api_key" not in given.values
    return Connection(
        provider=_provider(nearer.values) or _provider(given.values) or DEFAULT_PROVIDER,
        settings=settings,
        given=given,
        profile=None if found is None else found.name,
        key_command=values.get("api_key_command") if asks else None,
    )


def connection_of_profile(name: str) -> Connection:
    """What a profile says by itself, whatever the environment has.

    Raises:
        InvalidRequestError: there is no such profile, or a setting of it is wrong.
    """
    return find_connection({}, name, {})


def _check_user(given: Given) -> None:
    user = given.values.get("user")
    if user is None:
        return
    try:
        if not check_text(user).strip():
            raise ValueError("is empty; give some text")
    except ValueError as error:
        raise InvalidRequestError(f"{given.spelled('user')}: {error}") from None


def _provider(values: Mapping[str, Any]) -> str | None:
    return values.get("provider") or next((PROVIDER_OF[name] for name in PROVIDER_OF if name in values), None)


def _is_for(profile: Mapping[str, Any], nearer: Mapping[str, Any]) -> bool:
    """Whether a profile is for the backend that nearer settings name, if they name one."""
    provider = _provider(nearer)
    if provider is None:
        return True
    named = [name for name in PROVIDER_OF if name in nearer]
    return provider == (_provider(profile) or DEFAULT_PROVIDER) and all(
        str(profile.get(name, nearer[name])) == str(nearer[name]) for name in named
    )


def _source(profile: Profile | None, values: Mapping[str, Any]) -> Source:
    name = "" if profile is None else f"profile {profile.name}"
    path = values.get("path")
    if isinstance(path, str) and not os.path.isabs(os.path.expanduser(path)):
        raise InvalidRequestError(f"bad config: path in {name}: it is relative; write the whole path")
    return Source(name, values, lambda setting: f"{setting.name} in {name}")


def _options(file: ConfigFile, values: Mapping[str, Any]) -> Mapping[str, Any]:
    options = values.get("options", {})
    if not isinstance(options, dict):
        raise InvalidRequestError(f"{file.path}: options is not a table such as [profiles.work.options]")
    return options


def _load_ahead(embedder: str | None) -> None:
    """Load what a client would after it has connected: its embedder, if all clients share it, and the analysis."""
    found = resolve_embedder(embedder)
    if found is resolve_embedder(embedder):
        found.embed([""])
    importlib.import_module("openmem.analysis.analyzer")


def _output_of(command: object) -> str:
    """What a program writes. Its errors go to standard error, and nothing of its output is shown."""
    if not isinstance(command, str) or not command.strip():
        raise InvalidRequestError("bad config: api_key_command: it is not a program with its arguments")
    try:
        done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, check=False)
    except (OSError, ValueError) as error:
        raise InvalidRequestError(f"api_key_command: it cannot be run ({type(error).__name__})") from None
    if done.returncode != 0:
        raise InvalidRequestError(f"api_key_command: it ended with status {done.returncode}")
    try:
        key = done.stdout.decode().strip()
    except UnicodeDecodeError:
        key = ""
    if not key:
        raise InvalidRequestError("api_key_command: it wrote no key")
    return key
