"""The examples of the pages about frameworks that have an environment of their own."""

from __future__ import annotations

import pytest

from ..docs.conftest import user_directories
from ..docs.pages import FRAMEWORKS_APART, Notebook, blocks
from ..servers import Server

__all__ = ["user_directories"]


@pytest.mark.parametrize("page", FRAMEWORKS_APART)
def test_code_runs(page: str, server: Server, user_directories: None) -> None:
    pytest.importorskip(FRAMEWORKS_APART[page])
    with Notebook(server) as notebook:
        for block in blocks(page):
            if block.language == "python":
                notebook.run(block)
