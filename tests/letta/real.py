"""Installs the last Letta server, starts it on loopback, and runs the tests of this room against it.

``python -m tests.letta.real [--venv DIRECTORY] [arguments of pytest]``

The server gets an environment of its own with the versions of ``requirements.txt``, an embedded
PostgreSQL, and an embeddings endpoint in this process. All of it has ended when this script ends.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg

from ..servers import Server, free_port
from .embeddings import EmbeddingService

ROOT = Path(__file__).resolve().parents[2]
TESTS = Path(__file__).parent
REQUIREMENTS = TESTS / "requirements.txt"
ON_SERVERS = ("test_conformance.py", "test_server.py")
URL_VARIABLE = "LETTA_TEST_URL"
EMBEDDINGS_VARIABLE = "LETTA_TEST_EMBEDDINGS"
START_TIMEOUT = 180.0
STOP_TIMEOUT = 20.0


def install(venv: Path) -> Path:
    """Make the server's environment unless it is there; returns the unpacked sources, which have the migrations."""
    [requirement] = [line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("letta==")]
    sources = venv / "sources"
    mark = venv / ".installed"
    if not mark.exists() or mark.read_text() != REQUIREMENTS.read_text():
        print(f"Installing {requirement} in {venv}, once; it takes a few minutes", flush=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "-qq", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([*pip, "install", "--upgrade", "pip"], check=True)
        subprocess.run([*pip, "install", "--no-deps", "--requirement", str(REQUIREMENTS)], check=True)
        subprocess.run(
            [*pip, "download", "--no-deps", "--no-binary", "letta", "--dest", str(sources), requirement], check=True
        )
        [archive] = sources.glob("letta-*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(sources, filter="data")
        mark.write_text(REQUIREMENTS.read_text())
    return sources / requirement.replace("==", "-")


def environment(home: Path, database: str, embeddings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TMPDIR")}
    return kept | {
        "HOME": str(home),
        "LETTA_DIR": str(home / ".letta"),
        "LETTA_PG_URI": database,
        # Without a pool it opens new connections for every query, and some of them stall.
        "LETTA_DISABLE_SQLALCHEMY_POOLING": "false",
        "LETTA_DISABLE_TRACING": "true",
        "OPENAI_API_KEY": "not-a-key",
        "OPENAI_API_BASE": embeddings,
    }


@contextlib.contextmanager
def running(venv: Path, sources: Path, embeddings: str) -> Iterator[str]:
    """The URL of a Letta server that runs within the block."""
    postgres = Server()
    with tempfile.TemporaryDirectory(prefix="letta-") as directory:
        home = Path(directory)
        try:
            postgres.start()
            with psycopg.connect(postgres.url(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE letta")
            with psycopg.connect(postgres.url("letta"), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION vector")
            began = time.monotonic()
            subprocess.run(
                [str(venv / "bin" / "python"), "-m", "alembic", "upgrade", "head"],
                cwd=sources,
                env=environment(home, postgres.url("letta"), embeddings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=True,
            )
            print(f"migrated in {time.monotonic() - began:.0f} s", flush=True)
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            log = home / "log"
            began = time.monotonic()
            with log.open("w") as output:
                process = subprocess.Popen(
                    [str(venv / "bin" / "letta"), "server", "--host", "127.0.0.1", "--port", str(port)],
                    cwd=home,
                    env=environment(home, f"{postgres.url('letta')}?ssl=disable", embeddings),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            try:
                wait_until_healthy(url, process, log)
                print(f"serving in {time.monotonic() - began:.0f} s", flush=True)
                yield url
            finally:
                stop(process)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{error}\n{error.stderr}") from None
        finally:
            postgres.remove()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/v1/health/", timeout=5):
            return
        time.sleep(0.25)
    raise SystemExit(f"the Letta server did not start:\n{log.read_text()[-5000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-letta")
    options, arguments = parser.parse_known_args()
    venv = options.venv.resolve()
    sources = install(venv)
    with EmbeddingService() as embeddings, running(venv, sources, embeddings.url) as url:
        command = [sys.executable, "-m", "pytest", *(str(TESTS / name) for name in ON_SERVERS), *arguments]
        tested = os.environ | {URL_VARIABLE: url, EMBEDDINGS_VARIABLE: embeddings.url}
        return subprocess.run(command, cwd=ROOT, env=tested, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main())
