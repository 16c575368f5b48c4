"""The command as a process: settings, exit statuses, output, and how fast it answers."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from openmem.server.cli import main
from openmem.server.commands import OPTIONS
from openmem.server.keys import KeysFile
from tests.servers import free_port

from .harness import Process, envelope

NOWHERE = "postgresql://omp:sEcr3t-pw@127.0.0.1:9/omp"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command run to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENMEM_"))}
    return subprocess.run(
        [sys.executable, "-m", "openmem.server.cli", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No settings in the environment."""
    for option in OPTIONS.values():
        monkeypatch.delenv(str(option.variable), raising=False)
    return monkeypatch


@pytest.mark.parametrize("provider", [None, "postgres", "passthrough"])
def test_missing_settings(bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], provider: str | None) -> None:
    assert main([] if provider is None else ["--provider", provider]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("omp-server: missing config: ")
    assert ("OMP_BASE_URL" if provider == "passthrough" else "OMP_POSTGRES_URL") in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        (["--port", "x"], {}, "--port"),
        (["--port", "65536"], {}, "--port"),
        ([], {"OMP_PORT": "-1"}, "OMP_PORT"),
        ([], {"OMP_NO_AUTH": "maybe"}, "OMP_NO_AUTH"),
        ([], {"OMP_RATE_LIMIT": "0"}, "OMP_RATE_LIMIT"),
        (["--read-timeout", "0"], {}, "--read-timeout"),
        (["--log-level", "loud"], {}, "--log-level"),
        (["--audit", "some"], {}, "audit"),
        (["--schema", "no such"], {}, "schema"),
        (["--provider", "oracle"], {}, "oracle"),
        (["--postgres-url", "mysql://h/d"], {}, "url"),
        (["--keys-file", "/nonexistent/keys.json"], {}, "/nonexistent/keys.json"),
        (["--embedder", "no-such-embedder"], {}, "no-such-embedder"),
    ],
)
def test_wrong_settings(
    bare: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    named: str,
) -> None:
    for name, value in {"OMP_POSTGRES_URL": NOWHERE, **environment}.items():
        bare.setenv(name, value)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("omp-server: bad config: ")
    assert named in error
    assert "sEcr3t-pw" not in error


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--postgres-url", "mysql://h/d"], {}, "bad config: --postgres-url: it does not begin with postgresql://"),
        ([], {"OMP_POSTGRES_URL": "mysql://h/d"}, "bad config: OMP_POSTGRES_URL: it does not begin with"),
        (["--postgres-url", "postgresql://h/d?schema=x"], {}, "tables pass the argument --schema"),
        (["--postgres-url", "postgresql://h/d?timeout=5"], {}, "pass the argument --timeout, in seconds"),
        (["--provider", "postgresql://h/d"], {}, "--provider: it is a URL; pass it as --postgres-url; choose from"),
        (["--provider", "mem0"], {}, "missing config: OMP_API_KEY: provider 'mem0' needs the key"),
        (["--reranker", "cohere"], {"OMP_POSTGRES_URL": NOWHERE}, "pass reranker=CohereReranker(api_key=...) from"),
        (["--embedder", "openai"], {"OMP_POSTGRES_URL": NOWHERE}, "pass embedder=OpenAIEmbedder(api_key=...) from"),
        (["--host", "0.0.0.0"], {"OMP_POSTGRES_URL": NOWHERE}, "bad config: --host: without API keys the server"),
        (
            ["--provider", "passthrough", "--base-url", "http://localhost:1", "--schema", "mine"],
            {},
            "bad config: --schema: provider 'passthrough' does not read it (--provider 'local' or 'postgres' does); "
            "it reads OMP_API_KEY, --base-url, "
            "--pool-max-size, --timeout\n",
        ),
        (
            ["--provider", "local", "--postgres-url", NOWHERE],
            {},
            "bad config: --postgres-url: provider 'local' does not read it (--provider 'postgres' does); ",
        ),
        (["--postgres", NOWHERE], {}, "there is no flag '--postgres'; did you mean --postgres-url?"),
        (["--port=1", "--pool-max=3"], {}, "there is no flag '--pool-max'; did you mean --pool-max-size?"),
    ],
)
def test_messages_name_settings_as_the_command_line_does(
    bare: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    told: str,
) -> None:
    for variable in ("MEM0_API_KEY", "CO_API_KEY", "OPENAI_API_KEY"):
        bare.delenv(variable, raising=False)
    for name, value in environment.items():
        bare.setenv(name, value)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert "sEcr3t-pw" not in error


