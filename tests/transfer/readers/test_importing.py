"""Files of every format, imported into a backend, and once more."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openmem import Memory
from openmem.transfer import Changes, ImportReport, ImportSettings, Source, export_pam, import_, verify

from ...cli.conftest import Shell, nothing_set, shell
from . import test_pam, test_supermemory
from .reading import as_bytes, lines
from .test_hostile import SAMPLES, Packed

__all__ = ["nothing_set", "shell"]

AS_MAYA = Changes(user="maya")


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory("memory") as client:
        yield client


def imported(memory: Memory, format: str, data: object, options: dict[str, str] | None = None) -> ImportReport:
    source = Source(None, io.BytesIO(as_bytes(data)), "the file")
    return import_(memory, format, source, ImportSettings(changes=AS_MAYA, options=options or {}))


@pytest.mark.parametrize(("name", "sample", "packed", "options"), SAMPLES)
def test_what_is_read_is_stored_and_is_not_stored_again(
    memory: Memory, name: str, sample: Any, packed: Packed, options: dict[str, str]
) -> None:
    chosen = {option.replace("_", "-"): value for option, value in options.items()}
    data = packed(sample)
    first = imported(memory, name, data, chosen)
    assert first.written > 0
    assert (first.failed, first.stopped) == (0, None)
    again = imported(memory, name, data, chosen)
    assert (again.written, again.changed) == (0, 0)
    assert again.equal == first.written + first.equal
    source = Source(None, io.BytesIO(as_bytes(data)), "the file")
    compared = verify(memory, name, source, ImportSettings(changes=AS_MAYA, options=chosen))
    assert (compared.written, compared.changed) == (0, 0)


def test_a_chain_stays_a_chain(memory: Memory) -> None:
    imported(memory, "supermemory", lines({"memoryEntries": [test_supermemory.LISBON, test_supermemory.PORTO]}))
    by_text = {record.content: record for record in memory.list("maya")}
    porto, lisbon = by_text["Maya lives in Porto"], by_text["Maya lives in Lisbon"]
    assert lisbon.supersedes == [porto.id]
    assert lisbon.created_at == datetime(2025, 6, 1, tzinfo=UTC)
    assert lisbon.source is not None
    assert (lisbon.source.app, lisbon.source.type, lisbon.source.ref) == ("supermemory", "imported", "m2")
    assert lisbon.extensions["x-supermemory"]["rootMemoryId"] == "m1"


def test_an_export_as_pam_comes_back_whole(memory: Memory, tmp_path: Path) -> None:
    imported(memory, "supermemory", lines({"memoryEntries": [test_supermemory.PORTO, test_supermemory.LISBON]}))
    memory.add(content="Maya is vegan", user_id="maya", tags=["Not lower case"], key="diet", metadata={"n": 1e23})
    path = tmp_path / "maya.json.gz"
    report = export_pam(memory, path, "maya")
    assert (report.memories, report.users) == (3, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    with Memory("memory") as other:
        assert import_(other, "pam", path).written == 3
        before, after = ([record.to_wire() for record in store.list("maya")] for store in (memory, other))
        assert after == before


def test_memories_of_pam_are_exported_as_pam_and_found_equal(memory: Memory, tmp_path: Path) -> None:
    replaced = test_pam.memory("m1", "Maya eats fish", status="superseded")
    replaced["temporal"]["superseded_by"] = "m2"
    source = tmp_path / "source.json"
    source.write_text(json.dumps(test_pam.document(replaced, test_pam.memory("m2", "Maya is vegan", type="goal"))))
    assert import_(memory, "pam", source).written == 2
    memory.add(content="Maya runs", user_id="maya", tags=["goal"], source={"app": "notes", "type": "extracted"})
    path = tmp_path / "again.json"
    export_pam(memory, path, "maya")
    for verified in (verify(memory, "pam", path), import_(memory, "pam", path)):
        assert (verified.equal, verified.changed, verified.written, verified.lost()) == (3, 0, 0, {})


def test_the_command_exports_as_pam(tmp_path: Path, shell: Shell) -> None:
    shell.ok("add", "Maya is vegan", "-u", "maya")
    path = tmp_path / "maya.json"
    assert shell.ok("export", str(path), "--format", "pam", "-u", "maya", "--json").json["memories"] == 1
    assert json.loads(path.read_bytes())["memories"][0]["content"] == "Maya is vegan"
    assert json.loads(shell.ok("export", "-", "--format", "pam", "-u", "maya").out)["owner"]["id"] == "maya"
    for arguments, word in ((("x",), "one user"), (("x", "-u", "maya", "--vectors"), "leave scope")):
        ran = shell("export", *arguments, "--format", "pam")
        assert ran.status == 2
        assert word in ran.err
