"""The browser as users get it: from the wheel, not from this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ..servers import free_port
from .tabs import Look, tab

ROOT: Final = Path(__file__).resolve().parents[2]
MAX_WHEEL_BYTES: Final = 200_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", directory, ROOT], check=True, stdin=subprocess.DEVNULL)
    [path] = directory.glob("*.whl")
    return path


def test_the_room_is_small_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        sizes = {info.filename: info.compress_size for info in packed.infolist()}
    room = {name: size for name, size in sizes.items() if name.startswith("openmem/ui/")}
    assert any(name.endswith("htmx.min.js") for name in room)
    assert any(name.endswith("base.html") for name in room)
    assert sum(room.values()) <= MAX_WHEEL_BYTES


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs from the wheel."""
    place = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place)
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENMEM_", "PYTHON"))}
    program = (
        "import sys, openmem; assert openmem.__file__.startswith(sys.argv.pop(1)), openmem.__file__;"
        "from openmem.server.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(place), "--provider", "memory", "--ui", "--port", str(port)],
        cwd=place,
        env=clean | {"PYTHONPATH": str(place), "OPENMEM_EMBEDDER": "hashing"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if line.startswith("omp-server: serving"):
                    break
            else:
                pytest.fail("the server did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_the_wheel_serves_pages_with_style_and_script(browser: Any, installed: str) -> None:
    with tab(browser, Look(), installed) as seen:
        assert seen.open("/ui/users") == 200
        assert "Nobody has any memories yet." in seen.text
        assert seen.page.evaluate("typeof htmx") == "object"
        assert seen.page.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"
        seen.fill("Find a user", "maya")
        seen.press("Find")
        seen.follow("Open maya")
        assert "There are no memories of this user." in seen.text
        assert seen.complaints == []