def test_a_wrong_parameter_of_the_url_is_told_in_one_line() -> None:
    done = run("--port", "0", "--postgres-url", f"{NOWHERE}?sslmode=foo")
    assert done.returncode == 2
    assert re.fullmatch(
        r"omp-server: bad config: --postgres-url: the parameter sslmode must be one of allow, disable, .*\n",
        done.stderr,
    )


@pytest.mark.parametrize("arguments", [["keys", "list", "--fil", "x"], ["keys", "create", "--ap", "x"]])
def test_flags_of_commands_are_not_guessed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_keys_only_loopback(bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str) -> None:
    bare.setenv("OMP_POSTGRES_URL", NOWHERE)
    if host == "":
        bare.setenv("OMP_HOST", "0.0.0.0")
    assert main(["--host", host] if host else []) == 2
    error = capsys.readouterr().err
    assert "--no-auth" in error
    assert "omp-server keys create" in error


def test_no_auth_is_loud(database: str) -> None:
    with Process("--port", "0", "--host", "0.0.0.0", "--no-auth", OMP_POSTGRES_URL=database) as omp:
        assert omp.first_lines[0].startswith("omp-server: WARNING: --no-auth: everyone ")
        with omp.client(headers={"Host": "anything.example"}) as client:
            assert client.get("/memories?user_id=u").status_code == 200


def test_without_keys_no_other_name_of_this_machine_is_served(database: str) -> None:
    with Process("--port", "0", OMP_POSTGRES_URL=database) as omp, omp.client() as client:
        for host in ("localhost", "localhost:1", "127.0.0.1:80", "[::1]:80"):
            assert client.get("/memories?user_id=u", headers={"Host": host}).status_code == 200
        for host in ("rebound.example", "localhost.example", "10.0.0.1", "127.0.0.1.example:80", "[::2]", ""):
            assert client.get("/memories?user_id=u", headers={"Host": host}).status_code == 403


def test_a_good_start_says_so_once_and_takes_little_work(database: str) -> None:
    port = free_port()
    with Process("--port", str(port), OMP_POSTGRES_URL=database) as omp, omp.client() as client:
        assert client.get("/capabilities").status_code == 200
        assert client.get("/memories?user_id=u").status_code == 200
        work = psutil.Process(omp.process.pid).cpu_times()
        assert work.user + work.system < 3  # seconds of work, which other processes do not lengthen
        status, output, errors = omp.end()
    assert status == 0
    assert omp.first_lines == [f"omp-server: serving postgres at http://127.0.0.1:{port}"]
    assert output == ""
    assert "serving" not in errors


def test_an_interrupt_ends_it_as_well(database: str) -> None:
    with Process("--port", "0", OMP_POSTGRES_URL=database) as omp:
        omp.process.send_signal(signal.SIGINT)
        assert omp.finish()[0] == 0


