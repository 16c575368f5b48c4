"""The commands that move memories, in this process and as a process of their own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmem import Memory, ProviderError, transfer
from openmem.transfer import targets as targets_module

from ..cli.conftest import Shell
from ..properties.strategies import new_user
from ..servers import Server
from .files import memory, write

PROFILES = """
[profiles.old]
url = "{old}"
embedder = "hashing"

[profiles.new]
url = "{new}"
embedder = "hashing"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's directories, with nothing in them."""
    for name in [name for name in os.environ if name.startswith(("OMP_", "OPENMEM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "config" / "openmem").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def profiles(server: Server, home: Path) -> Path:
    """Two profiles, ``old`` and ``new``, with empty databases."""
    path = home / "config" / "openmem" / "config.toml"
    path.write_text(PROFILES.format(old=server.create_database(), new=server.create_database()))
    path.chmod(0o600)
    return home


def test_from_one_profile_to_the_other_and_back_to_a_file(profiles: Path) -> None:
    shell, user = Shell(), new_user()
    for number in range(3):
        shell.ok("add", f"fact {number}", "-u", user, "-p", "old")
    dry = shell.ok("migrate", "--from", "old", "--to", "new", "--dry-run", "--json").json
    assert (dry["written"], dry["dry_run"]) == (3, True)
    assert shell.ok("migrate", "--from", "old", "--to", "new").lines == ["3 read, 3 written, 0 there already"]
    again = shell.ok("migrate", "--from", "old", "--to", "new", "--json").json
    assert (again["written"], again["equal"], again["lost"]) == (0, 3, [])
    path = profiles / "m.omp.jsonl.gz"
    assert shell.ok("export", str(path), "-p", "new", "--json").json["memories"] == 3
    assert shell.ok("verify", str(path), "-p", "old").status == 0
    shell.ok("add", "more", "-u", user, "-p", "old")
    assert shell.ok("verify", str(path), "-p", "old", "--json").json["extra"] == 1
    assert shell.ok("verify", str(path), "-p", "old").lines[0] == "3 read, 0 missing, 3 there already"
    plain = shell.ok("export", "-", "-p", "new")
    assert json.loads(plain.lines[-1])["memories"] == 3
    assert shell("migrate", "--from", "old", "--to", "old").status == 2


def test_a_report_says_what_was_not_stored_and_where(profiles: Path) -> None:
    shell, user = Shell(), new_user()
    path = write(profiles / "f", [memory("a", user), {**memory("b", user), "content": 7}, "{"])
    report = profiles / "report.json"
    ran = shell("import", "omp", str(path), "-p", "new", "--report", str(report), "--scope-prefix", "old")
    assert ran.status == 5
    assert "line 3: content" in ran.out
    assert "line 4: is not valid JSON" in ran.out
    told = json.loads(report.read_text())
    assert (told["read"], told["written"], told["invalid"]) == (2, 1, 3)
    assert [one["scope"] for one in shell.ok("list", "-u", user, "-p", "new", "--json").json["items"]] == ["old"]
    missing = shell("verify", str(path), "-p", "old")
    assert missing.status == 1


def test_wrong_usage_is_refused_before_anything_is_read(profiles: Path) -> None:
    shell, file = Shell(), write(profiles / "f", [])
    for arguments in (
        ("import", "omp", "none such"),
        ("import", "omp", str(profiles)),
        ("import", "none", str(file)),
        ("import", "omp", str(file), "-o", "turns"),
        ("import", "omp", str(file), "-o", "none=1"),
        ("import", "omp", str(file), "--user-map", "none"),
        ("import", "omp", str(file), "--limit", "0"),
        ("verify", "none such"),
        ("migrate", "--from", "old", "--to", "none"),
        ("export", str(profiles / "no" / "f"), "-p", "old"),
    ):
        ran = shell(*arguments)
        assert ran.status == 2, ran
        assert ran.out == ""
        assert ran.err.count("\n") == 1
    assert not (profiles / "data").exists()


def test_a_target_that_dies_is_told_with_how_to_go_on(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets_module, "DELAYS_SECONDS", ())

    async def dead(*_: object) -> None:
        raise ProviderError("the server is gone", code="provider_unavailable")

    monkeypatch.setattr("openmem.providers.postgres.provider.PostgresProvider.restore", dead)
    path = write(profiles / "f", [memory("a")])
    ran = Shell()("import", "omp", str(path), "-p", "new")
    assert ran.status == 75
    assert "the server is gone" in ran.err
    assert "run the same command again" in ran.err


def test_a_server_that_is_dead_is_told_by_the_name_of_its_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets_module, "DELAYS_SECONDS", ())
    config = home / "config" / "openmem" / "config.toml"
    nowhere = "127.0.0.1:9"
    config.write_text(
        f"[profiles.here]\nprovider = 'memory'\nembedder = 'hashing'\n[profiles.web]\nbase_url = 'http://{nowhere}'\n"
        f"[profiles.sql]\nurl = 'postgresql://me:secret@{nowhere}/x'\nembedder = 'hashing'\n"
    )
    config.chmod(0o600)
    for arguments, name in (
        (("migrate", "--from", "here", "--to", "web"), "base_url in profile web"),
        (("migrate", "--from", "web", "--to", "here"), "base_url in profile web"),
        (("migrate", "--from", "here", "--to", "sql"), "url in profile sql"),
        (("list", "-u", "maya", "--base-url", f"http://{nowhere}"), "--base-url"),
    ):
        ran = Shell()(*arguments)
        assert (ran.status, ran.out) == (75, ""), ran.err
        assert name in ran.err
        assert name not in ran.err.replace(name, "", 1)
        assert "secret" not in ran.err
    monkeypatch.setenv("OMP_POSTGRES_URL", f"postgresql://me:secret@{nowhere}/x")
    ran = Shell()("list", "-u", "maya", "--embedder", "hashing")
    assert ran.status == 75
    assert "OMP_POSTGRES_URL names its host" in ran.err


def test_a_user_of_no_text_is_told_by_the_name_of_the_option(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(home / "f", [memory("a")])
    for arguments in (("import", "omp", str(path)), ("verify", str(path)), ("get", "x"), ("count",)):
        ran = Shell()(*arguments, "-u", " ", "--provider", "memory")
        assert (ran.status, ran.err) == (2, "openmem: --user: is empty; give some text\n")
    monkeypatch.setenv("OMP_USER", "  ")
    assert Shell()("count", "--provider", "memory").err == "openmem: OMP_USER: is empty; give some text\n"
    ran = Shell()("import", "omp", str(path), "--scope-prefix", "a//b", "--provider", "memory", "-u", "maya")
    assert ran.err.startswith("openmem: --scope-prefix: 'a//b' is not a path")


def test_wrong_bounds_and_a_report_in_place_of_the_source_are_refused(home: Path) -> None:
    path = write(home / "f", [memory("a")])
    text = path.read_text()
    for bound in ("nan", "inf"):
        ran = Shell()("import", "omp", str(path), "--rate", bound, "--provider", "memory")
        assert (ran.status, ran.err) == (2, f"openmem: --rate: {bound} is not a number of records a second\n")
    ran = Shell()("import", "omp", str(path), "--report", f"{home}/./f", "--provider", "memory")
    assert (ran.status, path.read_text()) == (2, text)
    assert "is the file that is read" in ran.err


def test_sigterm_leaves_no_half_of_a_file(profiles: Path) -> None:
    shell, user = Shell(), new_user()
    shell.ok("add", "fact", "-u", user, "-p", "old")
    folder = profiles / "out"
    folder.mkdir()
    program = (
        "import os, signal, sys; from openmem.transfer import exporting; from openmem.cli import main; "
        "exporting.memory_pages = lambda *_: os.kill(os.getpid(), signal.SIGTERM); sys.exit(main())"
    )
    arguments = ["export", str(folder / "f.gz"), "-u", user, "-p", "old"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")
    assert list(folder.iterdir()) == []


def test_who_interrupts_is_told_how_to_go_on(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("openmem.providers.postgres.provider.PostgresProvider.restore", interrupted)
    ran = Shell()("import", "omp", str(write(profiles / "f", [memory("a")])), "-p", "new")
    assert ran.status == 130
    assert "run the same command again" in ran.err


def test_a_report_that_cannot_be_written_is_told_before_anything_is_stored(profiles: Path) -> None:
    shell, user = Shell(), new_user()
    path, report = write(profiles / "f", [memory("a", user)]), profiles / "no" / "report.json"
    ran = shell("import", "omp", str(path), "-p", "new", "--report", str(report))
    assert ran.status == 2
    assert "report.json" in ran.err
    assert shell.ok("count", "-u", user, "-p", "new").lines == ["0"]
    path_of_report = profiles / "report.json"
    shell("import", "omp", str(path), "-p", "new", "--report", str(path_of_report))
    assert json.loads(path_of_report.read_text())["written"] == 1


def test_an_interrupt_before_the_work_begins_says_nothing_else(
    profiles: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    # A module that is imported meanwhile would keep what interrupts.
    for name in ("blocking", "postgres.psycopg", "remote"):
        importlib.import_module(f"openmem.drivers.{name}")
    monkeypatch.setattr("openmem.ports.run_blocking", interrupted)
    assert Shell()("import", "omp", str(write(profiles / "f", [memory("a")])), "-p", "new").status == 130
    assert not [warning for warning in recwarn if "never awaited" in str(warning.message)]


def test_a_file_comes_from_standard_input(profiles: Path) -> None:
    user = new_user()
    path = write(profiles / "f", [memory("a", user)])
    command = [sys.executable, "-m", "openmem.cli", "import", "omp", "-", "-p", "new", "--json"]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=False, timeout=100)
    assert done.returncode == 5, done.stderr
    assert json.loads(done.stdout)["written"] == 1


def test_another_package_offers_a_format(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = profiles / "site"
    (folder / "notes-1.dist-info").mkdir(parents=True)
    (folder / "notes-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: notes\nVersion: 1\n")
    (folder / "notes-1.dist-info" / "entry_points.txt").write_text("[openmem.readers]\nnotes = notes_reader:READER\n")
    (folder / "notes_reader.py").write_text(
        "from openmem.transfer import Reader, SourceRecord\n"
        "from openmem.transfer.records import digest_id\n"
        "def read(source, options):\n"
        "    for line in source.lines():\n"
        "        yield SourceRecord(digest_id(line.text), None, {'content': line.text}, line.place)\n"
        "READER = Reader('notes', 'notes', read)\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    (profiles / "n.txt").write_text("tea\ncoffee\n")
    with Memory("memory", embedder="hashing") as target:
        settings = transfer.ImportSettings(changes=transfer.Changes(user="maya"))
        report = transfer.import_(target, "notes", profiles / "n.txt", settings)
        assert report.written == 2
        assert [record.content for record in target.list("maya", order="oldest")] == ["tea", "coffee"]
        assert transfer.import_(target, "notes", profiles / "n.txt", settings).equal == 2
        source = target.list("maya")[0].source
        assert source is not None
        assert (source.app, source.type) == ("notes", "imported")
