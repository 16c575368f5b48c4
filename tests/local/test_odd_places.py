"""Users without names and homes, locales that do not exist, and other places where containers put an application."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Home, Start

NAMELESS = 1_000_650_000

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
with_chroot = ("unshare", "--mount", "sh", "-c", 'mount --rbind / /mnt && exec chroot /mnt "$@"', "sh")

SCRIPT = """
import sys
from openmem import Memory
with Memory("local", path=sys.argv[1] or None, embedder="hashing") as memory:
    memory.add(content="Zürich 茶", user_id="u")
    print(memory.list("u").items[0].content == "Zürich 茶")
"""


def run(path: Path | str, *inside: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run `SCRIPT` with a changed environment; None removes a variable."""
    # Another user may not write where coverage collects its data.
    wanted = {**os.environ, "COVERAGE_PROCESS_CONFIG": None, **environment}
    changed = {name: value for name, value in wanted.items() if value is not None}
    command = [*inside, sys.executable, "-X", "utf8", "-c", SCRIPT, str(path)]
    return subprocess.run(command, env=changed, capture_output=True, text=True, timeout=100, cwd="/")


def nameless(*inside: str) -> tuple[str, ...]:
    return (*inside, "setpriv", f"--reuid={NAMELESS}", "--regid=0", "--clear-groups")


@as_root
def test_a_user_id_needs_no_name(fresh: Home) -> None:
    fresh.path.mkdir()
    os.chown(fresh.path, NAMELESS, 0)
    for _ in range(2):
        done = run(fresh.path, *nameless(), HOME=None, XDG_DATA_HOME=None)
        if "allows no user namespace" in done.stderr:
            pytest.skip("this kernel lets no user make name spaces")
        assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
    assert fresh.data.stat().st_uid == NAMELESS


@as_root
def test_a_user_id_that_can_have_no_name_is_told_what_to_do(fresh: Home) -> None:
    """Who was put into another root directory may not make name spaces of users."""
    if subprocess.run([*with_chroot, "true"], capture_output=True).returncode:
        pytest.skip("no name spaces of mounts here")
    fresh.path.mkdir()
    os.chown(fresh.path, NAMELESS, 0)
    done = run(fresh.path, *nameless(*with_chroot), HOME=None)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("openmem.errors.ProviderError: PostgreSQL's initdb wants a name for the user id")
    assert f"add the line 'openmem:x:{NAMELESS}:0::/:/sbin/nologin' to /etc/passwd" in last
    assert not list(fresh.path.glob("new-*"))


@as_root
def test_a_user_without_a_home_is_told_to_pass_a_path(tmp_path: Path) -> None:
    done = run("", *nameless(), HOME=None, XDG_DATA_HOME=None)
    assert done.stderr.strip().splitlines()[-1] == (
        "openmem.errors.InvalidRequestError: path: this user has no home directory: pass path= a directory, or set HOME"
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "xx_YY.UTF-8"},
        {"LC_ALL": "C", "LANG": "C"},
        {"LC_ALL": None, "LANG": "de_DE.UTF-8", "LANGUAGE": "de", "LC_MESSAGES": "de_DE"},
        {"TMPDIR": "/nonexistent"},
        {"HOME": None, "USER": None, "LOGNAME": None, "PATH": None},
    ],
    ids=["a locale that does not exist", "ASCII", "German", "no place for temporary files", "nothing"],
)
def test_the_environment_does_not_matter(fresh: Home, environment: dict[str, str | None]) -> None:
    done = run(fresh.path, **environment)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_any_umask_serves(fresh: Home, start: Start, umask: int) -> None:
    application = start(fresh.path / "above" / "it", umask=umask)
    written = application.do("add mine")
    assert application.do("list") == written
    application.do("close")
    data = fresh.path / "above" / "it" / "data"
    assert not [path for path in data.rglob("*") if path.stat().st_mode & 0o077 and not path.is_socket()]


def test_a_path_that_postgresql_cannot_handle_is_refused(fresh: Home) -> None:
    done = run(fresh.path / "/".join(["long" * 50] * 5))
    assert "InvalidRequestError: path: it is longer than 900 bytes" in done.stderr