def test_flags_come_before_the_environment(database: str) -> None:
    with Process("--postgres-url", database, "--port", "0", OMP_POSTGRES_URL=NOWHERE, OMP_PORT="1") as omp:
        assert httpx.get(f"{omp.url}/healthz", trust_env=False).status_code == 200


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--port", str(taken.getsockname()[1]), OMP_POSTGRES_URL=NOWHERE)
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_backend_that_refuses(database: str) -> None:
    done = run("--port", "0", OMP_POSTGRES_URL=database + "_not_there", OMP_EMBEDDER="hashing")
    assert done.returncode == 1
    assert "omp-server: cannot start: " in done.stderr
    assert "serving" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stop_while_the_backend_is_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://omp@127.0.0.1:{silent.getsockname()[1]}/omp"
        omp = Process("--port", "0", OMP_POSTGRES_URL=url)
        with silent.accept()[0]:
            started = time.perf_counter()
            status, _, errors = omp.end()
    assert status == 0, errors
    assert time.perf_counter() - started < 5
    assert "Traceback" not in errors


def test_nothing_secret_is_told_anywhere(database: str, tmp_path: Path) -> None:
    def secret(kind: str) -> str:
        made = f"{kind}{secrets.token_hex(8)}"
        secrets_told.append(made)
        return made

    secrets_told: list[str] = []
    password = secret("Password")
    with psycopg.connect(database, autocommit=True) as admin:
        role = f"r{secrets.token_hex(4)}"
        admin.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{password}'")
    url = re.sub(r"//[^@]*@", f"//{role}:{password}@", database)
    key = KeysFile(tmp_path / "keys.json").create(app="chat")
    secrets_told.append(key.split("_", 2)[2])
    clear = secret("Clear")
    with (
        Process(
            *("--port", "0", "--keys-file", str(tmp_path / "keys.json"), "--log-level", "debug", "--metrics"),
            OMP_POSTGRES_URL=url,
            OMP_API_KEYS=clear,
        ) as omp,
        omp.client() as client,
    ):
        user, content, query = secret("User"), secret("Content"), secret("Query")
        for auth in ({"X-API-Key": key}, {"Authorization": f"Bearer {clear}"}):
            record = client.post("/memories", json={"content": content, "user_id": user}, headers=auth).json()
            assert "id" in record
            calls = [
                client.get("/memories", params={"user_id": user}, headers=auth),
                client.get("/memories/search", params={"user_id": user, "q": query}, headers=auth),
                client.post("/context", json={"user_id": user, "query": query}, headers=auth),
                client.patch(f"/memories/{record['id']}", json={"content": secret("Changed")}, headers=auth),
            ]
            assert [call.status_code for call in calls] == [200] * 4
            wrong = [
                client.post("/memories", content=f'{{"{secret("Broken")}', headers=auth),
                client.post("/memories", json={secret("Field"): 1, "user_id": user}, headers=auth),
                client.get("/memories", params={"user_id": user, "limit": secret("Limit")}, headers=auth),
                client.get("/nowhere", params={"token": secret("Token")}, headers=auth),
                client.get("/memories", headers=auth | {"X-User-Id": secret("Head"), "X-Request-Id": secret("Id !")}),
                client.get("/memories", headers={"Authorization": f"Bearer {secret('Wrong')}"}),
                client.get("/memories", headers={"Cookie": secret("Cookie"), "Referer": secret("Referer")}),
                client.get(f"/memories?user_id={secret('Latin')}%FC", headers=auth),
                client.get("/memories", params={"user_id": user, secret("Unknown"): secret("Value")}, headers=auth),
                client.get("/memories", params={"user_id": [secret("One"), secret("Two")]}, headers=auth),
                client.post("/memories", json={"content": secret("Text"), "created_at": secret("At")}, headers=auth),
                client.get("/memories", headers={"Host": secret("Host") + "@localhost"}),
            ]
            assert {call.status_code for call in wrong} <= {200, 400, 401, 404}
        with omp.connect() as wire:
            wire.sendall(f"GET /{secret('Raw')}\r\n{secret('Garbage')}\r\n\r\n".encode())
            wire.recv(1000)
        for raw in (
            f"GET http://{secret('Name')}:{secret('Word')}@localhost/memories?user_id={secret('Asked')} HTTP/1.1\r\n"
            f"Host: localhost\r\nAuthorization: Bearer {secret('Bearer')}\r\n\r\n",
            f"POST /memories?user_id={secret('Both')} HTTP/1.1\r\nHost: localhost\r\nX-User-Id: {secret('Of')}\r\n"
            f"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n{secret('Body')}",
            f"GET /memories?user_id={secret('Upgraded')} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            f"Upgrade: {secret('Protocol')}\r\n\r\n",
        ):
            with omp.connect() as wire:
                wire.sendall(raw.encode())
                assert wire.recv(1000).startswith(b"HTTP/1.1 4")
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("ALTER TABLE openmem.memories RENAME TO hidden")
            failed = client.get("/memories", params={"user_id": user}, headers={"X-API-Key": key})
            assert failed.status_code == 502
            admin.execute("ALTER TABLE openmem.hidden RENAME TO memories")
        metrics = client.get("/metrics", headers={"X-API-Key": key}).text
        status, output, errors = omp.end()
    assert status == 0
    refused = run(OMP_POSTGRES_URL=url, OMP_API_KEY=secret("Upstream"))
    assert refused.returncode == 2
    told = "\n".join([*omp.first_lines, output, errors, metrics, failed.text, refused.stderr, refused.stdout])
    assert "path=/memories status=200" in told
    assert 'omp_requests_total{status="200",verb="search"} 2.0' in told
    assert [made for made in secrets_told if made in told] == []


