"""The order of the tests: random with a printed seed, those that take long first, shared among the workers.

``--seed`` repeats an order. Modules, the classes in them and the tests in those are shuffled, so that a
test meets other tests before it in every run, and fixtures of modules and classes are set up once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent

# These wait for most of their time, for time limits and for processes that start and stop. They begin
# first and are shared test by test, so that no worker is left with a long module at the end.
SLOW = (
    "faults/test_forgotten_connections.py",
    "forks/test_forks.py",
    "forks/test_gunicorn.py",
    "local/test_ownership.py",
    "local/test_containers.py",
    "local/test_sharing.py",
    "http/test_idle_connections.py",
    "types/test_types.py",
    "benchmarks/test_compare.py",
    "docs/test_matrix.py",
    "faults/test_faults.py",
    "faults/test_life_cycle.py",
    "faults/test_dead_route.py",
    "server/test_cli.py",
    "server/test_connections.py",
    "local/test_paths.py",
    "local/test_odd_places.py",
    "mem0/test_threads.py",
)

# Their tests need something of the machine for themselves, and stay together.
UNDIVIDED = ("faults/test_dead_route.py",)


def module(nodeid: str) -> str:
    """The file of a test, from the directory of the tests."""
    return nodeid.partition("::")[0].removeprefix(f"{TESTS.name}/")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """A class of tests, or the tests of a module outside of classes, goes to one worker; of slow modules, each test."""

    def _assign_work_unit(self, node: Any) -> None:
        """Half of the workers wait, with slow tests, while the others work; in the end all do what is left."""
        if list(self.assigned_work).index(node) % 2:
            quick = next((scope for scope in self.workqueue if module(scope) not in SLOW), None)
            if quick is not None:
                self.workqueue.move_to_end(quick, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        if module(nodeid) in SLOW and module(nodeid) not in UNDIVIDED:
            return nodeid
        return nodeid.partition("[")[0].rpartition("::")[0]


class Ordering:
    """Sorts the tests of one process; every worker comes to the same order."""

    def __init__(self, seed: str) -> None:
        self.seed = seed

    def pytest_report_header(self) -> str:
        return f"random order; to repeat it: make test SEED={self.seed}, or pytest --seed {self.seed}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.OK:
            terminalreporter.write_line(self.pytest_report_header())

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=self._key)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["seed"] = self.seed

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Scheduling:
        config.option.loadscopereorder = False
        return Scheduling(config, log)

    def _key(self, item: pytest.Item) -> tuple[int, Sequence[bytes]]:
        name = module(item.nodeid)
        rank = SLOW.index(name) if name in SLOW else len(SLOW)
        return rank, [self._shuffled(part) for part in _prefixes(item.nodeid)]

    def _shuffled(self, text: str) -> bytes:
        return hashlib.blake2b(f"{self.seed}:{text}".encode(), digest_size=8).digest()


def _prefixes(nodeid: str) -> list[str]:
    """The file, the class or function, and so on to the whole."""
    head, bracket, case = nodeid.partition("[")
    parts = head.split("::")
    return ["::".join(parts[: number + 1]) for number in range(len(parts))] + [bracket + case]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", help="of the random order of the tests", default=os.environ.get("SEED") or None)


def pytest_configure(config: pytest.Config) -> None:
    missing = [name for name in (*SLOW, *UNDIVIDED) if not (TESTS / name).exists()]
    if missing:
        raise pytest.UsageError(f"{__name__} names files that do not exist: {', '.join(missing)}")
    workerinput = getattr(config, "workerinput", {})
    seed = workerinput.get("seed") or config.getoption("seed") or str(secrets.randbelow(10**6))
    config.pluginmanager.register(Ordering(seed), "ordering")
