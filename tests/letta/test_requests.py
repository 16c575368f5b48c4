"""What goes to Letta and what is made of its answers, where the two meet a trap."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openmem import InvalidRequestError, Memory, NotFoundError, ProviderError, UnsupportedCapabilityError
from openmem.providers.vendors.letta.archives import ARCHIVE_PREFIX
from openmem.providers.vendors.letta.ids import PassageId
from openmem.providers.vendors.letta.provider import PAGE_SIZE

from ..service import Reply
from .service import CONFIG, HANDLE, Request, Service

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

READS: dict[str, Callable[[Memory], object]] = {
    "list": lambda memory: memory.list("u"),
    "search": lambda memory: memory.search("tea", "u"),
    "context": lambda memory: memory.context("tea", "u"),
}


def archive_of(service: Service, user: str = "u", **fields: Any) -> str:
    """The id of a new archive of a user."""
    request = Request("POST /v1/archives/", (), {}, {}, {"name": ARCHIVE_PREFIX + user, **fields})
    body: dict[str, Any] = service.perform(request).body
    return str(body["id"])


def put(service: Service, archive: str, text: str, **fields: Any) -> str:
    """The id of a new passage, which openmem did not write."""
    verb = "POST /v1/archives/{archive}/passages"
    return str(service.perform(Request(verb, (archive,), {}, {}, {"text": text, **fields})).body["id"])


# Settings


def test_neither_construction_nor_opening_makes_a_request(service: Service) -> None:
    with Memory("letta", host=service.url) as memory:
        assert service.requests == []
        memory.add(content="tea", user_id="u")
    archives, passages = "/v1/archives/", "/v1/archives/{archive}/passages"
    assert service.verbs == [f"GET {archives}", f"POST {archives}", f"GET {archives}", f"POST {passages}"]


def test_the_sdk_is_imported_when_the_first_verb_needs_it(service: Service) -> None:
    code = f"""
import sys
from openmem import Memory
memory = Memory("letta", host={service.url!r})
memory.capabilities()
assert "letta_client" not in sys.modules
memory.list("u")
assert "letta_client" in sys.modules
memory.close()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, stdin=subprocess.DEVNULL, timeout=60)


def test_a_base_url_that_is_no_omp_server_is_lettas_own(service: Service) -> None:
    with Memory("letta", base_url=service.url) as memory:
        record = memory.add(content="tea", user_id="u")
        assert memory.get(record.id) == record
        assert memory.client.provider.name == "letta"
    assert service.verbs[0] == "GET /capabilities"
    assert len(service.verbs) == 1 + 4 + 2


def test_the_url_may_come_from_the_environment_and_an_argument_goes_first(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LETTA_BASE_URL", f"{service.url}/")
    with Memory("letta") as memory:
        assert memory.list("u").items == []
    monkeypatch.setenv("LETTA_BASE_URL", "http://127.0.0.1:9")
    with Memory("letta", host=service.url) as memory:
        assert memory.list("u").items == []
    assert service.verbs == ["GET /v1/archives/"] * 2


def test_the_key_is_required_by_the_hosted_service_alone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for blank in ("LETTA_API_KEY", "LETTA_BASE_URL"):
        monkeypatch.setenv(blank, " ")
    with pytest.raises(InvalidRequestError, match="LETTA_API_KEY"):
        Memory("letta")
    with Memory("letta", host=service.url) as memory:
        memory.list("u")
    assert "authorization" not in service.requests[-1].headers
    monkeypatch.setenv("LETTA_API_KEY", "from-environment")
    for key, sent in ((None, "from-environment"), ("given", "given")):
        with Memory("letta", host=service.url, api_key=key) as memory:
            memory.list("u")
        assert service.requests[-1].headers["authorization"] == f"Bearer {sent}"


@pytest.mark.parametrize("host", ["api.letta.com", "ftp://x", "http://", "http://x/?a=1"])
def test_a_host_that_is_no_url_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequestError, match="host"):
        Memory("letta", host=host)
    monkeypatch.setenv("LETTA_BASE_URL", host)
    with pytest.raises(InvalidRequestError, match="LETTA_BASE_URL"):
        Memory("letta")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"embedding": ""}, "embedding"),
        ({"embedding": 5}, "embedding"),
        ({"embedding_config": {}}, "embedding_config"),
        ({"embedding_config": "x"}, "embedding_config"),
        ({"embedding": HANDLE, "embedding_config": CONFIG}, "embedding"),
        ({"api_key": "gehëim"}, "api_key"),
    ],
    ids=repr,
)
def test_settings_are_checked(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        Memory("letta", host="http://127.0.0.1:9", **settings)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="did you mean 'embedding'"):
        Memory("letta", host="http://127.0.0.1:9", embeding=HANDLE)


