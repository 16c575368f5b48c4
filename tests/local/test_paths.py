"""Where the data lies, who owns it, and what is refused."""

from __future__ import annotations

import os
import stat
from typing import Any

import platformdirs
import psutil
import psycopg
import pytest

from openmem import InvalidRequestError, Memory, ProviderError
from openmem.drivers.local.cluster import Cluster
from openmem.drivers.local.lease import DATA_ROOT_OF_ROOT, default_data_root

from .conftest import Application, Home, Start

AWKWARD = 'a b\'s "c" $HOME, `d` ü 記憶'
LONG = "/".join(["long" * 20] * 3)


@pytest.mark.parametrize("name", [AWKWARD, LONG], ids=["awkward", "long"])
def test_a_path_may_have_any_name(fresh: Home, start: Start, name: str) -> None:
    first, second = start(fresh.path / name, "sync"), start(fresh.path / name, "async")
    first.do("open")
    second.do("open")
    assert first.do("add anywhere") in second.do("list")
    first.do("close")
    second.do("close")
    assert Cluster(fresh.path / name / "data").state() is None


def test_a_path_may_be_relative(fresh: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fresh.path.parent)
    memory = Memory("local", path="fresh", embedder="hashing")
    monkeypatch.chdir("/")
    with memory:
        assert fresh.is_running


def test_the_default_is_the_users_data_directory(fresh: Home, start: Start) -> None:
    application = start("", env={**os.environ, "XDG_DATA_HOME": str(fresh.path)})
    application.do("add mine")
    assert Home(fresh.path / "openmem" / "postgres").is_running
    application.do("close")


def test_the_default_leaves_the_directory_of_root_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    expected = DATA_ROOT_OF_ROOT if os.geteuid() == 0 else platformdirs.user_data_path("openmem") / "postgres"
    assert default_data_root() == expected


def test_an_ordinary_user_needs_nothing_of_root(fresh: Home, ordinary: Application) -> None:
    fresh.path.mkdir()
    user = psutil.Process(ordinary.process.pid).uids().real
    os.chown(fresh.path, user, -1)
    ordinary.do(f"use {fresh.path}")
    assert ordinary.do("add mine") in ordinary.do("list")
    assert fresh.postmaster().uids().real == fresh.data.stat().st_uid == user
    ordinary.do("close")
    assert ordinary.end() == ""
    assert fresh.cluster.state() is None


def test_nobody_else_can_reach_the_data(home: Home) -> None:
    with Memory("local", path=home.path, embedder="hashing"):
        assert stat.S_IMODE(home.data.stat().st_mode) == 0o700
        assert stat.S_IMODE((home.path / "log").stat().st_mode) == 0o600
        assert list(home.data.glob(".s.PGSQL.*")), "the socket is not among the data"


def test_a_path_below_a_file_is_refused(fresh: Home) -> None:
    fresh.path.touch()
    memory = Memory("local", path=fresh.path / "below", embedder="hashing")
    with pytest.raises(InvalidRequestError, match=r"path: .*pass path= a directory that this user may write to"):
        memory.list("u")
    memory.close()


def test_a_path_that_cannot_be_written_to_is_refused(fresh: Home, ordinary: Application) -> None:
    fresh.path.mkdir()
    fresh.path.chmod(0o555)
    ordinary.do(f"use {fresh.path}")
    ordinary.begin("open")
    complaints = ordinary.process.communicate()[1]
    assert "InvalidRequestError: path: " in complaints
    assert "(Permission denied): pass path= a directory that this user may write to" in complaints


@pytest.mark.parametrize("path", ["", " ", "a\0b", "a\nb", 7, b"bytes"])
def test_a_path_that_is_no_name_is_refused(path: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"^path: "):
        Memory("local", path=path)


def test_a_url_is_refused() -> None:
    with pytest.raises(
        InvalidRequestError,
        match=r"^url or dsn: provider 'local' does not read it \(provider='postgres' does\); it reads .*path",
    ):
        Memory("local", url="postgresql://localhost/openmem")


def test_the_constructor_makes_nothing(fresh: Home) -> None:
    Memory("local", path=fresh.path).close()
    assert not fresh.path.exists()


def test_data_of_an_older_postgresql_stays_with_it(fresh: Home) -> None:
    fresh.path.mkdir(mode=0o711)
    Cluster(fresh.data, 16).initialize()
    with Memory("local", path=fresh.path, embedder="hashing") as memory:
        written = memory.add(content="from long ago", user_id="u")
        assert memory.search("long ago", "u")[0].memory.id == written.id
        with psycopg.connect(fresh.cluster.url()) as connection:
            assert connection.info.server_version // 10_000 == 16


def test_data_of_an_unknown_postgresql_is_refused(fresh: Home) -> None:
    fresh.data.mkdir(parents=True)
    (fresh.data / "PG_VERSION").write_text("99\n")
    memory = Memory("local", path=fresh.path, embedder="hashing")
    with pytest.raises(ProviderError, match=r"PostgreSQL 99.*16, 18.*pip install"):
        memory.list("u")
    (fresh.data / "PG_VERSION").unlink()
    memory.close()


def test_a_server_that_does_not_start_says_why(fresh: Home) -> None:
    fresh.path.mkdir(mode=0o711)
    fresh.cluster.initialize()
    (fresh.data / "postgresql.auto.conf").write_text("no_such_setting = on\n")
    memory = Memory("local", path=fresh.path, embedder="hashing")
    with pytest.raises(ProviderError, match=r"pg_ctl failed .* FATAL: .*postgresql.auto.conf"):
        memory.list("u")
    (fresh.data / "postgresql.auto.conf").write_text("")
    memory.list("u")
    memory.close()


def test_settings_are_those_of_a_small_durable_server(home: Home) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "max_connections", "shared_buffers")
    with Memory("local", path=home.path, embedder="hashing"), psycopg.connect(home.cluster.url()) as connection:
        settings = [connection.execute(f"SHOW {name}").fetchone() for name in names]
        (matches,) = connection.execute("SELECT 'ÄRGER' ILIKE 'ärger'").fetchone() or (None,)
    assert settings == [("on",), ("on",), ("on",), ("",), ("100",), ("128MB",)]
    assert matches
