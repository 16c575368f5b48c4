"""`POST /memories/batch`: many memories, all of them or none."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from openmem import InvalidRequestError, Memory, MemoryInput, ProviderError, UnsupportedCapabilityError
from openmem.server import OmpServerConfig
from openmem.wire import MAX_BODY_BYTES

from ..service import Reply, ScriptedService
from .harness import envelope, running

PATH = "/memories/batch"


@pytest.fixture
def user(client: httpx.Client) -> Iterator[str]:
    """A user who must have nothing in the end."""
    user = uuid.uuid4().hex
    yield user
    assert client.get("/memories", params={"user_id": user}).json()["items"] == []


def test_the_memories_come_back_in_order(client: httpx.Client) -> None:
    user = uuid.uuid4().hex
    records = [{"content": f"note {number}", "user_id": user, "x-a": {"n": number}, "mood": 1} for number in range(60)]
    response = client.post(PATH, json={"records": records})
    assert response.status_code == 201
    stored = response.json()["memories"]
    assert [record["content"] for record in stored] == [record["content"] for record in records]
    assert [record["x-a"] for record in stored] == [{"n": number} for number in range(60)]
    assert {record["mood"] for record in stored} == {1}
    listed = client.get("/memories", params={"user_id": user, "limit": 500}).json()["items"]
    assert listed == stored[::-1]
    entries = client.get("/audit", params={"user_id": user}).json()["entries"]
    assert {entry["request_id"] for entry in entries if entry["action"] == "add"} == {response.headers["X-Request-Id"]}


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"content": " "}, "records[2].content: is empty"),
        ({"content": None}, "records[2].content: "),
        ({"user_id": None}, "records[2].user_id: "),
        ({"x-a": "\0"}, "records[2]: 'x-a': "),
        ({"supersedes": ["mem_unknown"]}, "records[2].supersedes: "),
        ({"created_at": "2015-07-23T22:44:08Z"}, "records[2].created_at: "),
        ({"valid_untill": "2030-01-01"}, "records[2].valid_untill: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_record_refuses_all(client: httpx.Client, user: str, wrong: dict[str, Any], place: str) -> None:
    records = [{"content": "tea", "user_id": user} for _ in range(4)]
    response = client.post(PATH, json={"records": [*records[:2], records[2] | wrong, records[3]]})
    envelope(response, 400, "invalid_request")
    assert response.json()["error"]["message"].startswith(place)


@pytest.mark.parametrize("body", [{}, {"records": None}, {"records": "tea"}, {"records": {"content": "c"}}], ids=repr)
def test_a_body_without_a_list(client: httpx.Client, body: dict[str, Any]) -> None:
    response = client.post(PATH, json=body)
    envelope(response, 400, "invalid_request")
    assert response.json()["error"]["message"].startswith("records: ")


def test_what_is_not_part_of_a_batch(client: httpx.Client, user: str) -> None:
    records = [{"content": "tea", "user_id": user}]
    for name in ("user_id", "scope", "newer", "progress"):
        response = client.post(PATH, json={"records": records, name: user})
        assert envelope(response, 400, "invalid_request")["message"].startswith(f"{name}: ")
    refused = client.post(PATH, params={"scope": "a"}, json={"records": records})
    assert envelope(refused, 400, "invalid_request")["message"].startswith("scope: ")


@pytest.mark.parametrize("record", [None, "tea", 5, []], ids=repr)
def test_a_record_that_is_no_object(client: httpx.Client, user: str, record: Any) -> None:
    response = client.post(PATH, json={"records": [{"content": "tea", "user_id": user}, record]})
    envelope(response, 400, "invalid_request")
    assert response.json()["error"]["message"] == "records[1]: is not a JSON object"


def test_the_user_of_the_header_limits_whose_they_may_be(client: httpx.Client, user: str) -> None:
    records = [{"content": "tea", "user_id": "another"}, {"content": "tea", "user_id": user}]
    limits: list[dict[str, Any]] = [{"headers": {"X-User-Id": "another"}}, {"params": {"user_id": "another"}}]
    for limit in limits:
        response = client.post(PATH, json={"records": records}, **limit)
        envelope(response, 403, "scope_denied")
        assert response.json()["error"]["message"].startswith("records[1].user_id: ")


def test_an_idempotency_key_stores_a_batch_once(client: httpx.Client) -> None:
    user, headers = uuid.uuid4().hex, {"Idempotency-Key": "k"}
    body = {"records": [{"content": f"note {number}", "user_id": user} for number in range(3)]}
    replies = [client.post(PATH, json=body, headers=headers) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    assert client.get("/memories", params={"user_id": user}).json()["items"] == replies[0].json()["memories"][::-1]
    other = client.post(PATH, json={"records": body["records"][:2]}, headers=headers)
    envelope(other, 400, "invalid_request")
    assert other.json()["error"]["message"].startswith("Idempotency-Key: ")


def test_a_key_that_would_be_forgotten_is_refused(user: str) -> None:
    config = OmpServerConfig(provider="supermemory", settings={"api_key": "sm_0123456789"})
    with running(config) as server, server.client() as client:
        body = {"records": [{"content": "tea", "user_id": user}]}
        response = client.post(PATH, json=body, headers={"Idempotency-Key": "k"})
        envelope(response, 400, "invalid_request")
        assert response.json()["error"]["message"].startswith("Idempotency-Key: ")


@pytest.mark.parametrize("times", [1, 30])
def test_a_batch_over_the_limit_is_explained(client: httpx.Client, user: str, times: int) -> None:
    records: list[MemoryInput] = [{"content": "x" * 60_000, "user_id": user} for _ in range(times * 18)]
    with Memory("passthrough", base_url=str(client.base_url)) as mem, pytest.raises(InvalidRequestError) as refusal:
        mem.add_many(records)
    assert (refusal.value.code, str(MAX_BODY_BYTES) in refusal.value.message) == ("payload_too_large", True)
    assert "send less at a time" in refusal.value.message


class Other(ScriptedService[str]):
    """An OMP server whose capabilities are up to the test."""

    verbs: tuple[str, ...] = ("add", "add_many", "capabilities")

    def read(self, method: str, target: str, headers: Any, body: Any) -> str:
        return f"{method} {target}"

    def perform(self, request: str) -> Reply:
        if request == "GET /capabilities":
            told = {"omp_version": "0.1", "provider": "other", "verbs": self.verbs, "features": {}}
            return Reply(body=told)
        memory = {"id": "m", "content": "tea", "user_id": "u", "created_at": "2026-01-01T00:00:00Z"}
        return Reply(201, {"memories": [memory]})


@pytest.fixture
def other() -> Iterator[Other]:
    with Other() as other:
        yield other


TEA: list[MemoryInput] = [{"content": "tea", "user_id": "u"}]


@pytest.mark.parametrize("reply", [Reply(cut=-1), Reply(503)], ids=["no reply", "unavailable"])
def test_a_batch_that_may_have_been_stored_is_not_sent_again(other: Other, reply: Reply) -> None:
    with Memory("passthrough", base_url=other.url) as mem:
        other.script.append(reply)
        with pytest.raises(ProviderError) as caught:
            mem.add_many(TEA)
        assert caught.value.code == "provider_unavailable"
    assert other.requests.count(f"POST {PATH}") == 1


def test_a_batch_that_came_too_soon_is_sent_again(other: Other) -> None:
    with Memory("passthrough", base_url=other.url) as mem:
        other.script.append(Reply(429, headers={"Retry-After": "0"}))
        assert [record.content for record in mem.add_many(TEA)] == ["tea"]
    assert other.requests.count(f"POST {PATH}") == 2


def test_a_server_without_batches_is_not_asked(other: Other) -> None:
    other.verbs = ("add", "capabilities")
    refused = pytest.raises(UnsupportedCapabilityError, match="call add for each memory")
    with Memory("passthrough", base_url=other.url) as mem, refused:
        mem.add_many(TEA)
    assert other.requests == ["GET /capabilities"]