@pytest.mark.parametrize(
    "model", [{"embedding": HANDLE}, {"embedding_config": CONFIG}, {}], ids=["handle", "config", ""]
)
def test_new_archives_have_the_model_that_was_named(model: dict[str, Any], service: Service) -> None:
    with Memory("letta", host=service.url, **model) as memory:
        record = memory.add(content="tea", user_id="u")
        assert record.embedding_model == ("text-embedding-3-small" if model else None)
        assert memory.get(record.id) == record
        assert memory.capabilities().features.vector_search is bool(model)
    assert service.requests[1].body == {"name": "openmem:u", **model}


def test_a_model_that_letta_does_not_know_is_named_as_the_cause(service: Service) -> None:
    with (
        Memory("letta", host=service.url, embedding="openai/unknown") as memory,
        pytest.raises(InvalidRequestError, match="check embedding"),
    ):
        memory.add(content="tea", user_id="u")


# What the backend lacks


def test_what_letta_cannot_do_is_refused_without_a_request(service: Service, memory: Memory) -> None:
    capabilities = memory.capabilities()
    verbs = {"add", "get", "delete", "list", "search", "context", "delete_many", "count", "facets", "capabilities"}
    assert set(capabilities.verbs) == verbs
    assert capabilities.features.scores == "rank"
    assert capabilities.features.supports_supersession is False
    for call in (
        lambda: memory.update("mem_x", content="x"),
        lambda: memory.audit("u"),
        lambda: memory.add(content="x", user_id="u", supersedes=["mem_x"]),
    ):
        with pytest.raises(UnsupportedCapabilityError):
            call()
    assert service.requests == []


def test_scores_tell_the_rank(memory: Memory) -> None:
    for text in ("green tea", "black tea", "the report is due in April"):
        memory.add(content=text, user_id="u")
    assert [hit.score for hit in memory.search("green tea", "u")] == [1.0, 0.5, pytest.approx(1 / 3, abs=1e-6)]
    assert len(memory.search("green tea", "u", min_score=0.5)) == 2


# Archives


def test_users_have_one_archive_each(service: Service, memory: Memory) -> None:
    for user in ("u", "v", "u", "U", "u "):
        memory.add(content="tea", user_id=user)
    names = sorted(archive.name for archive in service.archives.values())
    assert names == ["openmem:U", "openmem:u", "openmem:u ", "openmem:v"]
    assert len(memory.list("u").items) == 2


def test_of_two_archives_the_oldest_is_written_and_both_are_read(service: Service, memory: Memory) -> None:
    oldest, newest = archive_of(service, embedding_config=CONFIG), archive_of(service)
    put(service, newest, "white tea")
    record = memory.add(content="green tea", user_id="u")
    parsed = PassageId.parse(record.id)
    assert parsed is not None
    assert parsed.archive == oldest
    assert {item.content for item in memory.list("u").items} == {"green tea", "white tea"}
    assert {hit.memory.content for hit in memory.search("tea", "u")} == {"green tea", "white tea"}
    for item in memory.list("u").items:
        memory.delete(item.id)
    assert service.passages == {}


def test_clients_that_make_an_archive_at_once_agree_on_the_oldest(service: Service, memory: Memory) -> None:
    def lose_the_race(request: Request) -> Reply:
        archive_of(service)
        return service.perform(request)

    service.script += [service.perform, lose_the_race]
    record = memory.add(content="tea", user_id="u")
    first, _ = sorted(service.archives.values(), key=lambda archive: archive.created_at)
    assert service.passages[next(iter(service.passages))].archive_id == first.id
    assert memory.list("u").items == [record]


