"""The hosts that openmem knows: where their configuration is, and how an entry is written in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from .entries import Entry, http, stdio
from .errors import HostConfigError

DARWIN: Final = "darwin"
WINDOWS: Final = "win32"


@dataclass(frozen=True, slots=True)
class Place:
    """A machine as far as paths depend on it.

    Attributes:
        platform: as `sys.platform`.
        home: the user's home directory.
        environment: the environment variables.
    """

    platform: str
    home: PurePath
    environment: Mapping[str, str]

    def directory(self, variable: str, *default: str) -> PurePath:
        """The directory that a variable names, or one below the home directory."""
        named = self.environment.get(variable)
        return type(self.home)(named) if named else self.home.joinpath(*default)

    @property
    def settings(self) -> PurePath:
        """Where applications keep their settings."""
        if self.platform == DARWIN:
            return self.home / "Library" / "Application Support"
        if self.platform == WINDOWS:
            return self.directory("APPDATA", "AppData", "Roaming")
        return self.directory("XDG_CONFIG_HOME", ".config")


class Host:
    """A program that starts MCP servers, or calls them.

    Attributes:
        name: of the host on the command line.
        title: its name for people.
        programs: its executables, which show that it is installed.
        section: the member of the configuration that holds the entries.
        has_comments: whether its JSON may have comments and trailing commas.
        is_toml: whether the configuration is TOML.
        after: what a user has to do for the host to read it.
    """

    name: str
    title: str
    programs: tuple[str, ...] = ()
    section: str = "mcpServers"
    has_comments: bool = True
    is_toml: bool = False
    after: str = "restart it"

    def paths(self, place: Place) -> list[PurePath]:
        """The files that the host may read, the most likely first: the first one in an existing folder counts."""
        raise NotImplementedError

    def bundles(self, place: Place) -> list[PurePath]:
        """Folders that exist where the host is installed."""
        return [path.parent for path in self.paths(place)]

    def entry(self, entry: Entry) -> dict[str, Any]:
        """An entry as the host reads it, without the mark."""
        raise NotImplementedError

    def input(self, entry: Entry) -> dict[str, Any] | None:
        """What the host shall ask its user for, if that is how it learns the key."""
        return None


class ClaudeDesktop(Host):
    name = "claude-desktop"
    title = "Claude Desktop"
    has_comments = False
    after = "quit Claude Desktop and start it again"

    def paths(self, place: Place) -> list[PurePath]:
        file = "claude_desktop_config.json"
        found = [place.settings / "Claude" / file]
        if place.platform == WINDOWS:
            # The packaged application sees this folder instead of %APPDATA%.
            packages = place.directory("LOCALAPPDATA", "AppData", "Local") / "Packages"
            found.insert(0, packages / "Claude_pzs8sxrjxfjjc" / "LocalCache" / "Roaming" / "Claude" / file)
        return found

    def bundles(self, place: Place) -> list[PurePath]:
        applications = [type(place.home)("/Applications/Claude.app")] if place.platform == DARWIN else []
        return [*super().bundles(place), *applications]

    def entry(self, entry: Entry) -> dict[str, Any]:
        if entry.url is not None:
            raise HostConfigError(
                "the configuration file of Claude Desktop can only start programs. Either add the address in Claude's "
                "settings, under Connectors, or install it with --profile and a profile of the provider 'passthrough'"
            )
        return stdio(entry, None)


class ClaudeCode(Host):
    name = "claude-code"
    title = "Claude Code"
    programs = ("claude",)
    has_comments = False
    after = "start a new session"

    def paths(self, place: Place) -> list[PurePath]:
        return [place.directory("CLAUDE_CONFIG_DIR") / ".claude.json"]

    def bundles(self, place: Place) -> list[PurePath]:
        # Its file stands in the home directory, which says nothing.
        return [*self.paths(place), place.directory("CLAUDE_CONFIG_DIR", ".claude")]

    def entry(self, entry: Entry) -> dict[str, Any]:
        if entry.url is None:
            return stdio(entry, "stdio")
        return http(entry, "http", None if entry.key_variable is None else f"${{{entry.key_variable}}}")


class Cursor(Host):
    name = "cursor"
    title = "Cursor"
    programs = ("cursor", "cursor-agent")
    after = "switch the server on in its settings, under MCP, if it is not"

    def paths(self, place: Place) -> list[PurePath]:
        return [place.home / ".cursor" / "mcp.json"]

    def entry(self, entry: Entry) -> dict[str, Any]:
        if entry.url is None:
            return stdio(entry, None)
        return http(entry, None, None if entry.key_variable is None else f"${{env:{entry.key_variable}}}")


class VSCode(Host):
    name = "vscode"
    title = "VS Code"
    programs = ("code",)
    section = "servers"
    after = "start the server with the command 'MCP: List Servers'"

    def paths(self, place: Place) -> list[PurePath]:
        return [place.settings / "Code" / "User" / "mcp.json"]

    def entry(self, entry: Entry) -> dict[str, Any]:
        if entry.url is None:
            return stdio(entry, "stdio")
        return http(entry, "http", None if entry.key_variable is None else f"${{input:{_input_id(entry)}}}")

    def input(self, entry: Entry) -> dict[str, Any] | None:
        if entry.url is None or entry.key_variable is None:
            return None
        described = f"API key of openmem at {entry.url}"
        return {"type": "promptString", "id": _input_id(entry), "description": described, "password": True}


class Zed(Host):
    name = "zed"
    title = "Zed"
    programs = ("zed", "zeditor")
    section = "context_servers"
    after = "nothing: Zed reads the file when it changes"

    def paths(self, place: Place) -> list[PurePath]:
        if place.platform == DARWIN:
            return [place.home / ".config" / "zed" / "settings.json"]
        folder = "Zed" if place.platform == WINDOWS else "zed"
        return [place.settings / folder / "settings.json"]

    def entry(self, entry: Entry) -> dict[str, Any]:
        if entry.url is None:
            return stdio(entry, None)
        if entry.key_variable is not None:
            raise HostConfigError(
                "Zed reads no environment variable in a header, and a key does not belong in its settings. Either "
                "install it with --profile and a profile of the provider 'passthrough', or, for a server without "
                "keys, with --no-key"
            )
        return http(entry, None, None)


class Codex(Host):
    name = "codex"
    title = "Codex"
    programs = ("codex",)
    section = "mcp_servers"
    is_toml = True
    after = "start a new session"

    def paths(self, place: Place) -> list[PurePath]:
        return [place.directory("CODEX_HOME", ".codex") / "config.toml"]

    def entry(self, entry: Entry) -> dict[str, Any]:
        if entry.url is None:
            return stdio(entry, None)
        key = {} if entry.key_variable is None else {"bearer_token_env_var": entry.key_variable}
        return {"url": entry.url, **key, "http_headers": entry.headers}


def _input_id(entry: Entry) -> str:
    return f"{entry.name}-key"


HOSTS: Final[Mapping[str, Host]] = {
    host.name: host for host in (ClaudeDesktop(), ClaudeCode(), Cursor(), VSCode(), Zed(), Codex())
}
"""Every host by its name on the command line."""
