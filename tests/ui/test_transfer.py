"""Import and export on pages."""

from __future__ import annotations

import gzip
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from openmem import Memory, transfer
from openmem.server.errors import KeyRefusedError
from openmem.server.keys import ANYONE, KeyRing, KeysDocument, KeysFile, PresentedKey
from openmem.transfer import ImportSettings, importing
from openmem.ui import uploads

from ..server.harness import Running
from .pages import Element, parsed, post, sign_in
from .test_status import until

SAME = {"Sec-Fetch-Site": "same-origin"}


def send(client: httpx.Client, content: bytes, name: str = "memories.jsonl", **fields: str) -> httpx.Response:
    """Upload a file with the form of the page."""
    return client.post("/ui/import", data={"format": "omp", **fields}, files={"file": (name, content)})


def finished(client: httpx.Client, answer: httpx.Response) -> tuple[str, Element]:
    """The id of the job that was begun, and its page when it has ended."""
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"]
    return path.rpartition("id=")[2], until(client, path, lambda page: not list(page.all("progress")))


@pytest.fixture
def exported(memory: Memory, tmp_path: Path) -> Path:
    """A file with memories of the user ``moves``, who has none any more."""
    memory.forget_user("moves")
    memory.add_many([{"content": f"memory {number} <b>&", "user_id": "moves", "scope": "a/b"} for number in range(3)])
    path = tmp_path / "file.omp.jsonl"
    transfer.export(memory, path, transfer.Choice(["moves"]))
    memory.forget_user("moves")
    return path


def test_an_import_is_tried_and_then_stored(browser: httpx.Client, memory: Memory, exported: Path) -> None:
    id, page = finished(browser, send(browser, exported.read_bytes(), "<script>.jsonl"))
    assert page.one("h1").text == "Trial of an import"
    assert "3 read, 3 would be written, 0 there already" in page.text
    assert "<script>.jsonl" in page.text
    assert memory.count("moves") == 0
    stored = post(browser, "/ui/import/job", {"id": id, "action": "store"})
    again, page = finished(browser, stored)
    assert page.one("h1").text == "Import"
    assert "3 read, 3 written, 0 there already" in page.text
    assert memory.count("moves") == 3
    assert memory.audit("moves", app="omp-server ui", limit=1)
    for old in (id, again):
        assert "choose it again" in parsed(post(browser, "/ui/import/job", {"id": old, "action": "store"}), 400).text
    _, page = finished(browser, send(browser, exported.read_bytes(), mode="store"))
    assert "3 read, 0 written, 3 there already" in page.text


def test_what_is_wrong_in_a_file_is_in_the_report(browser: httpx.Client, exported: Path) -> None:
    lines = exported.read_text().splitlines()
    _, page = finished(browser, send(browser, "\n".join([*lines[:2], "{", *lines[2:]]).encode()))
    assert "1 invalid" in page.text
    assert "line 3" in page.text


def test_a_file_of_another_format_is_an_error(browser: httpx.Client) -> None:
    _, page = finished(browser, send(browser, b"no archive", format="hindsight"))
    assert "is not a ZIP archive" in page.one("div", role="alert").text
    assert "openmem-upload" not in page.text


def test_a_reader_takes_its_options_and_a_user(browser: httpx.Client, memory: Memory) -> None:
    memory.forget_user("reads")
    answer = send(browser, b"- [2025-06-01] User is vegan\n", format="text", user_id="reads", mode="store",
                  scope_prefix="from/chat")  # fmt: skip
    _, page = finished(browser, answer)
    assert "1 read, 1 written" in page.text
    assert next(iter(memory.list("reads"))).scope == "from/chat"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"format": "nope"}, "format"),
        ({"options": "x"}, "give it as NAME=VALUE"),
        ({"options": "x=1"}, "does not have it"),
        ({"scope_prefix": "//"}, "scope"),
    ],
)
def test_what_is_asked_wrongly_is_refused_at_once(browser: httpx.Client, fields: dict[str, str], said: str) -> None:
    page = parsed(send(browser, b"x", **fields), 400)
    assert said in page.one("div", role="alert").text


