"""Files that are cut, bent or made to do harm: each gets an error, and takes neither memory nor the machine."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openmem import InvalidRequestError, Memory, transfer
from openmem.transfer import json_items, sources
from openmem.transfer.json_items import items_of
from openmem.transfer.preparing import EXTENSION
from openmem.transfer.records import Place, Problem
from openmem.transfer.sources import Line, Source
from openmem.transfer.times import parse_time

from ..properties.strategies import new_user
from .files import HEADER, memory, write


@pytest.fixture(scope="module")
def target() -> Iterator[Memory]:
    with Memory("memory", embedder="hashing") as memory:
        yield memory


def exported(target: Memory, path: Path, count: int = 6) -> tuple[str, list[str]]:
    user = new_user()
    for number in range(count):
        target.add(content=f"fact {number}", user_id=user)
    transfer.export(target, path, transfer.Choice(users=[user]))
    return user, path.read_text().splitlines()


def reasons(target: Memory, path: Path) -> dict[int | None, str]:
    """What a verification tells of a file, by line."""
    return {problem.place.line: problem.reason for problem in transfer.verify(target, "omp", path).problems}


def test_a_file_that_was_cut_off_is_read_to_its_end(target: Memory, tmp_path: Path) -> None:
    path = tmp_path / "f"
    _, lines = exported(target, path)
    path.write_text("\n".join(lines[:4]) + "\n" + lines[4][:40])
    report = transfer.verify(target, "omp", path)
    assert report.equal == 3
    assert {problem.place.line for problem in report.problems} == {5}
    assert any("incomplete" in problem.reason for problem in report.problems)
    assert not report.is_complete


def test_a_line_that_was_bent_is_told_and_the_rest_is_read(target: Memory, tmp_path: Path) -> None:
    path = tmp_path / "f"
    _, lines = exported(target, path)
    lines[2] = lines[2].replace('"memory":{', '"memory":{,')
    lines[3] = lines[3].replace("{", '{"type":"memory",', 1)
    lines[4] = "[" * 100_000
    lines[5] = '{"no":"type"}'
    path.write_text("\n".join(lines) + "\n")
    told = reasons(target, path)
    assert set(told) == {3, 4, 5, 6}
    assert "not valid JSON" in told[3]
    assert "twice" in told[4]
    assert "nested too deeply" in told[5]
    assert transfer.verify(target, "omp", path).equal == 2


def test_a_change_of_the_content_is_seen_by_the_end_line(target: Memory, tmp_path: Path) -> None:
    path = tmp_path / "f"
    _, lines = exported(target, path)
    path.write_text("\n".join(lines).replace("fact 3", "fact 4") + "\n")
    report = transfer.verify(target, "omp", path)
    assert (report.equal, report.changed) == (5, 1)
    assert "SHA-256" in report.problems[0].reason
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    assert "behind the end" in reasons(target, path)[9]


def test_what_is_no_export_is_refused(target: Memory, tmp_path: Path) -> None:
    for text in ("", "{}", "\x00\x01", "[]\n[]", '{"type":"omp-export","version":2}', '{"type":"omp-export"}'):
        (tmp_path / "f").write_text(text)
        with pytest.raises(InvalidRequestError, match=r"first line|newer openmem"):
            transfer.import_(target, "omp", tmp_path / "f")
    with pytest.raises(InvalidRequestError, match="no such file"):
        transfer.import_(target, "omp", tmp_path / "none")
    with pytest.raises(InvalidRequestError, match="folder"):
        transfer.import_(target, "omp", tmp_path)
    with pytest.raises(InvalidRequestError, match="no format"):
        transfer.import_(target, "none such", tmp_path / "f")


def test_bytes_that_are_no_text(target: Memory, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(json.dumps(HEADER).encode() + b'\n{"type":"memory","memory":{"id":"\xff\xfe"}}\n')
    assert "UTF-8" in reasons(target, path)[2]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"created_at": "9999-12-31T23:59:59-01:00"}, "created_at"),
        ({"created_at": "tomorrow"}, "created_at"),
        ({"content": "a\x00b"}, "content"),
        ({"content": 7}, "content"),
        ({"content": "\ud800"}, "content"),
        ({"tags": {"a": 1}}, "tags"),
        ({"tags": ["x"] * 129}, "tags"),
        ({"scope": "a//b"}, "scope"),
        ({"supersedes": "mem"}, "supersedes"),
        ({"metadata": {"x": "y" * 20_000}}, "metadata"),
        ({"version": 2**40}, "version"),
        ({"id": "x" * 600_000}, None),
        ({"id": None}, "id"),
        ({"user_id": ["a"]}, "user_id"),
        ({"valid_from": "2026-01-02T00:00:00Z", "valid_to": "2026-01-01T00:00:00Z"}, "valid_to"),
        ({"x-Bad Name": 1}, "extensions"),
        ({"indexed": "yes"}, "indexed"),
        ({"extensions": {"x-a": 1}}, None),
        ({"x-omp-import": {"key": "z" * 32, "id": 7, "record": {"content": 8}}}, "content"),
    ],
)
def test_fields_that_no_memory_has(target: Memory, tmp_path: Path, fields: dict[str, Any], field: str | None) -> None:
    path = write(tmp_path / "f", [{**memory("a", new_user()), **fields}, memory("b", new_user())])
    report = transfer.import_(target, "omp", path)
    assert report.written == (2 if field is None else 1)
    assert [problem.field for problem in report.problems if problem.place == Place(line=2)][:1] == (
        [field] if field else []
    )


def test_a_line_of_gigabytes_is_left_out_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_LINE_BYTES", 1 << 20)

    class Endless(io.RawIOBase):
        """A line of 64 MiB, and a short one."""

        left = 64 << 20

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            if self.left <= 0:
                rest = b"\nshort\n" if self.left == 0 else b""
                self.left -= 1
                buffer[: len(rest)] = rest
                return len(rest)
            count = min(len(buffer), self.left)
            buffer[:count] = bytes(count)
            self.left -= count
            return count

    tracemalloc.start()
    try:
        found = list(Source(None, io.BufferedReader(Endless()), "it").lines())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(found[0], Problem)
    assert found[0].place.line == 1
    assert found[1:] == [Line("short", Place(line=2))]
    assert peak < 8 << 20


def test_a_gzip_bomb_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: Memory) -> None:
    monkeypatch.setattr(sources, "UNCHECKED_BYTES", 1 << 20)
    path = tmp_path / "f.gz"
    with gzip.open(path, "wb", compresslevel=9) as packed:
        packed.write(json.dumps(HEADER).encode() + b"\n")
        for _ in range(8):
            packed.write(bytes(1 << 20))
    problems = transfer.verify(target, "omp", path).problems
    assert any("grows" in problem.reason for problem in problems)


def test_a_compressed_file_that_was_cut_off(target: Memory, tmp_path: Path) -> None:
    plain = tmp_path / "f"
    exported(target, plain, 400)
    whole = gzip.compress(plain.read_bytes())
    path = tmp_path / "f.gz"
    path.write_bytes(whole[: len(whole) // 2])
    report = transfer.verify(target, "omp", path)
    assert 0 < report.equal < 400
    assert any("damaged or end early" in problem.reason for problem in report.problems)


@pytest.mark.parametrize("begin", [12, 40])
def test_a_compressed_file_that_is_damaged_at_its_start(target: Memory, tmp_path: Path, begin: int) -> None:
    plain, path = tmp_path / "f", tmp_path / "f.gz"
    exported(target, plain, 20)
    packed = bytearray(gzip.compress(plain.read_bytes()))
    packed[begin : begin + 20] = bytes(20)
    path.write_bytes(packed)
    report = transfer.verify(target, "omp", path)
    assert any("damaged or end early" in problem.reason for problem in report.problems)
    packed[:2] = b"xx"
    path.write_bytes(packed)
    with pytest.raises(InvalidRequestError, match=r"is no file of openmem's: .* nor is it compressed"):
        transfer.verify(target, "omp", path)


@pytest.mark.parametrize("first", ['{"type": "omp-exp', "\x00", '{"type": "other"}', None])
def test_a_first_line_that_is_bent_or_missing_is_told_and_the_rest_is_read(
    target: Memory, tmp_path: Path, first: str | None
) -> None:
    path = tmp_path / "f"
    exported(target, path, 3)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*([] if first is None else [f"{first}\n"]), *lines[1:]]))
    report = transfer.verify(target, "omp", path)
    assert (report.equal, report.invalid) == (3, 1)
    assert report.problems[0].place.line == 1


def archive(path: Path, files: dict[str, bytes]) -> Source:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return Source.of(path)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "C:/x", "..\\x"])
def test_an_archive_with_a_path_that_leads_out(tmp_path: Path, name: str) -> None:
    source = archive(tmp_path / "a.zip", {name: b"x"})
    with pytest.raises(InvalidRequestError, match="leads out"), source.archive():
        pass


def test_a_zip_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "UNCHECKED_BYTES", 1 << 20)
    source = archive(tmp_path / "a.zip", {"b.json": b"0" * (8 << 20), "c.json": b"[1]"})
    with source.archive() as found:
        with found.open("b.json") as stream, pytest.raises(InvalidRequestError, match="grows"):
            stream.read()
        with found.open("c.json") as stream:
            assert stream.read() == b"[1]"


def test_an_archive_that_is_none_or_damaged(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(InvalidRequestError, match="not a ZIP"), Source.of(tmp_path / "no.zip").archive():
        pass
    archive(tmp_path / "a.zip", {"a.json": os.urandom(5000)})
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[2000:2100] = bytes(100)
    stream = Source(None, io.BytesIO(raw), "standard input")
    with stream.archive() as found, found.open("a.json") as file, pytest.raises(InvalidRequestError, match="damaged"):
        file.read()


def test_a_document_that_is_too_long_or_too_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_DOCUMENT_BYTES", 1000)
    path = tmp_path / "d.json"
    for text, told in (("[" * 900, "deeply|JSON"), ('"' + "x" * 2000 + '"', "more than"), ('{"a":1,"a":2}', "twice")):
        path.write_text(text)
        with pytest.raises(InvalidRequestError, match=told):
            Source.of(path).document()


def test_a_folder_is_read_without_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "in" / "a.md").write_text("a")
    (tmp_path / "in" / "b.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / "in" / "c").symlink_to(tmp_path)
    assert [name for name, _ in Source.of(tmp_path / "in").files(".md")] == ["a.md"]


def test_items_are_read_across_the_edges_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [1, 'a"\\]', {"x": [1, 2, {"y": "}"}], "é": "\n"}, [], None, True, 1e5, "", {"d": [[[]]]}]
    texts = [json.dumps(values), json.dumps({"a": values, "m": values, "z": 1}, indent=2, ensure_ascii=False)]
    for chunk in (1, 2, 3, 7, 65_536):
        monkeypatch.setattr(json_items, "CHUNK_BYTES", chunk)
        for text, member in zip(texts, (None, "m"), strict=True):
            found = list(items_of(io.BytesIO(text.encode()), "it", member=member))
            assert [item[1] for item in found if not isinstance(item, Problem)] == values
    for text in ("[1,", "[1 2]", '["a', "[1}", '[{"a":1]'):
        assert any(isinstance(item, Problem) for item in items_of(io.BytesIO(text.encode()), "it"))
    for text in ("", "{}", "7"):
        with pytest.raises(InvalidRequestError):
            list(items_of(io.BytesIO(text.encode()), "it"))


def test_times_of_other_systems() -> None:
    assert str(parse_time("2025-06-01")) == "2025-06-01 00:00:00+00:00"
    assert parse_time(1_700_000_000) == parse_time(1_700_000_000_000) == parse_time("2023-11-14T22:13:20Z")
    assert parse_time("") is None
    for wrong in ("9999-12-31T23:59:59-01:00", 1e300, float("nan"), True, "soon", -1e14, [1]):
        with pytest.raises(ValueError, match="is not"):
            parse_time(wrong)


def test_a_pipe_is_read_once(target: Memory) -> None:
    read, write_end = os.pipe()
    user = new_user()
    lines = [json.dumps(HEADER), json.dumps({"type": "memory", "memory": memory("a", user)})]

    def send() -> None:
        with os.fdopen(write_end, "w") as sink:
            sink.write("\n".join(lines) + "\n")

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(read, "rb") as stream:
        report = transfer.import_(target, "omp", Source(None, stream, "standard input"))
    sender.join()
    assert (report.written, report.invalid) == (1, 1)


def test_a_report_does_not_grow_with_what_a_file_makes_up(target: Memory, tmp_path: Path) -> None:
    user = new_user()
    lines = [{**memory(f"m{number}", user), f"field {number}": 1} for number in range(1200)]
    lines += [{**memory("x" * 100_000 + str(number), user), "content": 7} for number in range(1200)]
    report = transfer.verify(target, "omp", write(tmp_path / "f", lines))
    assert (sum(report.lost().values()), len(report.losses)) == (1200, 1001)
    assert (report.invalid, len(report.problems)) == (1201, 1000)
    assert max(len(problem.source_id or "") for problem in report.problems) == 512
    assert any(line == "and 201 more" for line in report.lines())


@pytest.mark.parametrize("user", ["", " ", "u" * 513, "a\0b", "\ud800"])
def test_a_line_of_a_user_whom_nobody_can_be_is_told_and_the_rest_is_read(
    target: Memory, tmp_path: Path, user: str
) -> None:
    path = write(tmp_path / "f", [memory("a", user), memory("b", new_user())])
    report = transfer.import_(target, "omp", path)
    assert report.written == 1
    assert [problem.field for problem in report.problems if problem.place.line == 2] == ["user_id"]


@pytest.mark.parametrize("origin", ["text", None, [], 1, {}, {"key": "k" * 32, "id": 1, "record": {EXTENSION: "text"}}])
def test_an_import_of_another_shape_is_carried_to_a_backend_that_adds(tmp_path: Path, origin: object) -> None:
    user = new_user()
    path = write(tmp_path / "f", [memory("a", user, **{EXTENSION: origin})])
    with Memory("memory", embedder="hashing", grants=["read:*", "write:*"]) as limited:
        assert transfer.import_(limited, "omp", path).written == 1
        assert transfer.import_(limited, "omp", path).equal == 1


def test_times_without_an_offset_are_taken_to_a_backend_that_adds(tmp_path: Path) -> None:
    user = new_user()
    times = {"created_at": "2026-01-31T12:00:00", "valid_to": "2026-02-01T00:00:00Z"}
    path = write(tmp_path / "f", [memory("a", user, **times)])
    with Memory("memory", embedder="hashing", grants=["read:*", "write:*"]) as limited:
        assert transfer.import_(limited, "omp", path).written == 1
        [record] = limited.list(user)
        assert str(record.valid_from) == "2026-01-31 12:00:00+00:00"
