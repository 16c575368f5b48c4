"""What openmem writes into the configuration of a host: the command to start, or the address to call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ..._network import split_url
from .errors import HostConfigError

DEFAULT_NAME: Final = "openmem"
KEY_VARIABLE: Final = "OMP_API_KEY"
USER_VARIABLE: Final = "OMP_USER"
PROFILE_VARIABLE: Final = "OPENMEM_PROFILE"
USER_HEADER: Final = "X-User-Id"
MARK_VARIABLE: Final = "OPENMEM_MCP_INSTALL"
MARK_HEADER: Final = "X-OpenMem-Install"
MCP_PATH: Final = "/mcp"

ENTRY: Final = "entry"
"""The mark of an entry that needed nothing else. Other marks name what was made for it, see `changes`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a host shall start, or call.

    Attributes:
        command: absolute path of the program to start, and its arguments; empty with `url`.
        url: address of an MCP endpoint, without a credential.
        user: whose memories they are; None to leave that to the program or to the API key.
        profile: the profile of settings that the program uses.
        key_variable: environment variable with the API key for `url`; None if there is no key.
        name: of the entry, which hosts show.
    """

    command: tuple[str, ...] = ()
    url: str | None = None
    user: str | None = None
    profile: str | None = None
    key_variable: str | None = KEY_VARIABLE
    name: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        if self.url is not None and self.profile is not None:
            raise HostConfigError("--profile is for a program that the host starts; leave it out with --http")
        for option, text in (("--name", self.name), ("--user", self.user), ("--profile", self.profile)):
            if text is not None and (not text.strip() or not text.isprintable()):
                raise HostConfigError(f"{option}: it is empty, or has characters that cannot be printed")
        for part in self.command:
            if any("\ud800" <= character <= "\udfff" for character in part):
                raise HostConfigError(f"the path {part!a} is not valid text, which a configuration file cannot hold")

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables for the program."""
        given = {USER_VARIABLE: self.user, PROFILE_VARIABLE: self.profile}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the address, without the key."""
        return {} if self.user is None else {USER_HEADER: self.user}


def mcp_url(url: str) -> str:
    """The address of an MCP endpoint as it is written.

    Raises:
        InvalidRequestError: it is not an http(s) URL.
        HostConfigError: it has a credential, or is the address of a server instead of its endpoint.
    """
    address, user, password = split_url("--http", url)
    if user is not None or password:
        raise HostConfigError("--http: the URL has a credential, which others could read; put the key in a variable")
    if urlsplit(address).path in ("", "/"):
        raise HostConfigError(f"--http: the MCP endpoint of omp-server is at {address}{MCP_PATH}")
    return address


def stdio(entry: Entry, type_name: str | None) -> dict[str, Any]:
    """An entry in JSON for a program. `type_name` is the value of its field ``type``, for hosts that want one."""
    typed = {} if type_name is None else {"type": type_name}
    return {**typed, "command": entry.command[0], "args": list(entry.command[1:]), "env": entry.environment}


def http(entry: Entry, type_name: str | None, key: str | None) -> dict[str, Any]:
    """An entry in JSON for an address. `key` is how the host refers to the API key."""
    typed = {} if type_name is None else {"type": type_name}
    authorization = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {**typed, "url": entry.url, "headers": {**authorization, **entry.headers}}


def mark_of(written: Any) -> str | None:
    """The mark of an entry that openmem wrote; None if it is somebody else's."""
    if not isinstance(written, Mapping):
        return None
    for part, name in (("env", MARK_VARIABLE), ("headers", MARK_HEADER)):
        values = written.get(part)
        if isinstance(values, Mapping) and isinstance(values.get(name), str):
            return str(values[name])
    return None


def marked(entry: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """An entry with its mark."""
    part, name = ("headers", MARK_HEADER) if "url" in entry else ("env", MARK_VARIABLE)
    return {**entry, part: {**entry[part], name: mark}}


_OWN_FIELDS: Final = {"type", "command", "args", "env", "url", "headers"}
_OWN_VALUES: Final = {
    "env": {USER_VARIABLE, PROFILE_VARIABLE, MARK_VARIABLE},
    "headers": {USER_HEADER, MARK_HEADER, "Authorization"},
}


def merged(written: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A new entry, with what the host or its user added to the one that was written."""
    result = dict(entry)
    for part, own in _OWN_VALUES.items():
        values = written.get(part)
        if part in entry and isinstance(values, Mapping):
            result[part] = {**entry[part], **{name: value for name, value in values.items() if name not in own}}
    return result | {name: value for name, value in written.items() if name not in _OWN_FIELDS}
