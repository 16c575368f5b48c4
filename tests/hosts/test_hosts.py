"""What each host is given, in files as its documentation shows them."""

from __future__ import annotations

import json
import tomllib
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from openmem.errors import InvalidRequestError
from openmem.mcp.hosts import json_config, json_text, toml_config
from openmem.mcp.hosts.entries import Entry, mcp_url
from openmem.mcp.hosts.errors import HostConfigError
from openmem.mcp.hosts.known import HOSTS, Place

from .documents import HTTP, STDIO

MARK = {"OPENMEM_MCP_INSTALL": "entry"}
HEADER_MARK = {"X-OpenMem-Install": "entry"}
COMMAND = {"command": "/opt/env/bin/openmem", "args": ["mcp"]}

CLAUDE_DESKTOP = """{
  "globalShortcut": "",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/maya/Desktop"]
    }
  }
}
"""
CLAUDE_CODE = (
    '{"numStartups":7,"oauthAccount":{"emailAddress":"maya@example.com"},"mcpServers":{"docs":{"type":"http",'
    '"url":"https://docs.example/mcp"}},"projects":{"/home/maya":{"allowedTools":[],"mcpServers":{}}}}'
)
CURSOR = '{\n\t"mcpServers": {\n\t\t"docs": { "url": "https://docs.example/mcp", "headers": {} }\n\t}\n}'
VSCODE = """{
    // Inputs are asked for once.
    "inputs": [
        {
            "type": "promptString",
            "id": "perplexity-key",
            "description": "Perplexity API key",
            "password": true
        }
    ],
    "servers": {
        "perplexity": {
            "type": "stdio",
            "command": "npx",
            "args": ["-y", "server-perplexity-ask"],
            "env": { "PERPLEXITY_API_KEY": "${input:perplexity-key}" },
        }, // the only one
    },
}
"""
ZED = """// Zed settings
//
// For information on how to configure Zed, see the documentation.
{
  "theme": {
    "mode": "system",
    "dark": "One Dark", // at night
  },
  "context_servers": {
    /* none yet */
  },
  "vim_mode": true,
}
"""
CODEX = """model = "gpt-5.2-codex"  # the default

[mcp_servers.docs]
command = "npx"
args = ["-y", "docs"]

[projects."/home/maya/code"]
trust_level = "trusted"
"""
FILES = {
    "claude-desktop": CLAUDE_DESKTOP,
    "claude-code": CLAUDE_CODE,
    "cursor": CURSOR,
    "vscode": VSCODE,
    "zed": ZED,
}


def written(host: str, text: str) -> dict[str, Any]:
    root = json_text.parse(text)
    assert root is not None
    found = json_text.plain(text, root)
    return dict(found[HOSTS[host].section]["openmem"])


@pytest.mark.parametrize(
    ("host", "entry", "expected"),
    [
        ("claude-desktop", STDIO, COMMAND | {"env": {"OMP_USER": "maya"} | MARK}),
        ("claude-code", STDIO, {"type": "stdio"} | COMMAND | {"env": {"OMP_USER": "maya"} | MARK}),
        ("cursor", STDIO, COMMAND | {"env": {"OMP_USER": "maya"} | MARK}),
        ("vscode", STDIO, {"type": "stdio"} | COMMAND | {"env": {"OMP_USER": "maya"} | MARK}),
        ("zed", STDIO, COMMAND | {"env": {"OMP_USER": "maya"} | MARK}),
        (
            "claude-code",
            HTTP,
            {
                "type": "http",
                "url": "https://memory.example/mcp",
                "headers": {"Authorization": "Bearer ${OMP_API_KEY}", "X-User-Id": "maya"} | HEADER_MARK,
            },
        ),
        (
            "cursor",
            HTTP,
            {
                "url": "https://memory.example/mcp",
                "headers": {"Authorization": "Bearer ${env:OMP_API_KEY}", "X-User-Id": "maya"} | HEADER_MARK,
            },
        ),
        (
            "vscode",
            HTTP,
            {
                "type": "http",
                "url": "https://memory.example/mcp",
                "headers": {
                    "Authorization": "Bearer ${input:openmem-key}",
                    "X-User-Id": "maya",
                    "X-OpenMem-Install": "input",
                },
            },
        ),
        (
            "zed",
            Entry(url="http://127.0.0.1:8080/mcp", key_variable=None),
            {"url": "http://127.0.0.1:8080/mcp", "headers": HEADER_MARK},
        ),
    ],
)
def test_an_entry_in_json(host: str, entry: Entry, expected: dict[str, Any]) -> None:
    text = FILES[host]
    changed = json_config.put(text, HOSTS[host], entry)
    found = written(host, changed)
    part = "env" if "env" in expected else "headers"
    if host == "zed":  # its section is empty, and on lines of its own already
        assert found[part] | expected[part] == found[part]
    assert found == expected
    assert json_config.put(changed, HOSTS[host], entry) == changed
    assert json_config.take_out(changed, HOSTS[host], "openmem") == text
    if host in ("claude-desktop", "claude-code"):
        json.loads(changed)


