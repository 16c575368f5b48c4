"""The browser of these tests: where it is, and what is missing for it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PATH_VARIABLE: Final = "OPENMEM_TEST_CHROMIUM"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES: Final = ("playwright", "axe_playwright_python")
TIMEOUT_MILLISECONDS: Final = 15_000


def chromium_path() -> str | None:
    """The program; None if there is none."""
    named = os.environ.get(PATH_VARIABLE)
    candidates = NAMES if named is None else (named,)
    return next((path for path in map(shutil.which, candidates) if path is not None), None)


def missing() -> str | None:
    """Why there can be no browser; None if there can."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        return f"{absent[0]} is not installed; make test-ui installs it"
    if chromium_path() is None:
        return f"there is no Chromium; make test-ui installs it, or {PATH_VARIABLE} says where it is"
    return None


@contextmanager
def launched() -> Iterator[Any]:
    """A running browser, as Playwright's object."""
    library = importlib.import_module("playwright.sync_api")
    # Chromium refuses to run as root within its sandbox, and only this machine's pages are shown.
    arguments = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with library.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def axe_script() -> str:
    """The script that looks for barriers in a page."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")
