"""Fixtures for the documentation's code."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def user_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own directories, for code that keeps data where no path is given, are temporary."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
