"""How the browser is opened by ``omp-server``, and what is said where it cannot be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ..server.harness import Process
from .pages import parsed


def test_omp_server_serves_it_beside_the_api() -> None:
    with Process("--provider", "memory", "--port", "0", "--ui") as server, server.client() as client:
        assert "Nobody has any memories yet." in parsed(client.get("/ui/users")).text
        assert client.get("/capabilities").status_code == 200
        status, output, errors = server.end()
    assert (status, output) == (0, "")
    assert "path=/ui/users status=200" in errors


def test_without_the_switch_there_is_none() -> None:
    with Process("--provider", "memory", "--port", "0") as server, server.client() as client:
        assert client.get("/ui/users").status_code == 404


def test_it_is_not_served_to_other_machines_without_keys() -> None:
    flags = ["--provider", "memory", "--host", "0.0.0.0", "--no-auth", "--ui"]
    command = [sys.executable, "-m", "openmem.server.cli", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "omp-server: bad config: --ui: without API keys the memory browser is for this machine"
    )


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("openmem.server.cli", ["--provider", "memory", "--ui"]), ("openmem.cli", ["ui", "--provider", "memory"])],
)
def test_a_missing_extra_is_one_clear_error(module: str, arguments: list[str]) -> None:
    program = (
        "import importlib.util as u, sys; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'jinja2' else find(name, *a); sys.modules['jinja2'] = None; "
        f"from {module} import main; sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "needs jinja2, which is not installed: pip install 'openmem[ui]'" in done.stderr
    assert "Traceback" not in done.stderr