def test_comments_and_tabs_stay() -> None:
    changed = json_config.put(VSCODE, HOSTS["vscode"], STDIO)
    assert changed == VSCODE.replace(
        "}, // the only one\n",
        '}, // the only one\n        "openmem": {\n            "type": "stdio",\n'
        '            "command": "/opt/env/bin/openmem",\n            "args": [\n                "mcp"\n            ],\n'
        '            "env": {\n                "OMP_USER": "maya",\n'
        '                "OPENMEM_MCP_INSTALL": "entry"\n            }\n        },\n',
    )
    assert '\n\t\t"openmem": {\n\t\t\t"command"' in json_config.put(CURSOR, HOSTS["cursor"], STDIO)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (STDIO, COMMAND | {"env": {"OMP_USER": "maya"}}),
        (
            HTTP,
            {
                "url": "https://memory.example/mcp",
                "bearer_token_env_var": "OMP_API_KEY",
                "http_headers": {"X-User-Id": "maya"},
            },
        ),
        (Entry(url="http://[::1]:8080/mcp", key_variable=None), {"url": "http://[::1]:8080/mcp"}),
    ],
)
def test_an_entry_in_toml(entry: Entry, expected: dict[str, Any]) -> None:
    changed = toml_config.put(CODEX, HOSTS["codex"], entry)
    assert tomllib.loads(changed)["mcp_servers"]["openmem"] == expected
    assert toml_config.put(changed, HOSTS["codex"], entry) == changed
    assert toml_config.take_out(changed, HOSTS["codex"], "openmem") == CODEX


def test_what_the_user_added_to_the_entry_stays_when_it_is_brought_up_to_date() -> None:
    text = json_config.put(CURSOR, HOSTS["cursor"], Entry(("/old/openmem", "mcp"), user="maya"))
    text = text.replace('"OMP_USER": "maya"', '"OMP_USER": "maya", "LOG": "1"').replace(
        '"args": [', '"disabled": true, "args": ['
    )
    found = written("cursor", json_config.put(text, HOSTS["cursor"], STDIO))
    assert found == COMMAND | {"disabled": True, "env": {"OMP_USER": "maya", "LOG": "1"} | MARK}

    text = toml_config.put(CODEX, HOSTS["codex"], Entry(("/old/openmem", "mcp"), user="maya"))
    text = text.replace("env = {", "startup_timeout_sec = 30 # slow\nenv = {")
    text += '[mcp_servers.openmem.tools.add_memory]\napproval_mode = "approve"\n\n[after]\na = 1\n'
    changed = toml_config.put(text, HOSTS["codex"], STDIO)
    entry = tomllib.loads(changed)["mcp_servers"]["openmem"]
    assert entry == COMMAND | {
        "env": {"OMP_USER": "maya"},
        "startup_timeout_sec": 30,
        "tools": {"add_memory": {"approval_mode": "approve"}},
    }
    assert "startup_timeout_sec = 30 # slow\n" in changed
    assert toml_config.take_out(changed, HOSTS["codex"], "openmem") == CODEX + "\n[after]\na = 1\n"