def test_archives_are_looked_for_beyond_one_page(service: Service, memory: Memory) -> None:
    archives = [archive_of(service) for _ in range(103)]
    put(service, archives[-1], "tea")
    assert [item.content for item in memory.list("u").items] == ["tea"]
    assert [request.query.get("after") for request in service.requests[:3]] == [None, archives[49], archives[99]]


def test_an_archive_that_was_deleted_is_made_again(service: Service, memory: Memory) -> None:
    lost = memory.add(content="tea", user_id="u")
    service.archives.clear()
    service.passages.clear()
    assert memory.list("u").items == []
    with pytest.raises(NotFoundError):
        memory.get(lost.id)
    record = memory.add(content="milk", user_id="u")
    assert memory.list("u").items == [record]


# Isolation


def test_every_request_names_an_archive_of_the_user(service: Service, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="u", scope="a")
    memory.get(record.id)
    for read in READS.values():
        read(memory)
    memory.delete(record.id)
    [archive] = service.archives
    for request in service.requests:
        if request.verb == "GET /v1/archives/":
            assert request.query["name"] == "openmem:u"
        elif request.verb == "POST /v1/passages/search":
            assert request.body["archive_id"] == archive
        elif request.verb != "POST /v1/archives/":
            assert request.ids[0] == archive


@pytest.mark.parametrize("verb", READS)
def test_an_archive_of_another_user_is_never_read(verb: str, service: Service, memory: Memory) -> None:
    put(service, archive_of(service, "v"), "tea of hers")

    def ignore_the_name(request: Request) -> Reply:
        return service.perform(Request(request.verb, (), {}, request.headers, None))

    service.script.append(ignore_the_name)
    with pytest.raises(ProviderError, match="another user"):
        READS[verb](memory)
    assert len(service.requests) == 1


@pytest.mark.parametrize("verb", [*READS, "get"])
def test_a_passage_of_another_archive_is_never_returned(verb: str, service: Service, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="u")
    put(service, archive_of(service, "v", embedding_config=CONFIG), "tea of hers")

    def ignore_the_archive(request: Request) -> Reply:
        rows = [{"passage": item.model_dump(mode="json"), "score": 0.0} for item in service.passages.values()]
        return Reply(body=rows)

    service.script += [ignore_the_archive] if verb == "get" else [service.perform, ignore_the_archive]
    with pytest.raises(ProviderError, match="another archive"):
        (READS | {"get": lambda memory: memory.get(record.id)})[verb](memory)


def test_a_passage_moved_to_another_user_is_refused(service: Service, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="u")
    [passage] = service.passages.values()
    put(service, archive_of(service, "v"), "tea", metadata=passage.metadata)
    for read in (lambda: memory.list("v"), lambda: memory.search("tea", "v")):
        with pytest.raises(ProviderError, match="did not store it"):
            read()
    assert memory.list("u").items == [record]


def test_archives_of_others_are_not_there(service: Service, memory: Memory) -> None:
    request = Request("POST /v1/archives/", (), {}, {}, {"name": "notes"})
    archive = service.perform(request).body["id"]
    passage = put(service, archive, "secret", created_at=MOMENT.isoformat())
    id = str(PassageId(archive, passage, MOMENT))
    for call in (memory.get, memory.delete):
        with pytest.raises(NotFoundError):
            call(id)
    assert passage in service.passages


# Ids


