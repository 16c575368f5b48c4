"""What would have no effect is refused by its name, and what cannot be decoded is not replaced by something else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from openmem import AsyncMemory, Memory
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from .harness import Running, envelope, running

ID = "/memories/mem_x"


@pytest.fixture
def user(client: httpx.Client) -> Iterator[str]:
    """A user who must have nothing in the end."""
    user = uuid.uuid4().hex
    yield user
    assert client.get("/memories", params={"user_id": user}).json()["items"] == []


def refused(response: httpx.Response, field: str) -> str:
    """The message of a refusal, which must begin with the field."""
    message: str = envelope(response, 400, "invalid_request")["message"]
    assert message.startswith(f"{field}: "), message
    return message


@pytest.mark.parametrize(
    ("path", "name", "meant"),
    [
        ("/memories", "k", "limit"),
        ("/memories", "page", "cursor"),
        ("/memories", "offset", "cursor"),
        ("/memories", "created_at", None),
        ("/memories", "limitt", "limit"),
        ("/memories", "Scope", "scope"),
        ("/memories", "query", None),
        ("/memories", "metadata", "where"),
        ("/memories", "filters", "where"),
        ("/memories", "sort_by", "order"),
        ("/memories", "at", "as_of"),
        ("/memories/facets", "group_by", "by"),
        ("/memories", "id", None),
        ("/memories", "x-app", None),
        ("/memories/search", "query", "q"),
        ("/memories/search", "tag", "tags"),
        ("/memories/search", "minScore", "min_score"),
        ("/memories/search", "top_k", "limit"),
        ("/memories/search", "cursor", None),
        ("/audit", "until", None),
        ("/audit", "scope", None),
        (ID, "scope", None),
        (ID, "id", None),
    ],
)
def test_a_parameter_that_does_not_exist(client: httpx.Client, path: str, name: str, meant: str | None) -> None:
    params = {"user_id": "u", "q": "tea"} if path == "/memories/search" else {"user_id": "u"}
    field = repr(name) if name in ("Scope", "x-app", "minScore") else name
    message = refused(client.get(path, params={**params, name: "2"}), field)
    if meant is None:
        assert "did you mean" not in message
    else:
        assert f"did you mean {meant!r}?" in message


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
def test_a_parameter_that_does_not_exist_where_an_id_does(client: httpx.Client, method: str) -> None:
    body = {"content": "c"} if method == "PATCH" else None
    refused(client.request(method, ID, params={"dry_run": "3"}, json=body), "dry_run")


@pytest.mark.parametrize(("path", "name"), [("/memories", "scope"), ("/memories", "x"), ("/context", "token_budget")])
def test_a_parameter_of_a_request_with_a_body(client: httpx.Client, user: str, path: str, name: str) -> None:
    body = {"content": "c", "user_id": user} if path == "/memories" else {"query": "c", "user_id": user}
    message = refused(client.post(path, params={name: "5"}, json=body), name)
    assert ("belongs in the body" in message) == (name != "x")


@pytest.mark.parametrize("name", ["id", "created_at", "updated_at", "embedding_model", "status"])
@pytest.mark.parametrize("value", ["2015-07-23T22:44:08Z", None])
def test_a_field_that_the_server_sets(client: httpx.Client, user: str, name: str, value: str | None) -> None:
    assert "set by the server" in refused(
        client.post("/memories", json={"content": "c", "user_id": user, name: value}), name
    )
    assert "set by the server" in refused(client.patch(ID, json={"content": "c", name: value}), name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("valid_untill", "valid_to"),
        ("valid_until", "valid_to"),
        ("validFrom", "valid_from"),
        ("userId", "user_id"),
        ("user", "user_id"),
        ("supercedes", "supersedes"),
        ("confidance", "confidence"),
        ("tag", "tags"),
        ("app", "source"),
        ("extensions", None),
        ("limit", None),
        ("q", None),
        ("token_budget", None),
    ],
)
def test_a_field_that_is_misspelt_or_not_of_a_memory(
    client: httpx.Client, user: str, name: str, meant: str | None
) -> None:
    response = client.post("/memories", json={"content": "c", "user_id": user, name: "2030-01-01"})
    message = refused(response, name if name.islower() else repr(name))
    assert (f"did you mean {meant!r}?" in message) == (meant is not None)


@pytest.mark.parametrize("name", ["created_at", "source", "key", "indexed", "x-app", "tag"])
def test_a_field_that_cannot_be_changed(client: httpx.Client, name: str) -> None:
    refused(client.patch(ID, json={"content": "c", name: "v"}), repr(name) if "-" in name else name)


@pytest.mark.parametrize("name", ["limit", "tag", "q", "order", "max_tokens", "x-app"])
def test_a_parameter_that_a_context_does_not_have(client: httpx.Client, name: str) -> None:
    response = client.post("/context", json={"query": "tea", "user_id": "u", name: 5})
    message = refused(response, repr(name) if "-" in name else name)
    assert ("did you mean 'token_budget'?" in message) == (name == "max_tokens")


def test_more_fields_than_a_memory_has(client: httpx.Client, user: str) -> None:
    fields = {f"own{number}": number for number in range(50_000)}
    response = client.post("/memories", json={"content": "c", "user_id": user, **fields})
    envelope(response, 400, "invalid_request")
    assert response.elapsed.total_seconds() < 5


UNDECODABLE = ["M%FCller", "%C3", "%ED%A0%80", "%C0%AF", "%F5%80%80%80", "50%", "a%2", "%zz", "%u00fc"]


@pytest.mark.parametrize("text", UNDECODABLE)
def test_text_that_is_not_percent_encoded_utf_8(client: httpx.Client, user: str, text: str) -> None:
    body = {"content": "c", "tags": [user]}
    refused(client.post(f"/memories?user_id={text}", json=body), "user_id")
    refused(client.get(f"/memories?user_id={text}"), "user_id")
    refused(client.get(f"/memories?user_id={user}&tag={text}"), "tag")
    refused(client.get(f"/memories/search?user_id={user}&q={text}"), "q")
    refused(client.get(f"/audit?user_id={user}&app={text}"), "app")
    refused(client.get(f"/memories?user_id={user}&{text}=1"), "the query string")
    refused(client.get(f"/memories?user_id={user}", headers={"X-OMP-App": text}), "X-OMP-App")
    for method in ("GET", "DELETE"):
        refused(client.request(method, f"/memories/{text}"), "the path")
        refused(client.request(method, ID, headers={"X-User-Id": text}), "X-User-Id")
        refused(client.request(method, f"{ID}?user_id={text}"), "user_id")
    refused(client.patch(f"/memories/{text}", json=body), "the path")
    refused(client.post("/memories", json=body, headers={"X-User-Id": text}), "X-User-Id")
    refused(client.get(f"/{text}"), "the path")


def test_a_header_in_another_encoding(client: httpx.Client, user: str) -> None:
    for name in (b"X-User-Id", b"X-OMP-App"):
        response = client.get("/memories?user_id=u", headers=[(name, "Müller".encode("latin-1"))])
        refused(response, name.decode())
    utf_8 = client.post("/memories", json={"content": "c"}, headers=[(b"X-User-Id", f"Müller{user}".encode())])
    assert utf_8.json()["user_id"] == f"Müller{user}"


@pytest.mark.parametrize("value", ["", "%20", "%00", "u" * 513])
@pytest.mark.parametrize("place", ["header", "query"])
def test_a_user_who_is_none(client: httpx.Client, place: str, value: str) -> None:
    for path in ("/memories", ID):
        if place == "header":
            response = client.get(path, headers={"X-User-Id": value})
        else:
            response = client.get(f"{path}?user_id={value}")
        refused(response, "user_id")


@pytest.mark.parametrize(
    "query", ["app=a&app=b", "app=a&app=a", "where={}&where={}", "tag=a&t%61g=b", "limit=5&limit=5"]
)
def test_a_parameter_that_is_given_twice(client: httpx.Client, query: str) -> None:
    refused(client.get(f"/memories?user_id=u&{query}"), query.partition("=")[0])
    refused(client.get("/memories?user_id=a&user_id=b"), "user_id")
    refused(client.get(f"{ID}?user_id=a&user_id=b"), "user_id")


def test_a_key_that_is_twice_in_the_body_is_named(client: httpx.Client, user: str) -> None:
    body = f'{{"content": "c", "user_id": "{user}", "user_id": "other"}}'
    response = client.post("/memories", content=body, headers={"Content-Type": "application/json"})
    assert "'user_id' twice" in envelope(response, 400, "invalid_request")["message"]


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", '"windows-1252"'])
def test_bodies_in_other_encodings(client: httpx.Client, user: str, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    body = f'{{"content": "Müller", "user_id": "{user}"}}'.encode(charset.strip('"'))
    refused(client.post("/memories", content=body, headers=headers), "Content-Type")
    plain = {"Content-Type": "application/json"}
    envelope(client.post("/memories", content=body, headers=plain), 400, "invalid_request")
    refused(client.post("/memories", content=b"x", headers={**plain, "Content-Encoding": "gzip"}), "Content-Encoding")


@pytest.mark.parametrize("charset", ["UTF-8", '"utf-8"', "us-ascii"])
def test_the_encoding_may_be_named(client: httpx.Client, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    response = client.post("/memories", content=b'{"content": "c", "user_id": "u"}', headers=headers)
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("written", "user"), [("a+b", "a b"), ("a%2Bb", "a+b"), ("a%20b", "a b"), ("%2520", "%20"), ("a%26b%3Dc", "a&b=c")]
)
def test_plus_and_percent_in_queries(client: httpx.Client, written: str, user: str) -> None:
    token = uuid.uuid4().hex
    stored = client.post(f"/memories?user_id={written}{token}", json={"content": "c"}).json()
    assert stored["user_id"] == user + token
    listed = client.get(f"/memories?user_id={written}{token}").json()["items"]
    assert [record["id"] for record in listed] == [stored["id"]]


def test_a_plus_in_a_header_is_a_plus(client: httpx.Client) -> None:
    response = client.post("/memories", json={"content": "c"}, headers={"X-User-Id": "a+b%2Bc"})
    assert response.json()["user_id"] == "a+b+c"


NAMES = ["a+b c", "50%", "%FC", "Müller & Söhne", "a;b=c#d?e/f", "2024", "true", "\u200b."]


@pytest.mark.parametrize("name", NAMES)
def test_what_our_client_sends_arrives_as_it_was(shared: Running, name: str) -> None:
    user = f"{name}{uuid.uuid4().hex}"
    with Memory("passthrough", base_url=shared.url, app=name) as memory:
        extensions: dict[str, Any] = {"x-app": {name: name}}
        record = memory.add(content=name, user_id=user, scope="s", tags=[name], **extensions)
        assert (record.user_id, record.tags) == (user, [name])
        assert [item.id for item in memory.list(user, tag=name).items] == [record.id]
        assert {entry.action for entry in memory.audit(user, app=name)} == {"add", "list"}
        assert memory.search(name, user, scope="s/*") == []
        memory.update(record.id, tags=None, content="changed", valid_to=None)
        memory.delete(record.id)


async def _everything(memory: AsyncMemory, user: str) -> None:
    extensions: dict[str, Any] = {"x-app": None, "x-other": [1]}
    record = await memory.add(
        content="tea", user_id=user, scope="a", tags=["t"], source={"app": "chat", "type": "explicit", "more": 1},
        confidence=0.5, valid_from="2024-01-01", valid_to="2030-01-01", **extensions,
    )  # fmt: skip
    await memory.add_many([{"content": "more", "user_id": user, "supersedes": [record.id], "x-app": 1}])
    await memory.update(record.id, scope="b", confidence=None, supersedes=[])
    await memory.list(user, scope="*", tag="t", since="2024-01-01", until="2040-01-01", limit=5)
    await memory.search("tea", user, scope="b", limit=5, min_score=0.5)
    await memory.context("tea", user, scope="b", token_budget=50)
    await memory.audit(user, app="chat", since="2024-01-01", limit=5)
    await memory.wait_for_ingest([record.id], user, timeout=1)


def test_every_argument_of_our_client_is_known_to_the_server(shared: Running) -> None:
    async def main() -> None:
        async with AsyncMemory("passthrough", base_url=shared.url, app="chat") as memory:
            await _everything(memory, uuid.uuid4().hex)

    asyncio.run(main())


def test_all_of_it_holds_behind_keys(settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = KeysFile(tmp_path_factory.mktemp("keys") / "keys.json")
    key = {"X-API-Key": file.create(app="chat", users=["Müller", "u"], grants=["read:*", "write:a"])}
    with running(OmpServerConfig(settings=settings, keys_file=file.path)) as server, server.client() as client:
        for path in (
            "/memories?user_id=M%FCller",
            "/memories?user_id=u&labels=a",
            "/memories/%FC",
            "/memories?user_id=%",
        ):
            envelope(client.get(path, headers=key), 400, "invalid_request")
        envelope(client.get("/memories?user_id=u&labels=a"), 401, "unauthorized")
        envelope(client.get("/memories?user_id=M%C3%B6ller", headers=key), 403, "scope_denied")
        assert client.get("/memories?user_id=M%C3%BCller", headers=key).status_code == 200
        body = {"content": "c", "user_id": "u", "scope": "a", "created_at": "2015-01-01"}
        envelope(client.post("/memories", json=body, headers=key), 400, "invalid_request")