def test_codex_may_write_the_entry_in_its_own_way() -> None:
    text = toml_config.put(CODEX, HOSTS["codex"], Entry(("/old/openmem", "mcp"), user="maya"))
    text = text.replace('env = { "OMP_USER" = "maya" }\n', '\n[mcp_servers.openmem.env]\nOMP_USER = "maya"\n')
    changed = toml_config.put(text, HOSTS["codex"], STDIO)
    assert tomllib.loads(changed)["mcp_servers"]["openmem"] == COMMAND | {"env": {"OMP_USER": "maya"}}
    left = toml_config.take_out(changed, HOSTS["codex"], "openmem")
    assert left is not None
    assert left.rstrip() == CODEX.rstrip()


def test_a_host_may_write_the_file_anew() -> None:
    text = json_config.put(CLAUDE_CODE, HOSTS["claude-code"], HTTP)
    again = json.dumps(json.loads(text), indent=2)
    before = json.dumps(json.loads(CLAUDE_CODE), indent=2)
    assert json_config.put(again, HOSTS["claude-code"], HTTP) == again
    assert json_config.take_out(again, HOSTS["claude-code"], "openmem") == before


@pytest.mark.parametrize("entry", [STDIO, HTTP])
def test_the_entry_of_somebody_else_is_left_alone(entry: Entry) -> None:
    text = '{"mcpServers": {"openmem": {"command": "their-own"}}}'
    with pytest.raises(HostConfigError, match="did not write"):
        json_config.put(text, HOSTS["cursor"], entry)
    with pytest.raises(HostConfigError, match="did not write"):
        json_config.take_out(text, HOSTS["cursor"], "openmem")
    table = '[mcp_servers.openmem]\ncommand = "their-own"\n'
    with pytest.raises(HostConfigError, match="did not write"):
        toml_config.put(table, HOSTS["codex"], entry)
    with pytest.raises(HostConfigError, match="did not write"):
        toml_config.take_out(table, HOSTS["codex"], "openmem")


def test_two_entries_have_two_names() -> None:
    other = Entry(("/opt/env/bin/openmem", "mcp"), profile="work", name="openmem-work")
    text = json_config.put(json_config.put(VSCODE, HOSTS["vscode"], HTTP), HOSTS["vscode"], other)
    assert written("vscode", text)["url"] == HTTP.url
    left = json_config.take_out(text, HOSTS["vscode"], "openmem")
    assert left is not None
    assert '"OPENMEM_PROFILE": "work"' in left
    assert "openmem-key" not in left
    assert json_config.take_out(left, HOSTS["vscode"], "openmem-work") == VSCODE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"mcpServers": {}', "ends too early"),
        ('{"mcpServers": {},\n "a": b}', "line 2, column 7 is not JSON"),
        ('{"a": 1}}', "line 1, column 9 is not JSON"),
        ("[]", "not an object"),
        ('{"mcpServers": []}', "'mcpServers' is not an object"),
        ('{"mcpServers": {}, "mcpServers": {}}', "'mcpServers' stands 2 times"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_does_not_parse_is_refused(text: str, message: str) -> None:
    with pytest.raises(HostConfigError, match=message):
        json_config.put(text, HOSTS["cursor"], STDIO)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "not TOML"),
        ("a = 1\na = 2", "not TOML"),
        ('mcp_servers = { docs = { url = "https://docs.example" } }', "no table can be added"),
        ("mcp_servers = 1", "not a table"),
    ],
)
def test_toml_that_does_not_parse_is_refused(text: str, message: str) -> None:
    with pytest.raises(HostConfigError, match=message):
        toml_config.put(text, HOSTS["codex"], STDIO)


def test_comments_are_refused_where_the_host_cannot_read_them() -> None:
    with pytest.raises(HostConfigError, match="comments or trailing commas, which Claude Desktop cannot read"):
        json_config.put('{"mcpServers": {}, }', HOSTS["claude-desktop"], STDIO)


