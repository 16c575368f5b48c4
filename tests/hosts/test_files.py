"""Files of configuration on a real disk."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from openmem.mcp.hosts import files
from openmem.mcp.hosts.entries import Entry
from openmem.mcp.hosts.errors import HostConfigError
from openmem.mcp.hosts.install import configuration_file, executable, install, is_installed, uninstall
from openmem.mcp.hosts.known import HOSTS, Place

from .documents import STDIO

CURSOR = HOSTS["cursor"]
BEFORE = b'\xef\xbb\xbf{\r\n\t"mcpServers": {\r\n\t\t// mine\r\n\t}\r\n}\r\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mcp.json"
    file.write_bytes(BEFORE)
    return file


def place(home: Path, **environment: str) -> Place:
    return Place("linux", home, {"PATH": "/nowhere", **environment})


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_changed_and_changed_back(path: Path) -> None:
    outcome = install(CURSOR, STDIO, path)
    assert outcome.is_changed
    assert outcome.backup == path.with_name("mcp.json.before-openmem")
    assert outcome.backup.read_bytes() == BEFORE
    changed = path.read_bytes()
    assert changed.startswith(BEFORE[: BEFORE.index(b"\r\n\t}")])
    assert b"\n" not in changed.replace(b"\r\n", b"")

    assert not install(CURSOR, STDIO, path).is_changed
    assert path.read_bytes() == changed

    assert uninstall(CURSOR, "openmem", path).is_changed
    assert path.read_bytes() == BEFORE
    assert not uninstall(CURSOR, "openmem", path).is_changed
    assert names(path.parent) == ["mcp.json", "mcp.json.before-openmem"]


def test_permissions_stay(path: Path) -> None:
    path.chmod(0o640)
    outcome = install(CURSOR, STDIO, path)
    assert outcome.backup is not None
    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, outcome.backup)] == [0o640, 0o640]


def test_a_new_file_is_the_users_alone_and_goes_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "mcp.json"
    outcome = install(CURSOR, STDIO, path)
    assert (outcome.is_changed, outcome.backup) == (True, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert uninstall(CURSOR, "openmem", path).is_deleted
    assert names(path.parent) == []
    assert not uninstall(CURSOR, "openmem", path).is_changed


@pytest.mark.parametrize("target", ["real.json", "missing.json"])
def test_a_symbolic_link_is_followed_and_stays(tmp_path: Path, target: str) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "real.json").write_bytes(BEFORE)
    link = tmp_path / "mcp.json"
    link.symlink_to(Path("dotfiles") / target)
    install(CURSOR, STDIO, link)
    assert link.is_symlink()
    assert b"openmem" in (dotfiles / target).read_bytes()
    assert names(tmp_path) == ["dotfiles", "mcp.json"]


@pytest.mark.parametrize("content", [b'{"mcpServers": ', b"\xff\xfe{\x00}\x00", b'{"mcpServers": {"openmem": {}}}'])
def test_what_is_refused_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(content)
    before = path.stat()
    with pytest.raises(HostConfigError, match=str(path)) as refused:
        install(CURSOR, STDIO, path)
    assert str(refused.value).count(str(path)) == 1
    after = path.stat()
    assert (path.read_bytes(), after.st_mtime_ns, after.st_ino) == (content, before.st_mtime_ns, before.st_ino)
    assert names(tmp_path) == ["mcp.json"]


def test_a_file_that_another_program_has_just_changed_is_left_alone(path: Path) -> None:
    with pytest.raises(HostConfigError, match="has just changed it; try again"):
        files.replace(path, b"{}", b'{"mcpServers": {}}')
    with pytest.raises(HostConfigError, match="has just changed it; try again"):
        files.delete(path, b"{}")
    assert path.read_bytes() == BEFORE
    assert names(path.parent) == ["mcp.json", "mcp.json.before-openmem"]


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(HostConfigError, match="cannot be read"):
        install(CURSOR, STDIO, tmp_path)
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(HostConfigError, match="cannot be"):
        install(CURSOR, STDIO, blocked / "mcp.json")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write what is read-only")
def test_a_read_only_file_is_left_alone(path: Path) -> None:
    path.chmod(0o444)
    with pytest.raises(HostConfigError, match="read-only"):
        install(CURSOR, STDIO, path)
    assert path.read_bytes() == BEFORE


def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostConfigError, match=r"Cursor seems not to be installed.*--force"):
        configuration_file(CURSOR, place(tmp_path))
    assert configuration_file(CURSOR, place(tmp_path), force=True) == tmp_path / ".cursor" / "mcp.json"
    assert names(tmp_path) == []


def test_no_host_is_installed_in_an_empty_home(tmp_path: Path) -> None:
    assert [name for name, known in HOSTS.items() if is_installed(known, place(tmp_path))] == []


@pytest.mark.parametrize("folder", [".cursor", ".claude", ".codex", ".config/Code/User", ".config/Claude"])
def test_a_folder_shows_that_a_host_is_installed(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    [found] = [known for known in HOSTS.values() if is_installed(known, place(tmp_path))]
    assert str(configuration_file(found, place(tmp_path))).startswith(str(tmp_path))


def test_a_program_shows_that_a_host_is_installed(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "cursor"
    program.parent.mkdir()
    program.touch(0o755)
    assert is_installed(CURSOR, place(tmp_path, PATH=str(program.parent)))


def test_a_symbolic_link_to_nowhere_counts_as_a_file_to_make(tmp_path: Path) -> None:
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere" / "mcp.json")
    assert configuration_file(CURSOR, place(tmp_path)) == path
    install(CURSOR, STDIO, path)
    assert (tmp_path / "elsewhere" / "mcp.json").exists()


def test_a_program_is_named_by_its_absolute_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert executable(Path(sys.executable).name) == os.path.abspath(sys.executable)
    with pytest.raises(HostConfigError, match="neither beside"):
        executable("no-such-program")


def test_a_program_in_the_cache_of_uv_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "uv" / "archive-v0" / "x" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.with_name("openmem").touch(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(HostConfigError, match="uv tool install"):
        executable()


def test_an_entry_is_for_one_user() -> None:
    assert Entry(("/openmem",), user="maya", profile="work").environment == {
        "OMP_USER": "maya",
        "OPENMEM_PROFILE": "work",
    }
