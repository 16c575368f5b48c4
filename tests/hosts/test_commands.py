"""``openmem mcp install`` and ``uninstall``, as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import openmem as package
from openmem.mcp.hosts.install import executable
from openmem.mcp.hosts.known import HOSTS

SOURCE = str(Path(package.__file__).parent.parent)
SECRET = "omk_hunter2_0123456789"
URL = "https://memory.example/mcp"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the program, for an environment in which openmem is not installed."""
    directory = tmp_path_factory.mktemp("programs")
    (directory / "openmem").touch(0o755)
    return directory


@pytest.fixture
def home(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory."""
    monkeypatch.setenv("PATH", str(programs))
    return tmp_path


def openmem(
    home: Path, *arguments: str, run: tuple[str, ...] = ("-m", "openmem.cli"), **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENMEM_", "XDG_"))}
    return subprocess.run(
        [sys.executable, *run, "mcp", *arguments],
        env=kept | {"HOME": str(home), "PYTHONPATH": SOURCE, **environment},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def files(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


def test_an_entry_is_put_in_and_taken_out(home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{"mcpServers": {}}\n')

    done = openmem(home, "install", "cursor", "--user", "maya")
    assert done.returncode == 0, done.stderr
    entry = json.loads(file.read_text())["mcpServers"]["openmem"]
    assert (entry["command"], entry["args"], entry["env"]["OMP_USER"]) == (executable(), ["mcp"], "maya")
    assert f"openmem is in {file}" in done.stderr
    assert f"{file}.before-openmem" in done.stderr
    assert done.stdout == ""

    again = openmem(home, "install", "cursor", OMP_USER="maya")
    assert f"openmem was already in {file}" in again.stderr

    done = openmem(home, "uninstall", "cursor")
    assert done.returncode == 0, done.stderr
    assert file.read_text() == '{"mcpServers": {}}\n'


def test_no_key_is_written_or_shown(home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".claude").mkdir()
    for host in ("codex", "claude-code"):
        done = openmem(home, "install", host, "--http", URL, OMP_API_KEY=SECRET)
        assert done.returncode == 0, done.stderr
        assert "OMP_API_KEY" in done.stderr
        assert SECRET not in done.stdout + done.stderr
    assert files(home) == [".claude.json", ".codex/config.toml"]
    written = [(home / name).read_text() for name in files(home)]
    assert all("OMP_API_KEY" in text and SECRET not in text for text in written)


@pytest.mark.parametrize("host", HOSTS)
def test_an_entry_is_only_shown(home: Path, host: str) -> None:
    done = openmem(home, "install", host, "--print", "--profile", "work", "-u", "maya")
    assert done.returncode == 2
    assert "there is no profile" in done.stderr
    done = openmem(home, "install", host, "--print", "-u", "maya")
    assert done.returncode == 0, done.stderr
    assert HOSTS[host].section in done.stdout
    assert "nothing was written" in done.stderr
    assert files(home) == []


def test_variables_that_the_host_does_not_see_are_named(home: Path) -> None:
    (home / ".codex").mkdir()
    url = "postgresql://maya:hunter2@db.example/omp"
    done = openmem(home, "install", "codex", OMP_USER="maya", OMP_POSTGRES_URL=url)
    assert done.returncode == 0, done.stderr
    assert "OMP_POSTGRES_URL: set here" in done.stderr
    assert "hunter2" not in done.stderr + (home / ".codex" / "config.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("install", "cursor"), "--user: whose memories?"),
        (("install", "cursor", "-u", "maya"), "Cursor seems not to be installed"),
        (("install", "emacs", "-u", "maya"), "'emacs' is not one of"),
        (("install", "cursor", "--http", "https://memory.example"), "is at https://memory.example/mcp"),
        (("install", "claude-desktop", "--http", URL), "under Connectors"),
        (("install", "zed", "--http", URL), "with --no-key"),
        (("install", "cursor", "--http", URL, "--profile", "work"), "leave it out with --http"),
    ],
)
def test_what_is_refused_writes_nothing(home: Path, arguments: tuple[str, ...], message: str) -> None:
    done = openmem(home, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert files(home) == []


def test_a_server_without_keys_needs_a_user(home: Path) -> None:
    arguments = ("install", "cursor", "--http", "http://localhost:8080/mcp", "--no-key", "--force")
    assert "install it again with -u NAME" in openmem(home, *arguments).stderr
    assert "-u NAME" not in openmem(home, *arguments, "-u", "maya").stderr
    assert '"X-User-Id": "maya"' in (home / ".cursor" / "mcp.json").read_text()


def test_a_program_without_its_extra_is_not_put_in(home: Path) -> None:
    code = "import sys; sys.modules['mcp'] = None; from openmem.cli import main; sys.exit(main(sys.argv[1:]))"
    done = openmem(home, "install", "cursor", "-u", "maya", "--force", run=("-c", code))
    assert done.returncode == 1
    assert "pip install 'openmem[mcp]'" in done.stderr
    assert not (home / ".cursor").exists()


def test_a_file_of_a_project(home: Path) -> None:
    arguments = ("--http", "http://localhost:8080/mcp", "--file", ".vscode/mcp.json")
    done = openmem(home, "install", "vscode", *arguments)
    assert done.returncode == 0, done.stderr
    assert "will ask for the API key" in done.stderr
    file = home / ".vscode" / "mcp.json"
    assert json.loads(file.read_text())["inputs"][0]["password"] is True
    assert openmem(home, "uninstall", "vscode", "--file", ".vscode/mcp.json").returncode == 0
    assert files(home) == []