@pytest.mark.parametrize("host", ["claude-desktop", "zed"])
def test_a_host_that_has_no_place_for_a_key(host: str) -> None:
    with pytest.raises(HostConfigError, match="with --profile and a profile of the provider 'passthrough'"):
        json_config.put(None, HOSTS[host], HTTP)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://memory.example", "is at https://memory.example/mcp"),
        ("https://maya:hunter2@memory.example/mcp", "has a credential"),
        ("memory.example/mcp", "not an http"),
    ],
)
def test_addresses_that_are_refused(url: str, message: str) -> None:
    with pytest.raises((HostConfigError, InvalidRequestError), match=message) as refused:
        mcp_url(url)
    assert "hunter2" not in str(refused.value)


def test_an_address() -> None:
    assert mcp_url("http://[::1]:8080/team/mcp/") == "http://[::1]:8080/team/mcp"


def test_entries_that_are_refused() -> None:
    with pytest.raises(HostConfigError, match="leave it out with --http"):
        Entry(url="https://memory.example/mcp", profile="work")
    with pytest.raises(HostConfigError, match="--user: it is empty"):
        Entry(("/openmem",), user=" ")
    with pytest.raises(HostConfigError, match="not valid text"):
        Entry(("/tmp/\udcff/openmem",))


LINUX = Place("linux", PurePosixPath("/home/maya"), {})
DARWIN = Place("darwin", PurePosixPath("/Users/maya"), {"XDG_CONFIG_HOME": "/elsewhere"})
WINDOWS = Place(
    "win32",
    PureWindowsPath(r"C:\Users\maya"),
    {"APPDATA": r"C:\Users\maya\AppData\Roaming", "LOCALAPPDATA": r"C:\Users\maya\AppData\Local"},
)
SUPPORT = "/Users/maya/Library/Application Support"
ROAMING = r"C:\Users\maya\AppData\Roaming"


@pytest.mark.parametrize(
    ("host", "on_linux", "on_darwin", "on_windows"),
    [
        (
            "claude-desktop",
            "/home/maya/.config/Claude/claude_desktop_config.json",
            f"{SUPPORT}/Claude/claude_desktop_config.json",
            rf"{ROAMING}\Claude\claude_desktop_config.json",
        ),
        ("claude-code", "/home/maya/.claude.json", "/Users/maya/.claude.json", r"C:\Users\maya\.claude.json"),
        ("cursor", "/home/maya/.cursor/mcp.json", "/Users/maya/.cursor/mcp.json", r"C:\Users\maya\.cursor\mcp.json"),
        (
            "vscode",
            "/home/maya/.config/Code/User/mcp.json",
            f"{SUPPORT}/Code/User/mcp.json",
            rf"{ROAMING}\Code\User\mcp.json",
        ),
        (
            "zed",
            "/home/maya/.config/zed/settings.json",
            "/Users/maya/.config/zed/settings.json",
            rf"{ROAMING}\Zed\settings.json",
        ),
        (
            "codex",
            "/home/maya/.codex/config.toml",
            "/Users/maya/.codex/config.toml",
            r"C:\Users\maya\.codex\config.toml",
        ),
    ],
)
def test_where_the_configuration_is(host: str, on_linux: str, on_darwin: str, on_windows: str) -> None:
    def last(place: Place) -> PurePath:
        return HOSTS[host].paths(place)[-1]

    assert [last(LINUX), last(DARWIN)] == [PurePosixPath(on_linux), PurePosixPath(on_darwin)]
    assert last(WINDOWS) == PureWindowsPath(on_windows)


@pytest.mark.parametrize(
    ("host", "variable", "expected"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "/srv/x/.claude.json"),
        ("codex", "CODEX_HOME", "/srv/x/config.toml"),
        ("zed", "XDG_CONFIG_HOME", "/srv/x/zed/settings.json"),
        ("vscode", "XDG_CONFIG_HOME", "/srv/x/Code/User/mcp.json"),
    ],
)
def test_variables_move_the_configuration(host: str, variable: str, expected: str) -> None:
    place = Place("linux", PurePosixPath("/home/maya"), {variable: "/srv/x"})
    assert HOSTS[host].paths(place) == [PurePosixPath(expected)]


def test_the_packaged_claude_has_its_own_folder() -> None:
    first, _ = HOSTS["claude-desktop"].paths(WINDOWS)
    local = r"C:\Users\maya\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude"
    assert first == PureWindowsPath(local) / "claude_desktop_config.json"
