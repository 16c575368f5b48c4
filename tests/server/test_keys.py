"""API keys: the file, the commands, who gets in, and what a key may do."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from openmem import InvalidRequestError
from openmem.server import OmpServerConfig
from openmem.server.cli import main
from openmem.server.errors import KeyRefusedError
from openmem.server.keys import KeyRing, KeysDocument, KeysFile

from .harness import Running, envelope, running

CLEAR = "a-key-from-the-environment"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> KeysFile:
    file = KeysFile(tmp_path_factory.mktemp("keys") / "keys.json")
    file.create(app="first")
    return file


@pytest.fixture(scope="module")
def guarded(settings: dict[str, object], file: KeysFile) -> Iterator[Running]:
    config = OmpServerConfig(settings=settings, keys_file=file.path, keys=[CLEAR])
    with running(config) as server:
        yield server


@pytest.fixture(scope="module")
def stranger(guarded: Running) -> Iterator[httpx.Client]:
    with guarded.client() as client:
        yield client


@pytest.fixture
def user() -> str:
    return uuid.uuid4().hex


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_the_file_has_no_key_in_it_and_is_the_owners(file: KeysFile) -> None:
    key = file.create(app="chat", users=["u"], grants=["read:*"])
    text = file.path.read_text()
    assert key not in text
    assert key.split("_", 2)[2] not in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir() if "lock" not in path.name] == [file.path.name]


def test_keys_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = KeysFile(tmp_path / "new" / "keys.json")
    threads = [threading.Thread(target=file.create, kwargs={"app": f"a{number}"}) for number in range(8)]
    command = [sys.executable, "-m", "openmem.server.cli", "keys", "create", "--keys-file", str(file.path), "--app"]
    processes = [subprocess.Popen([*command, f"b{number}"], stdout=subprocess.DEVNULL) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert {key.app for key in file.read().keys} == {f"a{n}" for n in range(8)} | {f"b{n}" for n in range(3)}


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": 1, "keys": [{"id": "x"}]}', '{"keys": [], "more": 1}', "\udcff"]
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidRequestError, match="not a file of keys"):
        KeysFile(path).read()


def test_good_keys_get_in_either_way(stranger: httpx.Client, file: KeysFile, user: str) -> None:
    key = file.create(app="chat")
    params = {"user_id": user}
    for headers in (
        bearer(key),
        {"Authorization": f"bearer {key}"},
        {"X-API-Key": key},
        {"X-API-Key": key, **bearer(key)},
        bearer(CLEAR),
    ):
        assert stranger.get("/memories", params=params, headers=headers).status_code == 200, headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic KEY"},
        {"Authorization": "KEY"},
        {"Authorization": "Bearer  KEY"},
        {"Authorization": "Bearer\tKEY"},
        {"Authorization": "Bearer KEY KEY"},
        {"Authorization": "Bearer KEYx"},
        {"Authorization": "Bearer KEY", "X-API-Key": "other"},
        {"X-API-Key": ""},
        {"X-API-Key": "KE Y"},
        {"X-API-Key": "omk_ID_"},
        {"X-API-Key": "omk_ID"},
        {"X-API-Key": "omk__"},
        {"X-API-Key": "HASH"},
        {"X-API-Key": "omk_ID_HASH"},
        {"X-API-Key": CLEAR + "x"},
        {"X-API-Key": CLEAR[:-1]},
    ],
)
def test_nothing_else_does(stranger: httpx.Client, file: KeysFile, headers: dict[str, str]) -> None:
    [entry] = [key for key in file.read().keys if key.app == "first"]
    key = file.create(app="chat")
    filled = {
        name: value.replace("KEY", key).replace("ID", entry.id).replace("HASH", entry.sha256)
        for name, value in headers.items()
    }
    for method, path in (
        ("GET", "/memories?user_id=u"),
        ("GET", "/nowhere"),
        ("PUT", "/memories"),
        ("GET", "/metrics"),
    ):
        response = stranger.request(method, path, headers=filled)
        error = envelope(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
        assert key not in error["message"]


def test_two_credentials_of_one_kind_contradict(stranger: httpx.Client, file: KeysFile) -> None:
    headers = [("X-API-Key", file.create(app="a")), ("X-API-Key", file.create(app="b"))]
    envelope(stranger.get("/memories?user_id=u", headers=headers), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/capabilities", "/healthz", "/openapi.json", "/docs"])
def test_what_needs_no_key(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 200
    assert stranger.get(path, headers=bearer("wrong")).status_code == 200


def test_an_expired_key(stranger: httpx.Client, file: KeysFile) -> None:
    key = file.create(app="chat", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    error = envelope(stranger.get("/memories?user_id=u", headers=bearer(key)), 401, "unauthorized")
    assert "expired" in error["message"]


def test_revoking_works_at_once(stranger: httpx.Client, file: KeysFile) -> None:
    key = file.create(app="chat")
    assert stranger.get("/memories?user_id=u", headers=bearer(key)).status_code == 200
    file.revoke(key.split("_")[1])
    envelope(stranger.get("/memories?user_id=u", headers=bearer(key)), 401, "unauthorized")


def test_a_broken_file_lets_nobody_in(settings: dict[str, object], tmp_path: Path) -> None:
    file = KeysFile(tmp_path / "keys.json")
    key = file.create(app="chat")
    good = file.path.read_bytes()
    with running(OmpServerConfig(settings=settings, keys_file=file.path)) as server, server.client() as client:
        assert client.get("/memories?user_id=u", headers=bearer(key)).status_code == 200
        file.path.write_bytes(b"{")
        envelope(client.get("/memories?user_id=u", headers=bearer(key)), 401, "unauthorized")
        file.path.unlink()
        envelope(client.get("/memories?user_id=u", headers=bearer(key)), 401, "unauthorized")
        file.path.write_bytes(good)
        assert client.get("/memories?user_id=u", headers=bearer(key)).status_code == 200


def test_a_key_revoked_while_the_server_reads_the_file_is_refused(
    settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = KeysFile(tmp_path / "keys.json")
    key = file.create(app="chat")
    read = KeysFile.read

    def read_and_revoke(self: KeysFile) -> KeysDocument:
        document = read(self)
        monkeypatch.setattr(KeysFile, "read", read)
        file.revoke(key.split("_")[1])
        return document

    monkeypatch.setattr(KeysFile, "read", read_and_revoke)
    with running(OmpServerConfig(settings=settings, keys_file=file.path)) as server, server.client() as client:
        assert file.read().keys == ()
        envelope(client.get("/memories?user_id=u", headers=bearer(key)), 401, "unauthorized")


def test_a_file_that_could_not_be_read_for_a_moment_is_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = KeysFile(tmp_path / "keys.json")
    first = file.create(app="first")
    ring = KeyRing(file.path, [])
    second = file.create(app="second")
    assert ring.principal([(b"x-api-key", first.encode())]).app == "first"
    file.revoke(first.split("_")[1])
    aside = file.path.rename(tmp_path / "aside.json")
    file.path.mkdir()
    for _ in range(3):
        with pytest.raises(KeyRefusedError):
            ring.principal([(b"x-api-key", second.encode())])
    file.path.rmdir()
    aside.rename(file.path)
    assert ring.principal([(b"x-api-key", second.encode())]).app == "second"
    with pytest.raises(KeyRefusedError):
        ring.principal([(b"x-api-key", first.encode())])
    assert len(caplog.records) == 1


def test_a_keys_app_is_audited_and_no_header_changes_it(stranger: httpx.Client, file: KeysFile, user: str) -> None:
    headers = bearer(file.create(app="the-key's")) | {"X-OMP-App": "pretended"}
    stranger.get("/memories", params={"user_id": user}, headers=headers)
    [entry] = stranger.get("/audit", params={"user_id": user}, headers=headers).json()["entries"]
    assert entry["app"] == "the-key's"


def test_a_key_of_a_user_does_not_learn_of_others(stranger: httpx.Client, file: KeysFile, user: str) -> None:
    other = uuid.uuid4().hex
    admin = bearer(CLEAR)
    theirs = stranger.post("/memories", json={"content": "secret", "user_id": other}, headers=admin).json()
    mine = bearer(file.create(app="chat", users=[user, "second"]))
    path = f"/memories/{theirs['id']}"

    unknown = envelope(stranger.get("/memories/mem_unknown", headers=mine), 404, "not_found")
    for response in (
        stranger.get(path, headers=mine),
        stranger.patch(path, json={"content": "mine now"}, headers=mine),
        stranger.delete(path, headers=mine),
    ):
        error = envelope(response, 404, "not_found")
        assert error["message"].replace(theirs["id"], "mem_unknown") == unknown["message"]
    own = {"content": "x", "user_id": user, "supersedes": [theirs["id"]]}
    envelope(stranger.post("/memories", json=own, headers=mine), 400, "invalid_request")

    for response in (
        stranger.get("/memories", params={"user_id": other}, headers=mine),
        stranger.get("/memories/search", params={"user_id": other, "q": "secret"}, headers=mine),
        stranger.post("/context", json={"user_id": other, "query": "secret"}, headers=mine),
        stranger.get("/audit", params={"user_id": other}, headers=mine),
        stranger.post("/memories", json={"content": "x", "user_id": other}, headers=mine),
        stranger.get("/memories", headers=mine | {"X-User-Id": other}),
    ):
        envelope(response, 403, "scope_denied")

    assert stranger.get(path, headers=admin).json() == theirs
    assert len(stranger.get("/memories", params={"user_id": other}, headers=admin).json()["items"]) == 1
    assert stranger.post("/memories", json={"content": "x", "user_id": user}, headers=mine).status_code == 201
    assert stranger.post("/memories", json={"content": "x", "user_id": "second"}, headers=mine).status_code == 201


def test_a_keys_grants_hold(stranger: httpx.Client, file: KeysFile, user: str) -> None:
    reader = bearer(file.create(app="reader", grants=["read:coding/*"]))
    for scope in ("coding/python", "health/diet"):
        body = {"content": f"about {scope}", "user_id": user, "scope": scope}
        record = stranger.post("/memories", json=body, headers=bearer(CLEAR)).json()
        envelope(stranger.post("/memories", json=body, headers=reader), 403, "scope_denied")
        envelope(stranger.delete(f"/memories/{record['id']}", headers=reader), 403, "scope_denied")
        status = stranger.get(f"/memories/{record['id']}", headers=reader).status_code
        assert status == (200 if scope.startswith("coding") else 403)
    results = stranger.get("/memories/search", params={"user_id": user, "q": "about"}, headers=reader).json()["results"]
    assert [result["memory"]["scope"] for result in results] == ["coding/python"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/users", None),
        ("DELETE", "/users/{user}", None),
        ("POST", "/purge", {}),
        ("POST", "/memories/restore", {"records": []}),
    ],
)
def test_what_concerns_all_users_needs_a_key_without_limits(
    stranger: httpx.Client, file: KeysFile, user: str, method: str, path: str, body: dict[str, object] | None
) -> None:
    stranger.post("/memories", json={"content": "tea", "user_id": user}, headers=bearer(CLEAR)).raise_for_status()
    path = path.format(user=user)
    for key in (
        file.create(app="chat", users=[user]),
        file.create(app="chat", grants=["read:*", "write:*", "delete:a/*"]),
        file.create(app="chat", users=[user], grants=["read:*", "write:*", "delete:*"]),
    ):
        envelope(stranger.request(method, path, json=body, headers=bearer(key)), 403, "scope_denied")
    # A request that says for whom it acts is limited to that user, whatever its key may do.
    other = {**bearer(CLEAR), "X-User-Id": "somebody-else"}
    if "users/" in path:
        envelope(stranger.request(method, path, json=body, headers=other), 400, "invalid_request")
    else:
        envelope(stranger.request(method, path, json=body, headers=other), 403, "scope_denied")
    [left] = stranger.get("/memories", params={"user_id": user}, headers=bearer(CLEAR)).json()["items"]
    assert left["content"] == "tea"
    for key in (CLEAR, file.create(app="upkeep")):
        assert stranger.request(method, path, json=body, headers=bearer(key)).status_code == 200


def test_limits_of_a_key_hold_for_selections(stranger: httpx.Client, file: KeysFile, user: str) -> None:
    def store(user_id: str, scope: str, key: str) -> str:
        body = {"content": key, "user_id": user_id, "scope": scope, "key": key, "tags": [key]}
        return str(stranger.put("/memories/by-key", json=body, headers=bearer(CLEAR)).json()["id"])

    inside, outside, foreign = store(user, "a/b", "in"), store(user, "c", "out"), store(f"{user}2", "a", "foreign")
    limited = bearer(file.create(app="chat", users=[user], grants=["read:a/*", "delete:a/*"]))
    asked = {"user_id": user}
    assert stranger.get("/memories/count", params=asked, headers=limited).json() == {"count": 1}
    facets = stranger.get("/memories/facets", params={**asked, "by": "tag"}, headers=limited).json()["facets"]
    assert [facet["value"] for facet in facets] == ["in"]
    scoped = {**asked, "scope": ["a/*", "c"]}
    for path in ("/memories/count", "/memories"):
        envelope(stranger.get(path, params=scoped, headers=limited), 403, "scope_denied")
    envelope(stranger.post("/memories/delete", json=scoped, headers=limited), 403, "scope_denied")
    in_scope = {**asked, "key": "out", "scope": "c"}
    envelope(stranger.get("/memories/by-key", params=in_scope, headers=limited), 403, "scope_denied")
    envelope(stranger.get(f"/memories/{outside}/history", headers=limited), 403, "scope_denied")
    envelope(stranger.get(f"/memories/{foreign}/history", headers=limited), 404, "not_found")
    envelope(stranger.get("/memories/count", params={"user_id": f"{user}2"}, headers=limited), 403, "scope_denied")
    put = {"key": "in", "content": "x", "user_id": user, "scope": "a/b"}
    envelope(stranger.put("/memories/by-key", json=put, headers=limited), 403, "scope_denied")
    deleted = stranger.post("/memories/delete", json={**asked, "everything": True}, headers=limited)
    assert deleted.json() == {"deleted": 1}
    envelope(stranger.get(f"/memories/{inside}", headers=bearer(CLEAR)), 404, "not_found")
    assert stranger.get(f"/memories/{outside}", headers=bearer(CLEAR)).status_code == 200


def test_idempotency_keys_of_different_clients_do_not_meet(stranger: httpx.Client, file: KeysFile, user: str) -> None:
    body = {"content": "x", "user_id": user}
    ids = {
        stranger.post("/memories", json=body, headers={**bearer(key), "Idempotency-Key": "same"}).json()["id"]
        for key in (file.create(app="a"), file.create(app="b"), CLEAR)
    }
    assert len(ids) == 3


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    create = ["keys", "create", "--keys-file", str(path), "--app", "chat"]
    assert main([*create, "--user", "u1", "--user", "u2", "--grant", "read:coding/*", "--expires", "90d"]) == 0
    made = capsys.readouterr()
    key = made.out.strip()
    assert key not in made.err

    monkeypatch.setenv("OMP_KEYS_FILE", str(path))
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    key_id = key.split("_")[1]
    assert listed.startswith(f"{key_id}\tapp=chat\tusers=u1,u2\tgrants=read:coding/*\t")
    assert key.split("_", 2)[2] not in listed
    [entry] = KeysFile(path).read().keys
    assert entry.expires_at is not None
    assert timedelta(days=89) < entry.expires_at - datetime.now(UTC) <= timedelta(days=90)

    assert main(["keys", "revoke", key_id]) == 0
    assert KeysFile(path).read().keys == ()
    assert main(["keys", "revoke", key_id]) == 2
    assert "no key with the id" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "--app", " "],
        ["create", "--app", "a", "--user", ""],
        ["create", "--app", "a", "--grant", "everything"],
        ["create", "--app", "a", "--expires", "soon"],
        ["list"],
    ],
)
def test_commands_that_cannot_be_carried_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    path = tmp_path / "keys.json"
    assert main(["keys", *arguments, "--keys-file", str(path)]) == 2
    assert capsys.readouterr().err.startswith("omp-server: ")
    assert not path.exists()


def test_a_command_without_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_KEYS_FILE", raising=False)
    assert main(["keys", "list"]) == 2
    assert "--keys-file" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_change_keeps_the_mode(tmp_path: Path) -> None:
    file = KeysFile(tmp_path / "keys.json")
    file.create(app="a")
    file.path.chmod(0o644)
    file.create(app="b")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert len(json.loads(file.path.read_text())["keys"]) == 2
