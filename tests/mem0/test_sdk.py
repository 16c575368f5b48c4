"""What the adapter relies on in mem0's SDK and in Qdrant's client beyond what their pages promise."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

KEY = "m0-key"


@pytest.fixture(scope="module")
def sdk() -> Any:
    """The adapter, which imports the SDK: by the one worker that needs it, since that takes seconds."""
    return importlib.import_module("openmem.providers.vendors.mem0.sdk")


def test_the_constructor_of_the_client_asks_once_over_the_http_client_that_it_is_given(sdk: Any) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"org_id": "o", "project_id": "p"})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = sdk.mem0.MemoryClient(api_key=KEY, host="http://mem0.test", client=http)
    assert asked == ["/v1/ping/"]
    assert client.client is http


def test_the_adapter_has_the_headers_and_the_address_that_the_sdk_sends_with(sdk: Any) -> None:
    adapter = sdk.HostedClient(KEY, "http://mem0.test", 1.0)
    try:
        http = adapter._client.client
        assert http is adapter._http
        assert str(http.base_url).rstrip("/") == "http://mem0.test"
        assert http.headers["authorization"] == f"Token {KEY}"
        assert "mem0-user-id" in http.headers
    finally:
        adapter.close()


def test_clients_of_qdrant_say_whether_the_store_is_in_this_process(sdk: Any, tmp_path: Path) -> None:
    def engine(client: object, provider: str = "qdrant") -> SimpleNamespace:
        store = SimpleNamespace(client=client)
        return SimpleNamespace(
            vector_store=store, config=SimpleNamespace(vector_store=SimpleNamespace(provider=provider))
        )

    qdrant = importlib.import_module("qdrant_client")
    for local in (qdrant.QdrantClient(":memory:"), qdrant.QdrantClient(path=str(tmp_path))):
        assert sdk.is_in_this_process(engine(local))
        local.close()
    remote = qdrant.QdrantClient(url="http://127.0.0.1:9", check_compatibility=False)
    assert not sdk.is_in_this_process(engine(remote))
    remote.close()
    assert not sdk.is_in_this_process(engine(None, "pgvector"))
    assert sdk.is_in_this_process(engine(None, "faiss"))
