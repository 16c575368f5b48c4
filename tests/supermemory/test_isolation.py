"""Nobody reaches another user's documents, whatever the names and ids are."""

from __future__ import annotations

import json

import pytest
import supermemory
from hypothesis import given
from hypothesis import strategies as st

from openmem import InvalidRequestError, Memory, NotFoundError, ProviderError
from openmem.providers.vendors.supermemory.names import IN_PATH, NAMESPACE, decode, encode
from openmem.providers.vendors.supermemory.sdk import SupermemoryClient

from ..service import Reply
from .service import KEY, Service

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)
NAMES = TEXT | st.text("ab:._-~%/0123456789ABCDEF", min_size=1, max_size=120)

HOSTILE_USERS = [
    "../bob",
    "..",
    ".",
    "a/../bob",
    "bob/document",
    "bob?x=1",
    "bob#x",
    "bob%2Fdocument",
    "%62ob",
    ":62ob",
    "bob ",
    " bob",
    "BOB",
    "bob\n",
    "bob\\..\\x",
    "b\u043eb",
    "bob:",
    "::" + "0" * 64,
    "x" * 101,
    "é" * 200,
]


@given(NAMES, NAMES)
def test_names_of_namespaces_are_plain_and_tell_users_apart(one: str, other: str) -> None:
    token = encode(one)
    assert NAMESPACE.fullmatch(token)
    assert (token == encode(other)) == (one == other)
    assert decode(token) == (None if token.startswith("::") else one)


@given(NAMES)
def test_only_tokens_are_decoded(text: str) -> None:
    name = decode(text)
    assert name is None or encode(name) == text


@pytest.mark.parametrize("user", HOSTILE_USERS, ids=lambda user: ascii(user)[:20])
def test_a_hostile_user_id_stays_in_its_namespace(memory: Memory, service: Service, user: str) -> None:
    secret = memory.add(content="bob's green tea", user_id="bob")
    memory.wait_for_ingest([secret.id], "bob")
    before = len(service.requests)
    added = memory.add(content="my green tea", user_id=user)
    memory.wait_for_ingest([added.id], user)
    assert memory.get(added.id).user_id == user
    assert [item.id for item in memory.list(user).items] == [added.id]
    assert [hit.memory.id for hit in memory.search("green tea", user)] == [added.id]
    with pytest.raises(NotFoundError):
        memory.wait_for_ingest([secret.id], user)
    memory.update(added.id, confidence=0.5)
    memory.delete(added.id)
    mine = {request.namespace for request in service.requests[before:]} - {"bob"}
    assert mine == {encode(user)}
    assert len(service.namespaces["bob"]) == 1


HOSTILE_IDS = [
    "x",
    "mem_unknown",
    "sm_",
    "sm_bob",
    "sm_bob.",
    "sm_.x",
    "sm_a/../bob.x",
    "sm_bob.c?d#e",
    "sm_bob.a/../b",
    "sm_..x",
    "sm_bob...",
    "sm_bob.x.y",
    "sm_bob.x\n",
    "sm_bob.x ",
    "sm_bob.:2e:2e",
    "sm_:62ob.x",
    "sm_bob.:78",
    "sm_bob:.x",
    "sm_::abc.x",
    "sm_::" + "g" * 64 + ".x",
    "sm_" + "b" * 101 + ".x",
    "sm_bob." + "x" * 101,
    "sm_bob.:FF",
    "SM_bob.x",
]


@pytest.mark.parametrize("id", HOSTILE_IDS, ids=ascii)
def test_an_id_that_is_none_names_nothing_without_a_request(memory: Memory, service: Service, id: str) -> None:
    service.put("bob", "x", "a secret")
    for verb, arguments in [("get", {}), ("update", {"confidence": 0.5}), ("delete", {})]:
        with pytest.raises(NotFoundError):
            getattr(memory, verb)(id, **arguments)
    with pytest.raises(InvalidRequestError, match="supersedes"):
        memory.add(content="tea", user_id="ann", supersedes=[id])
    with pytest.raises(NotFoundError):
        memory.wait_for_ingest([id], "ann")
    assert service.requests == []


def test_the_sdk_would_lead_out_of_a_namespace_and_the_driver_does_not(service: Service) -> None:
    with supermemory.Supermemory(api_key=KEY, base_url=service.url) as client:
        service.put("b", "c", "a secret")
        assert client.documents.get("a/../b", "c?d").content == "a secret"
    assert service.requests[0].path == "/ns/b/document/c"
    hosted = SupermemoryClient(KEY, service.url, 1.0)
    for namespace, id in [("a/../b", "c"), ("b", "c?d"), ("b", ".."), ("b", "x/../c"), ("", "c"), ("b", "")]:
        for call in (hosted.get, hosted.update, hosted.add):
            with pytest.raises(ValueError, match="path"):
                call(namespace, id)
    for namespace in ("a/../b", "..", "", "a b", "a?b", "a\n"):
        with pytest.raises(ValueError, match="path"):
            hosted.list(namespace, 1, 10)
        with pytest.raises(ValueError, match="path"):
            hosted.search(namespace, "tea", 10, None)
        with pytest.raises(ValueError, match="path"):
            hosted.delete(namespace, "c")
    hosted.close()
    assert len(service.requests) == 1
    assert not IN_PATH.fullmatch("...")


def test_what_a_service_gives_of_another_user_is_withheld(memory: Memory, service: Service) -> None:
    id = memory.add(content="bob's secret", user_id="bob").id
    memory.wait_for_ingest([id], "bob")
    service.namespaces["ann"] = service.namespaces["bob"]
    for call in (
        lambda: memory.list("ann"),
        lambda: memory.search("secret", "ann"),
        lambda: memory.context("secret", "ann"),
        lambda: memory.get(id.replace("bob", "ann")),
        lambda: memory.delete(id.replace("bob", "ann")),
    ):
        with pytest.raises(ProviderError, match="under a user who did not store it"):
            call()
    assert len(service.namespaces["bob"]) == 1


@pytest.mark.parametrize(
    "metadata", [{}, {"omp_user": "bob"}, {"omp_user": "x" * 201}], ids=["none", "other", "longer"]
)
def test_a_namespace_whose_user_is_not_known_is_not_read(
    memory: Memory, service: Service, metadata: dict[str, str]
) -> None:
    namespace = encode("x" * 200)
    service.put(namespace, "note", "a secret", **metadata)
    with pytest.raises(ProviderError, match="whose it is"):
        memory.get(f"sm_{namespace}.note")
    service.put(namespace, "note", "mine", omp_user="x" * 200)
    assert memory.get(f"sm_{namespace}.note").user_id == "x" * 200


def test_an_answer_about_another_document_is_withheld(memory: Memory, service: Service) -> None:
    id = memory.add(content="likes tea", user_id="ann").id
    memory.wait_for_ingest([id], "ann")
    other = memory.add(content="a secret", user_id="ann").id
    [_, document] = service.namespaces["ann"].values()
    body = {"id": "y", "metadata": document.metadata, "content": "a secret", "system": {}}
    for verb in ("get", "delete"):
        service.script.append(Reply(body=json.loads(json.dumps(body))))
        with pytest.raises(ProviderError, match=other):
            getattr(memory, verb)(id)
    assert len(service.namespaces["ann"]) == 2
