"""Runs the application of this room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

ROOT = Path(__file__).parents[2]
APPLICATION = "tests.forks.application"
CHILDREN = 4
# Python warns of a fork beside threads, which is what is tried here.
OPTIONS = ("-X", "faulthandler", "-W", "error", "-W", "ignore:This process:DeprecationWarning")

Run: TypeAlias = Callable[..., None]


@pytest.fixture
def run() -> Run:
    """Runs an application that forks children, and checks what its calls gave. Its arguments are the plan's."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    return _run


def _run(*, calls: int, children: int = CHILDREN, hammers: int = 3, **plan: Any) -> None:
    application = subprocess.Popen(
        [sys.executable, *OPTIONS, "-m", APPLICATION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        start_new_session=True,
    )
    wanted = plan | {"children": children, "calls": calls, "hammers": hammers}
    try:
        output, errors = application.communicate(json.dumps(wanted), timeout=60)
    except subprocess.TimeoutExpired:
        # Each process says where it is.
        os.killpg(application.pid, signal.SIGABRT)
        pytest.fail(application.communicate()[1])
    assert errors == ""
    said = json.loads(output)
    assert said["children"] == ({"own": children * calls} if calls else {})
    assert said["exits"] == [0] * children
    assert said["parent"].keys() == {"own"}
