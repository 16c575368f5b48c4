"""The command as a process, on the embedded server that it uses where nothing is set."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from openmem import Memory

OPENMEM = [sys.executable, "-W", "error", "-m", "openmem.cli"]


@pytest.fixture(scope="module")
def environment() -> Iterator[Mapping[str, str]]:
    """That of an account without settings, whose embedded server runs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENMEM_"))}
    with tempfile.TemporaryDirectory(prefix="om-") as home:
        Path(home).chmod(0o755)
        places = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), home)
        with Memory("local", path=Path(home, "openmem", "postgres"), embedder="hashing"):
            yield clean | places


def run(environment: Mapping[str, str], *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command run to its end."""
    return subprocess.run(
        [*OPENMEM, *arguments], env=environment, capture_output=True, text=True, timeout=60, **options
    )


def start(environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """A command that runs."""
    return subprocess.Popen(
        [*OPENMEM, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_with_nothing_set_a_memory_is_added_and_found(environment: Mapping[str, str]) -> None:
    openmem = " ".join(OPENMEM)
    done = subprocess.run(
        f'{openmem} add "Maya is vegan" -u maya && {openmem} search "can she eat eggs" -u maya',
        shell=True, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    added, heading, row = done.stdout.splitlines()
    assert added.startswith("added mem_")
    assert heading.split()[:2] == ["SCORE", "MEMORY"]
    assert "Maya is vegan" in row
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


UNNEEDED = (
    "openmem.context", "openmem.delimited", "openmem.rerankers", "openmem.transfer",
    "openmem.providers.autodetect", "openmem.providers.memory", "openmem.providers.passthrough",
    "asyncpg", "fastapi", "httpcore", "httpx", "huggingface_hub", "jinja2", "mcp", "numpy", "requests", "rich",
    "urllib3", "wordllama",
)  # fmt: skip
"""Modules that a search in the terminal, which may take .7 s, must not import."""


def test_a_search_imports_what_it_needs(environment: Mapping[str, str]) -> None:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from openmem.cli import main\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", program, "search", "can she eat eggs", "-u", "maya"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    imported = done.stderr.split()
    assert {"tokenizers", "openmem.providers.postgres.provider"} <= set(imported), "it did not search"
    assert [name for name in imported if f"{name}.".startswith(tuple(f"{name}." for name in UNNEEDED))] == []


def test_ids_go_from_one_command_to_the_next(environment: Mapping[str, str]) -> None:
    openmem = " ".join(OPENMEM)
    done = subprocess.run(
        f"printf '{{\"content\": \"a\"}}\\n{{\"content\": \"b\"}}\\n' | {openmem} add --batch - -u pipe -q "
        f"| {openmem} delete - -u pipe --yes --jsonl",
        shell=True, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [list(json.loads(line)) for line in done.stdout.splitlines()] == [["deleted"], ["deleted"]]
    assert run(environment, "count", "-u", "pipe").stdout == "0\n"


def test_a_reader_that_has_enough_ends_the_command_quietly(environment: Mapping[str, str]) -> None:
    with Memory("local", path=Path(environment["HOME"], "openmem", "postgres"), embedder="hashing") as memory:
        memory.add_many({"content": "note " * 2000, "user_id": "many", "indexed": False} for _ in range(40))
    with start(environment, "list", "--all", "--jsonl", "-u", "many") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_an_interrupt_ends_it_without_a_traceback(environment: Mapping[str, str]) -> None:
    process = start(environment, "add", "-", "-u", "maya")
    assert process.stdin is not None
    process.stdin.write(b"x\n" * 100_000)  # more than a pipe holds, so that it is reading by now
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.decode().strip() == "openmem: interrupted"


@pytest.mark.parametrize("name", ["click", "openmem.memory"])
def test_an_interrupt_while_it_starts_is_told_as_any_other(
    environment: Mapping[str, str], tmp_path: Path, name: str
) -> None:
    tmp_path.joinpath("sitecustomize.py").write_text(
        f"""
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), environment.get("PYTHONPATH")]))
    done = run({**environment, "PYTHONPATH": path}, "count", "-u", "maya")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "openmem: interrupted")