def test_a_form_that_is_none_is_refused(browser: httpx.Client) -> None:
    for content, media_type in (
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\nnothing", "multipart/form-data; boundary=x"),
        (b"x", "multipart/form-data"),
        (b"a=1", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
    ):
        answer = browser.post("/ui/import", content=content, headers={"Content-Type": media_type})
        assert parsed(answer, 400).one("div", role="alert").text.strip()
    assert browser.post("/ui/import", data={"format": "omp"}, files={"file": ("", b"")}).status_code == 400


def test_files_over_the_limit_are_refused(browser: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 100_000)
    assert send(browser, b"x" * 200_000).status_code == 413

    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(20):
            yield b"y" * 10_000
        yield b"\r\n--x--\r\n"

    media_type = {"Content-Type": "multipart/form-data; boundary=x"}
    assert browser.post("/ui/import", content=chunks(), headers=media_type).status_code == 413


def test_an_upload_for_which_there_is_no_place_is_refused_before_it_is_sent(
    browser: httpx.Client, open_server: Running, exported: Path
) -> None:
    address = urlsplit(open_server.url)
    head = (
        f"POST /ui/import HTTP/1.1\r\nHost: {address.netloc}\r\nSec-Fetch-Site: same-origin\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    )
    with ExitStack() as stack:
        replies = []
        for _ in range(3):
            connection = stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=30))
            connection.sendall(head.encode())
            replies.append(connection.recv(65_536).decode().lower())
    assert [reply.split()[1] for reply in replies] == ["100", "100", "503"]
    assert "retry-after: " in replies[2]
    # The others went away, and with them what they kept.
    deadline = time.monotonic() + 30
    while (answer := send(browser, exported.read_bytes())).status_code == 503 and time.monotonic() < deadline:
        pass
    finished(browser, answer)


def test_uploads_leave_nothing_on_the_disk(
    browser: httpx.Client, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    id, _ = finished(browser, send(browser, exported.read_bytes()))
    [kept] = place.glob("openmem-upload-*")
    assert kept.stat().st_mode & 0o077 == 0
    assert post(browser, "/ui/import/job", {"id": id, "action": "discard"}).headers["location"] == "/ui/transfer"
    finished(browser, send(browser, exported.read_bytes(), mode="store"))
    send(browser, b"x", format="nope")
    assert not list(place.iterdir())


def test_an_export_is_what_the_transfer_room_reads(
    browser: httpx.Client, memory: Memory, exported: Path, tmp_path: Path
) -> None:
    transfer.import_(memory, "omp", exported)
    answer = post(browser, "/ui/export", {"user_id": "moves", "packed": "yes"})
    assert answer.headers["content-disposition"].endswith('.omp.jsonl.gz"')
    plain = post(browser, "/ui/export", {"user_id": "moves", "with_audit": "yes"})
    assert plain.headers["content-disposition"].endswith('.omp.jsonl"')
    for content in (answer.content, plain.content):
        path = tmp_path / "again"
        path.write_bytes(content)
        report = transfer.import_(memory, "omp", path, ImportSettings(dry_run=True))
        assert (report.equal, report.invalid, report.written) == (3, 0, 0)
    assert len(gzip.decompress(answer.content)) < len(plain.content)
    assert memory.audit("moves", app="omp-server ui", limit=1)[0].action == "list"


def test_an_export_has_the_formats_of_the_transfer_room(
    browser: httpx.Client, memory: Memory, exported: Path, tmp_path: Path
) -> None:
    transfer.import_(memory, "omp", exported)
    form = parsed(browser.get("/ui/transfer?user_id=moves")).one("form", action="/ui/export")
    assert [option.attributes["value"] for option in form.one("select", id="export-format").all("option")] == [
        *transfer.WRITERS
    ]
    vectors = post(browser, "/ui/export", {"user_id": "moves", "with_vectors": "yes"}).text.splitlines()
    assert sum("vector" in json.loads(line) for line in vectors) == 3
    for packed in ({}, {"packed": "yes"}):
        answer = post(browser, "/ui/export", {"user_id": "moves", "format": "pam", **packed})
        path = tmp_path / answer.headers["content-disposition"].partition('"')[2].rstrip('"')
        path.write_bytes(answer.content)
        assert ".pam.json" in path.name
        report = transfer.import_(memory, "pam", path, ImportSettings(dry_run=True))
        assert (report.equal, report.written) == (3, 0)
    for fields in ({"format": "x"}, {"format": "pam"}, {"format": "pam", "user_id": "moves", "scope": "a"}):
        assert "format" in parsed(post(browser, "/ui/export", fields), 400).one("div", role="alert").text


def test_names_to_choose_from_hide_nothing(keyed_server: Running, keys: KeysFile) -> None:
    names = ["a\u202etxt", "plain"]
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="a", users=names))
        page = parsed(client.get("/ui/transfer"))
        for field in ("export-user", "import-user"):
            options = list(page.one("select", id=field).all("option"))
            assert [option.attributes["value"] for option in options] == sorted(names)
            assert [option.text for option in options] == ["aU+202Etxt", "plain"]


