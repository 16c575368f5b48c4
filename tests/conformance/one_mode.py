"""Suites in one mode.

The drivers of both modes are held to the whole suite elsewhere, and what is added to it here is the same code for both.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openmem.testing.modes import Async, Mode, Sync


class BlockingOnly:
    """Tests `Memory`."""

    @pytest.fixture(scope="class")
    @classmethod
    def _mode(cls, backend: object) -> Iterator[Mode]:
        mode = Sync()
        yield mode
        mode.close()


class AsyncOnly:
    """Tests `AsyncMemory`."""

    @pytest.fixture(scope="class")
    @classmethod
    def _mode(cls, backend: object) -> Iterator[Mode]:
        mode = Async()
        yield mode
        mode.close()
