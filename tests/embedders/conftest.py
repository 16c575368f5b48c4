"""Fixtures of the embedders' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .service import KEY, Service


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """OpenAI's embeddings endpoint, which the environment leads to."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("openmem.embedders._remote._LIMITS", {})
    service = Service()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    service.start()
    yield service
    service.stop()