def test_an_interrupt_in_the_middle_of_an_import_ends_it_at_once() -> None:
    """Whatever it would run on the way out could wait for the lock of the imports."""
    program = """
import signal, sys
from openmem.cli import interrupt_between_imports

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "interrupted":
            signal.getsignal(signal.SIGINT)(signal.SIGINT, sys._getframe(1))

interrupt_between_imports()
sys.meta_path.insert(0, Interrupting())
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("raised", flush=True)
try:
    import interrupted
finally:
    print("not at once")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "raised\n", "openmem: interrupted\n")


@pytest.mark.parametrize(
    ("redirection", "arguments", "status", "told"),
    [
        (">&-", "list -u maya", 0, ""),
        ("<&-", "add - -u maya", 2, "TEXT"),
        ("2>&-", "get nothing", 3, ""),
        (">/dev/full", "count -u maya", 1, "openmem: standard output, or a temporary file: No space left on device"),
        (">/dev/full", "export - -u maya", 1, "openmem: standard output, or a temporary file: No space left"),
    ],
)
def test_streams_that_are_closed_or_full(
    environment: Mapping[str, str], redirection: str, arguments: str, status: int, told: str
) -> None:
    done = subprocess.run(
        f"{' '.join(OPENMEM)} {arguments} {redirection}",
        shell=True, env={**environment, "OMP_EMBEDDER": "hashing"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr


def test_several_at_once(environment: Mapping[str, str]) -> None:
    processes = [start(environment, "add", f"text {n}", "-u", "many at once", "-q") for n in range(3)]
    done = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], done
    assert len({output for output, _ in done}) == 3
    assert run(environment, "count", "-u", "many at once").stdout == "3\n"


def test_status_of_the_embedded_server(environment: Mapping[str, str]) -> None:
    with Memory("local", path=Path(environment["HOME"], "openmem", "postgres"), embedder="hashing") as memory:
        memory.add(content="by another model", user_id="status")
    done = run(environment, "status", "--json", "-u", "status", "--embedder", "hashing:64")
    assert done.returncode == 0, done.stderr
    backend = json.loads(done.stdout)["backend"]
    assert backend["server"].startswith("PostgreSQL ")
    assert backend["pgvector"].count(".") == 2
    assert backend["directory"] == f"{environment['HOME']}/openmem/postgres"
    assert (backend["memories_of_user"], backend["to_reindex"]) == (1, 0)
    assert backend["to_reembed"] >= 1
    text = run(environment, "status", "--embedder", "hashing:64").stdout
    assert "run 'openmem reembed'" in text


def test_serve(environment: Mapping[str, str]) -> None:
    quiet = {**environment, "OMP_PROVIDER": "memory", "OMP_EMBEDDER": "hashing"}
    process = start(quiet, "serve", "--port", "0")
    assert process.stderr is not None
    try:
        line = process.stderr.readline().decode()
        assert line.startswith("openmem serve: serving memory at http://127.0.0.1:")
        url = line.split()[-1]
        assert httpx.get(f"{url}/capabilities", trust_env=False).status_code == 200
        done = run({**environment, "OMP_BASE_URL": url}, "add", "Maya is vegan", "-u", "maya", "--json")
        assert json.loads(done.stdout)["content"] == "Maya is vegan"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_ui(environment: Mapping[str, str]) -> None:
    """The address is on standard output, and what opens the web browser is told it."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        opened, program = Path(directory, "opened"), Path(directory, "program")
        os.mkfifo(opened)
        # Held open for both, so that the program never waits for a reader, and never outlives a test that fails.
        pipe = stack.enter_context(os.fdopen(os.open(opened, os.O_RDWR), "rb", buffering=0))
        program.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
        program.chmod(0o755)
        asked = {"OMP_PROVIDER": "memory", "OMP_EMBEDDER": "hashing", "OMP_API_KEYS": "x" * 32, "OMP_HOST": "0.0.0.0"}
        process = start({**environment, **asked, "BROWSER": str(program)}, "ui", "-u", "maya & co")
        assert process.stdout is not None
        try:
            url = process.stdout.readline().decode().rstrip()
            assert re.fullmatch(
                r"http://127\.0\.0\.1:\d+/ui/open\?ticket=[\w-]{43}&next=%2Fui%2Fmemories%3Fuser_id%3Dmaya%2B%2526%2Bco",
                url,
            )
            with httpx.Client(follow_redirects=True, trust_env=False) as client:
                assert "There are no memories of this user." in client.get(url).text
            with httpx.Client(follow_redirects=True, trust_env=False) as other:
                for address in (url, httpx.URL(url, path="/ui/users", query=None), httpx.URL(url, path="/ui/login")):
                    assert "with Ctrl+C, start it again" in other.get(address).text
                assert other.get(httpx.URL(url, path="/memories", query=b"user_id=maya")).status_code == 401
            assert pipe.readline().decode().rstrip() == url
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == b"openmem ui: serving until Ctrl+C, to the web browser that opens this address first\n"


def test_serve_refuses_other_machines_without_keys(environment: Mapping[str, str]) -> None:
    done = run(environment, "serve", "--host", "0.0.0.0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("openmem: bad config: --host: without API keys the server only listens on loopback")


def test_a_shell_completes_commands_and_flags(environment: Mapping[str, str]) -> None:
    def completed(words: str, number: int) -> list[str]:
        asked = {"_OPENMEM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        return [line.split(",")[1] for line in run({**environment, **asked}).stdout.splitlines()]

    assert completed("openmem se", 1) == ["search", "serve"]
    assert completed("openmem search --min", 2) == ["--min-score"]