def test_an_export_that_fails_is_an_error_and_no_file(browser: httpx.Client) -> None:
    page = parsed(post(browser, "/ui/export", {"user_id": "moves", "scope": "//"}), 400)
    assert "scope" in page.one("div", role="alert").text


def test_a_limited_key_exports_and_imports_its_own(
    keyed_server: Running, keys: KeysFile, memory: Memory, exported: Path
) -> None:
    memory.add(content="not theirs", user_id="other")
    transfer.import_(memory, "omp", exported)
    memory.add(content="elsewhere", user_id="moves", scope="secret")
    limits: dict[str, Any] = {"users": ["moves"], "grants": ["read:a/**", "write:a/**"]}
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="a", **limits))
        assert post(client, "/ui/export", {}).status_code == 403
        assert "not theirs" not in post(client, "/ui/export", {"user_id": "other"}).text
        lines = [json.loads(line) for line in post(client, "/ui/export", {"user_id": "moves"}).text.splitlines()]
        assert sum("secret" in str(line) for line in lines) == 0
        assert sum("memory 1" in str(line) for line in lines) == 1
        id, page = finished(client, send(client, b"- stolen\n", format="text", user_id="other", mode="store"))
        assert "1 written" not in page.text
        assert memory.count("other", scope="*") == 0
        assert [found.content for found in memory.iterate("other") if found.content == "stolen"] == []
        with keyed_server.client(headers=SAME) as another:
            sign_in(another, keys.create(app="b"))
            assert another.get(f"/ui/import/job?id={id}").status_code == 404
            assert post(another, "/ui/import/job", {"id": id, "action": "stop"}).status_code == 404
        sign_in(client, keys.create(app="a", grants=["read:*"]))
        page = parsed(client.get("/ui/transfer"))
        assert not list(page.all("form", action="/ui/import"))


def test_an_import_ends_with_the_key_that_began_it(
    keyed_server: Running, keys: KeysFile, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_RECORDS", 5)
    memory.forget_user("leaves")
    lines = "".join(f"- fact {number}\n" for number in range(3000))
    key = keys.create(app="leaves", users=["leaves"])
    id = keys.read().keys[-1].id
    with keyed_server.client(headers=SAME) as client, keyed_server.client(headers=SAME) as owner:
        sign_in(client, key)
        sign_in(owner, keys.create(app="owner"))
        assert send(client, lines.encode(), format="text", user_id="leaves", mode="store").status_code == 303
        assert "The import that it has begun will stop" in parsed(owner.get(f"/ui/keys/revoke?id={id}")).text
        assert post(owner, "/ui/keys/revoke", {"id": id}).status_code == 303
        page = until(
            owner, "/ui/status", lambda page: f"the API key {id}, which began this, has been revoked" in page.text
        )
        assert "stopped" in page.text
        stored = memory.count("leaves")
        assert stored < 3000
        assert post(client, "/ui/export", {"user_id": "leaves"}).status_code == 401
        assert memory.count("leaves") == stored


@pytest.mark.parametrize(
    "change", [{"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, {"users": ("b",)}, {"grants": ()}]
)
def test_a_key_that_has_become_another_one_is_noticed(tmp_path: Path, change: dict[str, Any]) -> None:
    file = KeysFile(tmp_path / "keys.json")
    key = file.create(app="a", users=["a"])
    ring = KeyRing(file.path, ["secret"])
    holder = ring.holder(PresentedKey.of(key))
    for good in (holder, ANYONE, ring.holder(PresentedKey.of("secret"))):
        ring.check_unchanged(good)
    [stored] = file.read().keys
    file.path.write_text(KeysDocument(keys=(stored.model_copy(update=change),)).model_dump_json())
    with pytest.raises(KeyRefusedError, match="which began this"):
        ring.check_unchanged(holder)