def test_an_access_log_line(database: str) -> None:
    request_id = uuid.uuid4().hex
    with Process("--port", "0", OMP_POSTGRES_URL=database) as omp, omp.client() as client:
        client.get("/memories?user_id=u", headers={"X-Request-Id": request_id})
        client.get("/a%0Ab%20c")
        _, _, errors = omp.end()
    [line, other] = [line for line in errors.splitlines() if "logger=openmem.access" in line]
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=INFO logger=openmem\.access "
        rf"method=GET path=/memories status=200 ms=\d+\.\d request_id={request_id}",
        line,
    )
    assert "path=/a%0Ab%20c status=404" in other


def test_cors_is_off_until_origins_are_named(database: str) -> None:
    origin = {"Origin": "https://app.example"}
    preflight = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    with Process("--port", "0", OMP_POSTGRES_URL=database) as omp, omp.client() as client:
        assert "access-control-allow-origin" not in client.get("/capabilities", headers=origin).headers
        assert client.options("/memories", headers=preflight).status_code == 405
    with (
        Process("--port", "0", OMP_POSTGRES_URL=database, OMP_CORS_ORIGINS="https://app.example,https://b.example")
        as omp,
        omp.client() as client,
    ):  # fmt: skip
        for response in (
            client.options("/memories", headers=preflight),
            client.get("/memories?user_id=u", headers=origin),
            client.get("/memories", headers=origin),
        ):
            assert response.headers["access-control-allow-origin"] == "https://app.example"
            assert "x-request-id" in response.headers
        assert client.options("/memories", headers=preflight).status_code == 200
        evil = client.options("/memories", headers=preflight | {"Origin": "https://evil.example"})
        assert evil.status_code == 400
        error = envelope(evil, 400, "invalid_request")
        assert "origin" in error["message"]
        assert "access-control-allow-origin" not in evil.headers
        named = client.options(
            "/memories", headers=preflight | {"Access-Control-Request-Method": "TRACE", "X-Request-Id": "named"}
        )
        assert envelope(named, 400, "invalid_request")["request_id"] == "named"


def test_every_setting_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for option in OPTIONS.values():
        assert option.variable is not None
        assert option.variable in text
        assert option.flag is None or option.flag in text


def test_every_setting_is_in_the_manual() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    for option in OPTIONS.values():
        assert f"`{option.variable}`" in manual
        assert option.flag is None or f"`{option.flag}`" in manual
