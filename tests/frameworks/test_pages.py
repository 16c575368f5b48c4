"""The examples of the page about the framework that is there."""

from __future__ import annotations

import os

import pytest

from ..docs.conftest import user_directories
from ..docs.pages import Notebook, blocks
from ..servers import Server

__all__ = ["user_directories"]

PAGE = os.environ.get("OPENMEM_TEST_PAGE")


@pytest.mark.skipif(PAGE is None, reason="make test-frameworks runs the page of each framework")
def test_code_runs(server: Server, user_directories: None) -> None:
    with Notebook(server) as notebook:
        for block in blocks(PAGE or ""):
            if block.language == "python":
                notebook.run(block)
