"""What the adapter relies on in mem0's SDK and in Qdrant's client beyond what their pages promise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import httpx
from qdrant_client import QdrantClient

from openmem.providers.vendors.mem0.sdk import HostedClient, is_in_this_process, mem0

KEY = "m0-key"


def test_the_constructor_of_the_client_asks_once_over_the_http_client_that_it_is_given() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"org_id": "o", "project_id": "p"})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = mem0.MemoryClient(api_key=KEY, host="http://mem0.test", client=http)
    assert asked == ["/v1/ping/"]
    assert client.client is http


def test_the_adapter_has_the_headers_and_the_address_that_the_sdk_sends_with() -> None:
    adapter = HostedClient(KEY, "http://mem0.test", 1.0)
    try:
        http = adapter._client.client
        assert http is adapter._http
        assert str(http.base_url).rstrip("/") == "http://mem0.test"
        assert http.headers["authorization"] == f"Token {KEY}"
        assert "mem0-user-id" in http.headers
    finally:
        adapter.close()


def test_clients_of_qdrant_say_whether_the_store_is_in_this_process(tmp_path: Path) -> None:
    def engine(client: object, provider: str = "qdrant") -> SimpleNamespace:
        store = SimpleNamespace(client=client)
        return SimpleNamespace(
            vector_store=store, config=SimpleNamespace(vector_store=SimpleNamespace(provider=provider))
        )

    for local in (QdrantClient(":memory:"), QdrantClient(path=str(tmp_path))):
        assert is_in_this_process(engine(local))
        local.close()
    remote = QdrantClient(url="http://127.0.0.1:9", check_compatibility=False)
    assert not is_in_this_process(engine(remote))
    remote.close()
    assert not is_in_this_process(engine(None, "pgvector"))
    assert is_in_this_process(engine(None, "faiss"))
