"""What one thread imports or builds for the first time while another forks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import importlib, os, sys, threading
import openmem.memory
thread = threading.Thread(target=importlib.import_module, args=("slow",))
thread.start()
while "slow" not in sys.modules:
    pass
child = os.fork()
if child == 0:
    assert importlib.import_module("slow").IS_WHOLE
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

MODELS = """
import os, sys, threading
import openmem.memory
import pydantic, pydantic_core

class Slow:
    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        begun.set()
        done.wait(0.3)
        return pydantic_core.core_schema.any_schema()

def model():
    return pydantic.create_model("Model", __config__=pydantic.ConfigDict(defer_build=True), field=(Slow, None))

begun, done = threading.Event(), threading.Event()
thread = threading.Thread(target=model().model_rebuild)
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    done.set()
    model()(field=1)
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_can_import_what_its_parent_was_importing(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.3)\nIS_WHOLE = True\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    run(SCRIPT, PYTHONPATH=path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_can_build_models_while_its_parent_was_building_one() -> None:
    run(MODELS)


def run(script: str, **environment: str) -> None:
    application = subprocess.Popen([sys.executable, "-c", script], env=os.environ | environment)
    try:
        assert application.wait(20) == 0
    finally:
        application.kill()
        application.wait()
