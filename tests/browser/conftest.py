"""Fixtures of this room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest

from .chromium import launched, missing
from .tabs import EVERY_LOOK, SOME_LOOKS

WHOLE_VARIABLE: Final = "OPENMEM_TEST_UI"
IS_WHOLE: Final = os.environ.get(WHOLE_VARIABLE) == "whole"
"""Whether every look is tried, and a missing browser is a failure."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "look" in metafunc.fixturenames:
        metafunc.parametrize("look", EVERY_LOOK if IS_WHOLE else SOME_LOOKS, ids=str)
    if "seen" in metafunc.fixturenames:
        looks = [look for look in (EVERY_LOOK if IS_WHOLE else SOME_LOOKS) if look.scripts]
        metafunc.parametrize("seen", looks, ids=str)


# Of a module, not of the run: Playwright keeps an event loop running in the thread, where other tests need their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    reason = missing()
    if reason is not None and IS_WHOLE:
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    with launched() as found:
        yield found