def test_an_id_says_where_a_passage_is() -> None:
    for moment in (MOMENT, datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        place = PassageId(f"archive-{uuid.uuid4()}", f"passage-{uuid.uuid4()}", moment)
        assert PassageId.parse(str(place)) == place
        assert len(str(place)) == 58


def _ids_of_nothing() -> list[str]:
    id = str(PassageId(f"archive-{uuid.uuid4()}", f"passage-{uuid.uuid4()}", MOMENT))
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    no_version = "mem_" + "A" * 54
    beyond_time = id[:-11] + "_" * 10 + "8"
    return [
        "mem_",
        "mem_unknown",
        id.removeprefix("mem_"),
        id[:-1],
        id + "A",
        id + "==",
        f"mem_{id}",
        id[:-1] + last[last.index(id[-1]) + 1],
        id.replace("mem_", "mem_+"),
        no_version,
        beyond_time,
        f"archive-{uuid.uuid4()}",
        "../../archives",
    ]


@pytest.mark.parametrize("id", _ids_of_nothing(), ids=range(13))
def test_what_cannot_be_an_id_is_not_asked_for(id: str, service: Service, memory: Memory) -> None:
    for call in (memory.get, memory.delete):
        with pytest.raises(NotFoundError):
            call(id)
    assert service.requests == []


def test_an_id_of_nothing_is_not_found(service: Service, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="u")
    place = PassageId.parse(record.id)
    assert place is not None
    for other in (
        PassageId(place.archive, f"passage-{uuid.uuid4()}", place.created_at),
        PassageId(f"archive-{uuid.uuid4()}", place.passage, place.created_at),
        PassageId(place.archive, place.passage, place.created_at + timedelta(microseconds=1)),
    ):
        for call in (memory.get, memory.delete):
            with pytest.raises(NotFoundError):
                call(str(other))
    assert memory.get(record.id) == record


# Mapping


def test_a_record_travels_in_metadata_and_its_tags_also_as_tags(service: Service, memory: Memory) -> None:
    extension: Any = {"mine": [1]}
    record = memory.add(
        content="tea", user_id="u", scope="a/b", tags=["b", "a", "b"], source={"app": "x"}, **{"x-letta": extension}
    )
    sent = service.requests[-1].body
    assert sent["tags"] == ["b", "a"]
    assert datetime.fromisoformat(sent["created_at"]) == record.created_at
    assert (sent["metadata"]["omp_scope"], sent["metadata"]["omp_app"]) == ("a/b", "x")
    again = memory.get(record.id)
    assert again == record
    assert (again.tags, again.extensions) == (["b", "a", "b"], {"x-letta": extension})


def test_a_damaged_envelope_is_an_error(service: Service, memory: Memory) -> None:
    put(service, archive_of(service), "tea", metadata={"omp": "{"})
    with pytest.raises(ProviderError, match="damaged"):
        memory.list("u")


def test_memories_of_one_client_have_moments_of_their_own(service: Service, memory: Memory) -> None:
    records = [memory.add(content="tea", user_id="u") for _ in range(5)]
    assert len({item.created_at for item in service.passages.values()}) == 5
    assert memory.list("u").items == records[::-1]


# Listing


def test_passages_out_of_order_are_an_error_and_not_a_loss(service: Service, memory: Memory) -> None:
    archive = archive_of(service)
    for days in (1, 2):
        put(service, archive, "tea", created_at=(MOMENT + timedelta(days=days)).isoformat())

    def newest_first(request: Request) -> Reply:
        return Reply(body=service.perform(request).body[::-1])

    service.script += [service.perform, newest_first]
    with pytest.raises(ProviderError, match="order of time"):
        memory.list("u")


def test_a_server_that_ignores_dates_is_an_error_and_no_loop(service: Service, memory: Memory) -> None:
    archive = archive_of(service)
    for number in range(PAGE_SIZE + 20):
        put(service, archive, "tea", created_at=(MOMENT + timedelta(seconds=number)).isoformat())

    def ignore_dates(request: Request) -> Reply:
        body = {name: value for name, value in request.body.items() if name != "start_date"}
        return service.perform(Request(request.verb, request.ids, request.query, request.headers, body))

    service.script += [service.perform, service.perform, ignore_dates]
    with pytest.raises(ProviderError, match="order of time"):
        memory.list("u")


def _batch(service: Service, count: int, **fields: Any) -> str:
    archive = archive_of(service, **fields)
    for number in range(count):
        put(service, archive, f"tea {number}", created_at=MOMENT.isoformat())
    return archive


def test_a_batch_of_more_than_a_page_is_refused_and_not_cut_off(service: Service) -> None:
    archive = _batch(service, PAGE_SIZE + 5)
    first, *_, last = sorted(service.passages)
    with Memory("letta", host=service.url) as memory:
        reads: list[Callable[[], object]] = [
            lambda: memory.list("u"),
            lambda: memory.search("tea", "u"),
            lambda: memory.get(str(PassageId(archive, last, MOMENT))),
        ]
        for read in reads:
            with pytest.raises(UnsupportedCapabilityError, match=f"{archive}.*one moment, 2026-01-02T03:04:05"):
                read()
        assert memory.get(str(PassageId(archive, first, MOMENT))).user_id == "u"
    assert set(service.verbs) <= {"GET /v1/archives/", "GET /v1/archives/{archive}", "POST /v1/passages/search"}


def test_a_large_batch_is_searched_by_its_vectors(service: Service, memory: Memory) -> None:
    _batch(service, PAGE_SIZE + 5, embedding_config=CONFIG)
    assert len(memory.search("tea", "u", limit=20)) == 20


def test_a_batch_of_less_than_a_page_is_read_whole(service: Service, memory: Memory) -> None:
    _batch(service, PAGE_SIZE - 1)
    for number in range(3):
        memory.add(content=f"milk {number}", user_id="u")
    assert len(memory.list("u", limit=500).items) == PAGE_SIZE + 2


# Search


def test_what_is_filtered_out_never_shortens_a_page(memory: Memory) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    for number in range(PAGE_SIZE):
        memory.add(content="green tea", user_id="u", valid_to=past, scope="a" if number % 2 else "b")
    kept = [memory.add(content=f"something else {n}", user_id="u", scope="c").id for n in range(15)]
    hits = memory.search("green tea", "u")
    assert len(hits) == 10
    assert {hit.memory.id for hit in hits} <= set(kept)
    assert {hit.memory.id for hit in memory.search("green tea", "u", scope="c", limit=100)} == set(kept)


def test_an_index_that_knows_no_metadata_is_read_with_the_passages(service: Service) -> None:
    service.index = True
    with Memory("letta", host=service.url, embedding_config=CONFIG) as memory:
        record = memory.add(content="green tea", user_id="u", scope="a", tags=["t"])
        memory.add(content="green tea", user_id="u", valid_to=MOMENT)
        memory.add(content="black tea", user_id="u", scope="b")
        twin = memory.add(content="green tea", user_id="u", scope="a")
        hits = memory.search("green tea", "u", scope="a")
        assert sorted((hit.memory for hit in hits), key=lambda item: item.created_at) == [record, twin]
        assert all("vector_rank" in (hit.model_extra or {})["x-letta"] for hit in hits)
        assert len(memory.search("tea", "u")) == 3
        assert memory.get(hits[0].memory.id) == hits[0].memory


def test_a_passage_that_only_the_index_still_has_is_left_out(service: Service) -> None:
    service.index = True
    with Memory("letta", host=service.url, embedding_config=CONFIG) as memory:
        stays = memory.add(content="green tea", user_id="u")
        memory.add(content="green tea, old", user_id="u")

        def forget(request: Request) -> Reply:
            reply = service.perform(request)
            service.passages.popitem()
            return reply

        service.script += [service.perform, forget]
        assert [hit.memory for hit in memory.search("tea", "u")] == [stays]


TEXTS = (
    "Her sister Anna lives in Lisbon",
    "100% tea_pot",
    "Invoice 8421377 was paid through the Zwischenzug account",
    "Die Straße ist naß",
)


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("sister Lisbon", 0),
        ("What do we know of Zwischenzug?", 2),
        ("8421377", 2),
        ("100", 1),
        ("STRASSE", 3),
        ("%", None),
        ("tea", None),
        ("_", None),
    ],
)
def test_without_vectors_words_are_found_by_openmem(query: str, best: int | None, service: Service) -> None:
    with Memory("letta", host=service.url) as memory:
        for text in TEXTS:
            memory.add(content=text, user_id="u")
        hits = memory.search(query, "u")
        assert [hit.memory.content for hit in hits[:1]] == ([] if best is None else [TEXTS[best]])
    assert all(not (request.body or {}).get("query") for request in service.requests)


def test_an_archive_with_the_servers_own_model_is_searched_by_its_vectors(service: Service) -> None:
    service.default_config = CONFIG
    with Memory("letta", host=service.url) as memory:
        memory.add(content="green tea", user_id="u")
        assert len(memory.search("something else", "u")) == 1
    assert service.requests[-1].body["query"] == "something else"
