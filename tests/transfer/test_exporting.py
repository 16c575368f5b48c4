"""Files that are there as a whole, of one moment, and for nobody else."""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from openmem import InvalidRequestError, Memory, ProviderError, UnsupportedCapabilityError, transfer
from openmem.transfer import Choice, omp_format
from openmem.transfer import exporting as exporting_module

from ..properties.strategies import new_user

SCHEMA = Path(__file__).parents[2] / "docs" / "omp-jsonl.schema.json"


def test_only_this_user_may_read_it(store: Memory, tmp_path: Path) -> None:
    path = tmp_path / "memories.omp.jsonl"
    path.write_text("older")
    path.chmod(0o644)
    transfer.export(store, path, Choice(users=[new_user()]))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["memories.omp.jsonl"]


@pytest.mark.parametrize("name", ["", "folder", "device", "to-device"])
def test_what_is_no_file_stays_what_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "device")
    (tmp_path / "to-device").symlink_to("device")
    with Memory("memory", embedder="hashing") as memory, pytest.raises(InvalidRequestError, match="name a file"):
        transfer.export(memory, tmp_path / name, Choice(users=[new_user()]))
    assert stat.S_ISFIFO((tmp_path / "device").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["device", "folder", "to-device"]


def test_a_symbolic_link_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.gz").symlink_to("folder/memories")
    with Memory("memory", embedder="hashing") as memory:
        transfer.export(memory, tmp_path / "link.gz", Choice(users=[new_user()]))
    assert (tmp_path / "link.gz").is_symlink()
    assert gzip.decompress((tmp_path / "folder" / "memories").read_bytes()).startswith(b'{"type":"omp-export"')


def test_a_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with (
        Memory("memory", embedder="hashing") as memory,
        pytest.raises(InvalidRequestError, match="f: cannot be"),
    ):
        transfer.export(memory, "f", Choice(users=[new_user()]))


@pytest.mark.parametrize("name", ["f", "f.gz"])
def test_a_full_disk_is_told_with_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with Memory("memory", embedder="hashing") as memory, pytest.raises(InvalidRequestError, match="No space"):
        transfer.export(memory, tmp_path / name, Choice(users=[new_user()]))
    assert os.listdir(tmp_path) == []


def test_one_that_fails_leaves_what_was_there(store: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = new_user()
    store.add(content="tea", user_id=user)
    path = tmp_path / "memories.omp.jsonl"
    path.write_text("older")

    def failing(*_: Any) -> bytes:
        raise ProviderError("the server is gone")

    monkeypatch.setattr(omp_format, "memory_lines", failing)
    with pytest.raises(ProviderError):
        transfer.export(store, path, Choice(users=[user]))
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["memories.omp.jsonl"]
    with pytest.raises(InvalidRequestError, match="cannot be written"):
        transfer.export(store, tmp_path / "no" / "such")


def test_all_of_it_is_of_one_moment(store: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting_module, "PAGE_MEMORIES", 2)
    user = new_user()
    ids = [store.add(content=f"before {number}", user_id=user).id for number in range(7)]

    def change(progress: transfer.Progress) -> None:
        if progress.memories == 2:
            store.delete(ids[5])
            store.update(ids[6], content="after")
            store.add(content="after", user_id=user)

    path = tmp_path / "memories.omp.jsonl"
    report = transfer.export(store, path, Choice(users=[user]), change)
    assert (report.memories, report.consistent) == (7, True)
    contents = [json.loads(line)["memory"]["content"] for line in path.read_text().splitlines()[1:-1]]
    assert contents == [f"before {number}" for number in range(7)]


def test_every_user_s_export_is_in_the_audit_log(store: Memory, tmp_path: Path) -> None:
    user = new_user()
    store.add(content="tea", user_id=user)
    path = tmp_path / "memories.omp.jsonl"
    report = transfer.export(store, path, Choice(users=[user], with_audit=True))
    assert [entry.action for entry in store.audit(user)] == ["list", "add"]
    actions = [line["entry"]["action"] for line in map(json.loads, path.read_text().splitlines()) if "entry" in line]
    assert actions == ["list", "add"]
    assert report.audit == 2
    imported = transfer.verify(store, "omp", path)
    assert imported.lost() == {"audit": 2}


def test_an_audit_log_of_any_length_is_exported_as_a_whole(store: Memory, tmp_path: Path) -> None:
    user, path = new_user(), tmp_path / "memories.omp.jsonl"
    added = store.add_many({"content": f"note {number}", "user_id": user, "indexed": False} for number in range(2100))
    report = transfer.export(store, path, Choice(users=[user], with_audit=True))
    entries = [line["entry"] for line in map(json.loads, path.read_text().splitlines()) if "entry" in line]
    assert (report.audit, report.audit_cut, len(entries)) == (2101, 0, 2101)
    assert {entry.get("memory_id") for entry in entries} == {None, *(record.id for record in added)}
    times = [entry["timestamp"] for entry in entries]
    assert times == sorted(times, reverse=True)


def test_scopes_are_chosen(store: Memory, tmp_path: Path) -> None:
    user = new_user()
    for scope in ("work/a", "home"):
        store.add(content=scope, user_id=user, scope=scope)
    report = transfer.export(store, tmp_path / "f", Choice(users=[user], scope=["work/*"]))
    assert report.memories == 1
    assert json.loads((tmp_path / "f").read_text().split("\n")[0])["filters"] == {"scope": ["work/*"]}


def test_a_backend_that_lists_no_users_wants_their_names(tmp_path: Path) -> None:
    with Memory("memory", embedder="hashing") as memory:
        memory.add(content="tea", user_id="maya")
        provider = memory.client.provider
        provider.verbs = tuple(verb for verb in provider.verbs if verb != "users")
        with pytest.raises(UnsupportedCapabilityError, match="name those"):
            transfer.export(memory, tmp_path / "f")
        assert os.listdir(tmp_path) == []
        report = transfer.export(memory, tmp_path / "f", Choice(users=["maya", "nobody"]))
        assert (report.memories, report.users, report.consistent) == (1, 1, False)


@pytest.fixture
def documents(store: Memory, tmp_path: Path) -> list[Any]:
    """The lines of a compressed export."""
    user = new_user()
    first = store.add(content="tea", user_id=user, tags=["a"], metadata={"n": 1}, source={"app": "x"}, key="k")
    store.add(content="coffee", user_id=user, supersedes=[first.id], valid_from="2020-01-01", **{"x-a": 1e23})  # type: ignore[arg-type]
    path = tmp_path / "memories.omp.jsonl.gz"
    transfer.export(store, path, Choice(users=[user], with_audit=True))
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_the_published_schema_is_that_of_the_lines(documents: list[Any]) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    assert {line["type"] for line in documents} == {"omp-export", "memory", "audit", "end"}
    for line in documents:
        validator.validate(line)
    wrongs: list[Any] = [{"type": "memory"}, {"type": "end", "memories": -1}, {"type": "omp-export", "version": 2}, []]
    for wrong in wrongs:
        assert not validator.is_valid(wrong)


def test_the_published_schema_is_what_its_tool_writes() -> None:
    tool = SCHEMA.parents[1] / "tools" / "jsonl_schema.py"
    assert subprocess.run([sys.executable, str(tool), "--check"], check=False, timeout=60).returncode == 0
