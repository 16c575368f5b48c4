"""A real gunicorn that loads the application, and uses its client, before it forks."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from openmem.server import OmpServerConfig

from ..server.harness import running
from ..servers import Server, free_port
from .conftest import ROOT

WORKERS = 4
CLIENTS = 8
CALLS = 50

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")


@contextmanager
def gunicorn(log: Path, **settings: Any) -> Iterator[str]:
    """A gunicorn whose application has a client with these settings; the URL of the application."""
    port = free_port()
    options = ("--preload", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}", "--no-control-socket")
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "tests.forks.wsgi:application"],
            env=os.environ | {"PREFORK_SETTINGS": json.dumps(settings)},
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + 60
            while "Booting worker" not in log.read_text():
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def ask(url: str, log: Path) -> None:
    """Ask for each user's memories, by many clients at once; each must be told its own, by all workers together."""
    tally: collections.Counter[str] = collections.Counter()
    workers: set[int] = set()

    def client(user: str) -> None:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            for _ in range(CALLS):
                response = http.get(f"/{user}")
                if response.status_code == 200:
                    worker, contents = response.json()
                    workers.add(worker)
                    tally["own" if contents == [f"secret of {user}"] else f"instead of {user}'s: {contents}"] += 1
                else:
                    tally[str(response.status_code)] += 1

    clients = [threading.Thread(target=client, args=(f"user{number}",)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert tally == {"own": CLIENTS * CALLS}, log.read_text()
    assert len(workers) > 1


def test_postgres(database: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path / "log", url=database, embedder="hashing") as url:
        ask(url, tmp_path / "log")


def test_another_server_of_the_protocol(server: Server, tmp_path: Path) -> None:
    config = OmpServerConfig(settings={"url": server.create_database(), "embedder": "hashing"})
    with (
        running(config) as omp_server,
        gunicorn(tmp_path / "log", provider="passthrough", base_url=omp_server.url) as url,
    ):
        ask(url, tmp_path / "log")


def test_the_embedded_server(tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="om-") as parent:
        Path(parent).chmod(0o755)
        settings = {"provider": "local", "path": f"{parent}/home", "embedder": "hashing"}
        with gunicorn(tmp_path / "log", **settings) as url:
            ask(url, tmp_path / "log")
