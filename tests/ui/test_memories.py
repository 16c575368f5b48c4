"""The pages of users, of their memories, and of one memory."""

from __future__ import annotations

import json
import logging
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from openmem import Memory, NotFoundError
from openmem._ids import memory_id_of
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from ..server.harness import Running, running
from .pages import Element, parsed, post, sign_in

HOSTILE = "<script>alert(1)</script>\"'&amp; \u202egnp.exe\u202c z\u200bero <img src=x onerror=alert(1)> \U000e0041"


def shown(page: Element) -> list[str]:
    """The texts of the memories on a page of the list."""
    return [text.text for text in page.all("p", class_="text")]


def links(page: Element, text: str) -> list[str]:
    """Where the links with this text lead."""
    return [link.attributes["href"] for link in page.all("a") if link.text.strip() == text]


def fields_of(form: Element) -> dict[str, list[str]]:
    """What a browser sends of a form that nobody changed."""
    fields: dict[str, list[str]] = {}
    for field in form.all("input"):
        if field.attributes.get("type") != "checkbox":
            fields.setdefault(field.attributes["name"], []).append(field.attributes.get("value", ""))
    for area in form.all("textarea"):
        fields.setdefault(area.attributes["name"], []).append(_typed(area.text))
    for choice in form.all("select"):
        [chosen] = [option for option in choice.all("option") if "selected" in option.attributes]
        fields.setdefault(choice.attributes["name"], []).append(chosen.attributes["value"])
    return fields


def _typed(text: str) -> str:
    """The content of a text area as browsers send it."""
    return text.removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n")


def test_the_first_page_has_the_users(browser: httpx.Client, memory: Memory) -> None:
    memory.add_many([{"content": "tea", "user_id": f"page-users-{n}"} for n in (1, 1, 2)])
    assert browser.get("/ui").headers["location"] == browser.get("/ui/").headers["location"] == "/ui/users"
    page = parsed(browser.get("/ui/users", params={"prefix": "page-users-"}))
    rows = [[cell.text for cell in row.children if isinstance(cell, Element)] for row in page.one("tbody").all("tr")]
    assert [row[:2] for row in rows] == [["page-users-1", "2"], ["page-users-2", "1"]]
    [link] = links(page, "page-users-1")
    assert shown(parsed(browser.get(link))) == ["tea", "tea"]
    assert "No user's name begins like this" in parsed(browser.get("/ui/users?prefix=nobody-at-all")).text


def test_one_box_finds_and_opens_users(browser: httpx.Client, memory: Memory) -> None:
    memory.add_many([{"content": "tea", "user_id": f"box-{name}"} for name in ("al", "alice")])
    page = parsed(browser.get("/ui/users?prefix=box-"))
    assert [field.attributes["name"] for field in page.one("main").all("input")] == ["prefix"]
    assert links(parsed(browser.get("/ui/users?prefix=box-al")), "box-alice")
    assert browser.get("/ui/users?prefix=box-alice").headers["location"] == "/ui/memories?user_id=box-alice"
    parsed(browser.get("/ui/users?prefix=box-alice", headers={"HX-Request": "true"}))
    page = parsed(browser.get("/ui/users?prefix=box-bob"))
    assert links(page, "Open box-bob") == ["/ui/memories?user_id=box-bob"]


def test_a_list_is_walked_page_by_page(browser: httpx.Client, memory: Memory) -> None:
    memory.add_many([{"content": f"memory {n}", "user_id": "walked", "tags": ["t"]} for n in range(120)])
    path = "/ui/memories?user_id=walked&tags=t&valid=now&order=oldest"
    found: list[str] = []
    while True:
        page = parsed(browser.get(path))
        found += shown(page)
        following = links(page, "Next page")
        if not following:
            break
        [path] = following
    assert found == [f"memory {n}" for n in range(120)]
    [first] = links(page, "First page")
    assert shown(parsed(browser.get(first))) == found[:50]


@pytest.fixture(scope="module")
def mixed(memory: Memory) -> str:
    """A user with memories of all kinds."""
    day = datetime(2026, 3, 1, tzinfo=UTC)
    memory.add(content="tabs", user_id="mixed", scope="coding/style", tags=["a", "b"], metadata={"n": 1})
    memory.add(content="pytest", user_id="mixed", scope="coding/tools/test", tags=["a"], metadata={"n": 2})
    memory.add(content="vegan", user_id="mixed", scope="food", source={"app": "notes"})
    memory.add(content="Lisbon", user_id="mixed", valid_from=day, valid_to=day + timedelta(days=10))
    return "mixed"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"tabs", "pytest", "vegan", "Lisbon"}),
        ({"scope": "coding/**"}, {"tabs", "pytest"}),
        ({"scope": "coding/*", "tags": ["b", ""]}, {"tabs"}),
        ({"tags": ["a", "b"]}, {"tabs"}),
        ({"where": '{"n": {"$gte": 2}}'}, {"pytest"}),
        ({"app": "notes"}, {"vegan"}),
        ({"valid": "now"}, {"tabs", "pytest", "vegan"}),
        ({"as_of": "2026-03-05T00:00"}, {"tabs", "pytest", "vegan", "Lisbon"}),
        ({"as_of": "2026-03-12"}, {"tabs", "pytest", "vegan"}),
        ({"since": "1d"}, {"tabs", "pytest", "vegan", "Lisbon"}),
        ({"until": "2026-01-01"}, set()),
        ({"scope": " ", "where": "", "since": ""}, {"tabs", "pytest", "vegan", "Lisbon"}),
    ],
)
def test_filters(browser: httpx.Client, mixed: str, query: dict[str, str], expected: set[str]) -> None:
    page = parsed(browser.get("/ui/memories", params={"user_id": mixed, **query}))
    assert set(shown(page)) == expected
    if not expected:
        assert "No memory passes these filters." in page.text
    # The form says what is asked for, so that sending it again asks the same.
    again = browser.get("/ui/memories", params=fields_of(page.one("form", aria_label="Filter memories")))
    assert set(shown(parsed(again))) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"where": '{"n": '}, "where"),
        ({"where": '{"n": {"$near": 1}}'}, "where"),
        ({"scope": "a//b"}, "scope"),
        ({"since": "yesterday"}, "since"),
        ({"cursor": "x"}, "cursor"),
        ({"order": "random"}, "order"),
        ({"app": ["a", "b"]}, "app"),
    ],
)
def test_wrong_filters_are_told_as_errors(browser: httpx.Client, mixed: str, query: dict[str, str], field: str) -> None:
    page = parsed(browser.get("/ui/memories", params={"user_id": mixed, **query}), 400)
    assert field in page.one("div", role="alert").text
    assert "no memories" not in page.text.lower()


def test_no_user_is_an_error(browser: httpx.Client) -> None:
    assert "user_id" in parsed(browser.get("/ui/memories"), 400).one("div", role="alert").text
    assert "id" in parsed(browser.get("/ui/memory"), 400).one("div", role="alert").text


def test_the_overview_counts_scopes_tags_apps_and_metadata(browser: httpx.Client, mixed: str) -> None:
    page = parsed(browser.get("/ui/facets", params={"user_id": mixed}))
    assert [summary.text.split() for summary in page.all("summary")] == [["coding", "2"], ["tools", "1"]]
    [link] = links(page, "All in coding")
    assert set(shown(parsed(browser.get(link)))) == {"tabs", "pytest"}
    assert "1 without any" in page.text
    page = parsed(browser.get("/ui/facets", params={"user_id": mixed, "by": "tag"}))
    [link] = links(page, "b")
    assert shown(parsed(browser.get(link))) == ["tabs"]
    page = parsed(
        browser.get("/ui/facets", params={"user_id": mixed, "by": "metadata.n", "where": '{"n": {"$lt": 9}}'})
    )
    [link] = links(page, "2")
    assert shown(parsed(browser.get(link))) == ["pytest"]
    assert parsed(browser.get("/ui/facets", params={"user_id": mixed, "by": "mood"}), 400).one("div", role="alert")


def test_hostile_text_is_text_and_seen_in_full(browser: httpx.Client, memory: Memory) -> None:
    user = f"hostile {HOSTILE}"
    fields: dict[str, Any] = {
        "content": HOSTILE,
        "scope": "a/<b>\u202e",
        "tags": [HOSTILE],
        "source": {"app": HOSTILE, "ref": HOSTILE},
        "metadata": {HOSTILE: HOSTILE},
        "key": HOSTILE,
        "x-test": {HOSTILE: HOSTILE},
    }
    record = memory.add(user_id=user, **fields)
    for path in ("users", "memories", "facets", "memory", "edit"):
        query = {"user_id": user, "id": record.id} | ({"prefix": "hostile"} if path == "users" else {})
        response = browser.get(f"/ui/{path}", params=query)
        page = parsed(response)
        assert len(list(page.all("script"))) == 2
        assert not list(page.all("img"))
        for element in [page, *page.all("p"), *page.all("dd"), *page.all("bdi")]:
            outside = element.text if path != "edit" else "".join(part.text for part in page.all("h1"))
            assert not set(outside) & set("\u202e\u202c\u200b\U000e0041")
    page = parsed(browser.get("/ui/memory", params={"user_id": user, "id": record.id}))
    assert shown(page)[0] == (
        HOSTILE.replace("\u202e", "U+202E")
        .replace("\u202c", "U+202C")
        .replace("\u200b", "U+200B")
        .replace("\U000e0041", "U+E0041")
    )


@pytest.mark.parametrize("user", ["..", ".", "/", "a/b", "%2e%2e", "a?b#c&d=e", "ü 日本 👩‍👩‍👧", "a+b", " x "])
def test_users_of_any_name_have_pages(browser: httpx.Client, memory: Memory, user: str) -> None:
    record = memory.add(content="tea", user_id=user)
    page = parsed(browser.get("/ui/memories", params={"user_id": user}))
    assert shown(page)[0] == "tea"
    paths = [link.attributes["href"] for link in page.one("ul", class_="cards").all("a")]
    assert record.id in parsed(browser.get(paths[0])).text
    assert [parse_qs(urlsplit(path).query)["user_id"] for path in paths] == [[user]] * len(paths)


def test_ticked_memories_are_forgotten_restored_and_deleted(browser: httpx.Client, memory: Memory) -> None:
    ids = [memory.add(content=f"memory {n}", user_id="ticked").id for n in range(3)]
    other = memory.add(content="other", user_id="ticked by nobody")
    form = parsed(browser.get("/ui/memories?user_id=ticked")).one("form", aria_label="Memories")
    fields = fields_of(form) | {"ids": ids[:2]}
    assert {box.attributes["value"] for box in form.all("input", name="ids")} == set(ids)

    answer = post(browser, "/ui/memories", fields | {"action": ["forget"]})
    page = parsed(browser.get(answer.headers["location"]))
    assert "2 memories are forgotten" in page.one("p", role="status").text
    assert len(list(page.all("span", class_="badge ended"))) == 2
    assert [memory.get(id).valid_to is None for id in ids] == [False, False, True]

    answer = post(browser, "/ui/memories", fields | {"action": ["restore"]})
    assert "valid again" in parsed(browser.get(answer.headers["location"])).text
    assert memory.get(ids[0]).valid_to is None

    asked = parsed(post(browser, "/ui/memories", fields | {"action": ["delete"], "ids": [*ids[:2], other.id]}))
    assert "3 memories would be removed for good" in asked.text
    assert memory.count("ticked") == 3
    answer = post(browser, "/ui/memories", fields_of(asked.one("main").one("form")) | {"action": ["delete"]})
    assert "2 memories are deleted" in parsed(browser.get(answer.headers["location"])).text
    assert [record.id for record in memory.list("ticked")] == [ids[2]]
    assert memory.get(other.id).content == "other"


def test_nothing_ticked_is_an_error(browser: httpx.Client) -> None:
    for fields in ({"action": "delete"}, {"action": "burn", "ids": "mem_1"}, {"ids": "mem_1"}):
        page = parsed(post(browser, "/ui/memories", {"user_id": "nobody", **fields}), 400)
        assert page.one("div", role="alert").text.strip()


def test_one_memory_with_history_and_audit(browser: httpx.Client, memory: Memory) -> None:
    first = memory.add(content="lives in Porto", user_id="moves")
    second = memory.add(content="lives in Lisbon", user_id="moves", supersedes=[first.id])
    third = memory.add(content="lives in Faro", user_id="moves", supersedes=[second.id])
    page = parsed(browser.get("/ui/memory", params={"id": second.id, "user_id": "moves"}))
    assert [text.split(",")[0] for text in shown(page.one("ol", class_="timeline"))] == [
        "lives in Porto",
        "lives in Lisbon",
        "lives in Faro",
    ]
    current = page.one("li", aria_current="true")
    assert "Lisbon" in current.text
    assert {link.attributes["href"] for link in page.one("ol", class_="timeline").all("a")} == {
        f"/ui/memory?id={id}&user_id=moves" for id in (first.id, third.id)
    }
    assert json.loads(page.one("pre", dir="ltr").text)["supersedes"] == [first.id]


def test_the_audit_of_a_new_memory_is_complete_however_long_the_log_is(
    browser: httpx.Client, memory: Memory, url: str
) -> None:
    memory.add_many([{"content": f"old {n}", "user_id": "audited busily"} for n in range(1100)])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE openmem.audit_log SET at = at - interval '1 hour' WHERE user_id = %s", ["audited busily"]
        )
    for created_at in (datetime.now(UTC), datetime.min.replace(tzinfo=UTC), datetime.now(UTC) + timedelta(days=900)):
        id = memory_id_of("audited busily", str(created_at))
        record = {"id": id, "content": "tea", "user_id": "audited busily", "created_at": created_at}
        memory.restore([record])
        memory.update(id, content="green tea", user_id="audited busily")
        page = parsed(browser.get("/ui/memory", params={"id": id, "user_id": "audited busily"}))
        [part] = [element for element in page.all("div") if "hx-get" in element.attributes]
        entries = parsed(browser.get(part.attributes["hx-get"]))
        assert "update" in entries.one("tbody").text
        assert bool(links(entries, "Look at the 1,000 entries before")) is (created_at.year == 1)


def test_the_audit_of_a_memory(browser: httpx.Client, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="audited")
    memory.get(memory.add(content="coffee", user_id="audited").id)
    page = parsed(browser.get("/ui/memory", params={"id": record.id, "user_id": "audited"}))
    [path] = links(page, "What was done with this memory")
    entries = parsed(browser.get(path)).one("div", id="entries")
    rows = [[cell.text for cell in row.all("td")][1:3] for row in entries.one("tbody").all("tr")]
    assert rows == [["history", "omp-server ui"], ["add", "tests"]]


def test_a_memory_of_somebody_else_is_not_found(browser: httpx.Client, memory: Memory) -> None:
    record = memory.add(content="secret", user_id="owner")
    page = parsed(browser.get("/ui/memory", params={"id": record.id, "user_id": "intruder"}), 404)
    assert "secret" not in page.text
    assert page.one("div", role="alert").text.strip()


def test_an_untouched_form_changes_nothing(browser: httpx.Client, memory: Memory) -> None:
    record = memory.add(
        content="\n two\r\nlines\nand a \u202e ",
        user_id="untouched",
        scope="a/b",
        tags=[" x ", HOSTILE],
        confidence=0.1,
        valid_from=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        valid_to=datetime(2029, 1, 2, tzinfo=UTC),
        metadata={"n": [1.0, "ü\nx"]},
    )
    for zone in ("Europe/Lisbon", "Asia/Kathmandu", ""):
        cookie = {"Cookie": f"omp_zone={zone}"}
        form = parsed(browser.get("/ui/edit", params={"id": record.id, "user_id": "untouched"}, headers=cookie))
        answer = post(browser, "/ui/edit", fields_of(form.one("main").one("form")) | {"action": ["save"]}, cookie)
        assert answer.headers["location"].endswith("&done=unchanged")
        assert memory.get(record.id) == record


@pytest.fixture
def edited(browser: httpx.Client, memory: Memory) -> tuple[str, dict[str, list[str]]]:
    """A memory, and the fields of its form."""
    record = memory.add(content="lives in Porto", user_id="edits", tags=["home"], metadata={"n": 1}, scope="life")
    page = parsed(browser.get("/ui/edit", params={"id": record.id, "user_id": "edits"}))
    return record.id, fields_of(page.one("main").one("form"))


def test_what_is_changed_in_the_form_is_saved(
    browser: httpx.Client, memory: Memory, edited: tuple[str, dict[str, list[str]]]
) -> None:
    id, fields = edited
    changes = {"content": "lives\r\nin Faro", "tags": ["", "a", "b"], "valid_to": "2030-05-06T07:08", "scope": ""}
    changes |= {"metadata": '{"n": 2}', "confidence": "0.5", "action": "save"}
    answer = post(browser, "/ui/edit", fields | changes, {"Cookie": "omp_zone=Asia%2FKathmandu"})
    assert "The memory is saved." in parsed(browser.get(answer.headers["location"])).text
    record = memory.get(id)
    assert (record.content, record.tags, record.scope) == ("lives\nin Faro", ["a", "b"], None)
    assert (record.metadata, record.confidence, record.version) == ({"n": 2}, 0.5, 2)
    assert record.valid_to == datetime(2030, 5, 6, 1, 23, tzinfo=UTC)


def test_a_replacement_keeps_the_old_one(
    browser: httpx.Client, memory: Memory, edited: tuple[str, dict[str, list[str]]]
) -> None:
    id, fields = edited
    answer = post(browser, "/ui/edit", fields | {"content": "lives in Faro", "action": "replace"})
    page = parsed(browser.get(answer.headers["location"]))
    assert shown(page)[0] == "lives in Faro"
    assert "This memory has replaced the old one" in page.text
    [old, new] = memory.history(id)
    assert (old.content, old.valid_to is None) == ("lives in Porto", False)
    assert (new.tags, new.metadata, new.scope, new.supersedes) == (["home"], {"n": 1}, "life", [id])


def test_a_replacement_takes_over_the_key(browser: httpx.Client, memory: Memory) -> None:
    record = memory.put(key="home", content="Porto", user_id="keyed edits")
    page = parsed(browser.get("/ui/edit", params={"id": record.id, "user_id": "keyed edits"}))
    fields = fields_of(page.one("main").one("form"))
    assert post(browser, "/ui/edit", fields | {"content": "Faro", "action": "replace"}).status_code == 303
    assert memory.get_by_key("home", "keyed edits").content == "Faro"
    assert [old.content for old in memory.history(record.id)] == ["Porto", "Faro"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metadata": '{"n": '}, "metadata"),
        ({"metadata": "[1]"}, "metadata"),
        ({"confidence": "2"}, "confidence"),
        ({"confidence": "much"}, "confidence"),
        ({"content": "  "}, "content"),
        ({"valid_to": "soon"}, "valid_to"),
        ({"scope": "/"}, "scope"),
    ],
)
def test_a_wrong_form_is_shown_again_with_what_was_typed(
    browser: httpx.Client,
    memory: Memory,
    edited: tuple[str, dict[str, list[str]]],
    change: dict[str, str],
    field: str,
) -> None:
    id, fields = edited
    typed = {"content": "a new text", "tags": ["x", "y"], "action": "save"} | change
    page = parsed(post(browser, "/ui/edit", fields | typed), 400)
    assert field in page.one("div", role="alert").text
    again = fields_of(page.one("main").one("form"))
    assert again["tags"] == ["x", "y", ""]
    if field != "content":
        assert again[field] == [change[field]]
        assert again["content"] == ["a new text"]
    assert memory.get(id).version == 1


def test_a_change_by_somebody_else_is_not_overwritten(
    browser: httpx.Client, memory: Memory, edited: tuple[str, dict[str, list[str]]]
) -> None:
    id, fields = edited
    memory.update(id, content="lives in Braga")
    for action in ("save", "save"):
        page = parsed(post(browser, "/ui/edit", fields | {"content": "lives in Faro", "action": action}), 409)
        assert page.one("div", role="alert").text.strip()
    assert memory.get(id).content == "lives in Braga"


def test_times_are_in_the_readers_zone(browser: httpx.Client, memory: Memory) -> None:
    record = memory.add(content="tea", user_id="zoned", valid_from="2026-07-01T12:00:00Z")
    path = f"/ui/memory?id={record.id}&user_id=zoned"
    for zone, expected, name in [
        ("Asia%2FKathmandu", "2026-07-01 17:45", "Asia/Kathmandu"),
        ("Mars%2FPhobos", "2026-07-01 12:00", "UTC"),
        ("..%2F..%2Fetc%2Fpasswd", "2026-07-01 12:00", "UTC"),
        ("%ff%00", "2026-07-01 12:00", "UTC"),
    ]:
        page = parsed(browser.get(path, headers={"Cookie": f"omp_zone={zone}"}))
        assert expected in [time.text for time in page.all("time")]
        assert f"Times are in {name}." in page.text


def test_users_and_grants_of_the_key_rule_every_page(keyed_server: Running, keys: KeysFile, memory: Memory) -> None:
    mine = memory.add(content="my tabs", user_id="granted", scope="coding/style")
    hidden = memory.add(content="my diary", user_id="granted", scope="diary")
    other = memory.add(content="not mine", user_id="not granted", scope="coding/style")
    with keyed_server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        sign_in(client, keys.create(app="reader", users=["granted"], grants=["read:coding/**"]))
        assert client.get("/ui/users").headers["location"] == "/ui/memories?user_id=granted"
        assert shown(parsed(client.get("/ui/memories?user_id=granted"))) == ["my tabs"]
        assert "diary" not in parsed(client.get("/ui/facets?user_id=granted")).text
        for path in [
            "memories?user_id=not+granted",
            "memories?user_id=granted&scope=diary",
            f"memory?id={hidden.id}&user_id=granted",
            f"memory?id={other.id}&user_id=not+granted",
            f"memory?id={other.id}",
            f"edit?id={hidden.id}",
            "facets?user_id=not+granted",
        ]:
            answer = client.get(f"/ui/{path}")
            page = parsed(answer, 404 if answer.status_code == 404 else 403)
            assert page.one("div", role="alert").text.strip()
            assert "my diary" not in page.text
            assert "not mine" not in page.text
        for action in ("forget", "restore", "delete"):
            fields = {"user_id": "granted", "ids": mine.id, "action": action, "confirmed": "yes"}
            assert post(client, "/ui/memories", fields).status_code == 403
        fields = {"id": mine.id, "user_id": "granted", "content": "changed", "action": "save"}
        assert post(client, "/ui/edit", fields).status_code == 403
        assert memory.get(mine.id) == mine


def test_a_key_of_several_users_has_a_list_of_them(keyed_server: Running, keys: KeysFile, memory: Memory) -> None:
    memory.add(content="tea", user_id="one of two")
    with keyed_server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        sign_in(client, keys.create(app="two", users=["one of two", "two of two"]))
        page = parsed(client.get("/ui/users"))
        assert not list(page.all("table"))
        [link] = links(page, "one of two")
        assert shown(parsed(client.get(link))) == ["tea"]
        [link] = links(page, "two of two")
        assert "There are no memories of this user." in parsed(client.get(link)).text


def test_an_unknown_page_and_a_wrong_method_are_told(browser: httpx.Client) -> None:
    assert "there is no such page" in parsed(browser.get("/ui/nothing"), 404).text
    answer = post(browser, "/ui/users", {})
    assert parsed(answer, 405).one("div", role="alert")
    assert answer.headers["allow"] == "GET, HEAD"
    assert browser.request("DELETE", "/ui/memories").status_code == 405
    too_large = post(browser, "/ui/memories", {"x": "y" * 2_000_000})
    assert "over the limit" in parsed(too_large, 413).text


def test_a_part_that_fails_takes_the_place_of_the_content(browser: httpx.Client) -> None:
    answer = browser.get("/ui/facets", headers={"HX-Request": "true"})
    assert parsed(answer, 400).one("main", id="content").one("div", role="alert")
    assert (answer.headers["hx-retarget"], answer.headers["hx-reselect"]) == ("#content", "#content")


def test_a_memory_that_is_gone_is_told(browser: httpx.Client, memory: Memory) -> None:
    id = memory.add(content="tea", user_id="gone").id
    memory.delete(id)
    for path in ("memory", "edit"):
        parsed(browser.get(f"/ui/{path}", params={"id": id, "user_id": "gone"}), 404)
    fields = {"user_id": "gone", "ids": id, "action": "forget"}
    parsed(post(browser, "/ui/memories", fields), 404)
    with pytest.raises(NotFoundError):
        memory.get(id)


def test_a_backend_that_is_away_is_an_error_and_no_empty_list() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = {"url": f"postgresql://127.0.0.1:{port}/away", "embedder": "hashing"}
    with running(OmpServerConfig(settings=settings, ui=True, loopback_only=True)) as server, server.client() as client:
        for path in ("users", "memories?user_id=maya", "facets?user_id=maya", "memory?id=mem_1&user_id=maya"):
            page = parsed(client.get(f"/ui/{path}"), 503)
            assert "the backend is not available" in page.one("div", role="alert").text
            assert str(port) not in page.text
            assert not list(page.all("table"))


def test_the_log_has_no_user_no_text_and_no_key(
    keyed_server: Running, keys: KeysFile, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    record = memory.add(content="Maya is vegan", user_id="logged user")
    key = keys.create(app="reader")
    caplog.set_level(logging.DEBUG)
    with keyed_server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        sign_in(client, key)
        [token] = client.cookies.values()
        for path in (
            "users?prefix=logged",
            "memories?user_id=logged+user",
            f"memory?id={record.id}&user_id=logged+user",
        ):
            assert client.get(f"/ui/{path}").status_code == 200
        post(client, "/ui/edit", {"id": record.id, "user_id": "logged user", "content": "Maya eats eggs"})
    lines = [line.getMessage() for line in caplog.records if line.name.startswith("openmem")]
    assert any("path=/ui/memories status=200" in line for line in lines)
    assert not [line for line in lines if any(text in line for text in ("logged", "vegan", "eggs", key, token))]


def test_what_was_changed_and_what_was_not_is_told_and_can_be_undone(browser: httpx.Client, memory: Memory) -> None:
    ids = [memory.add(content=f"memory {n}", user_id="partly", tags=["t"]).id for n in range(3)]
    memory.add(content="untagged", user_id="partly")
    form = parsed(browser.get("/ui/memories?user_id=partly&tags=t")).one("form", aria_label="Memories")
    memory.delete(ids[1])
    page = parsed(post(browser, "/ui/memories", fields_of(form) | {"ids": ids, "action": ["forget"]}), 404)
    assert "2 of 3 memories are forgotten; 1 is not" in page.one("div", role="alert").text
    assert [
        link.text for link in page.one("section", aria_labelledby="not-done").one("ul", aria_labelledby="done").all("a")
    ] == [
        ids[0],
        ids[2],
    ]
    assert ids[1] in page.one("section", aria_labelledby="not-done").text
    assert shown(page) == ["memory 2", "memory 0"]
    assert [memory.get(id).valid_to is None for id in (ids[0], ids[2])] == [False, False]
    undo = page.one("form", aria_label="Undo")
    assert undo.one("button").attributes["value"] == "restore"
    answer = post(browser, "/ui/memories", fields_of(undo) | {"action": ["restore"]})
    page = parsed(browser.get(answer.headers["location"]))
    assert "2 memories are valid again" in page.one("p", role="status").text
    assert shown(page) == ["memory 2", "memory 0"]
    assert [memory.get(id).valid_to for id in (ids[0], ids[2])] == [None, None]


def test_forgetting_can_be_undone_from_its_notice(browser: httpx.Client, memory: Memory) -> None:
    ids = [memory.add(content=f"memory {n}", user_id="undone").id for n in range(2)]
    back = "/ui/memories?user_id=undone&order=oldest"
    answer = post(browser, "/ui/memories", {"user_id": "undone", "ids": ids, "action": "forget", "back": back})
    undo = parsed(browser.get(answer.headers["location"])).one("form", aria_label="Undo")
    assert fields_of(undo)["back"] == [back]
    post(browser, "/ui/memories", fields_of(undo) | {"action": ["restore"]})
    assert [memory.get(id).valid_to for id in ids] == [None, None]


def test_an_error_of_the_list_is_shown_above_the_list_as_it_was(browser: httpx.Client, memory: Memory) -> None:
    memory.add(content="tagged", user_id="unticked", tags=["t"])
    memory.add(content="untagged", user_id="unticked")
    form = parsed(browser.get("/ui/memories?user_id=unticked&tags=t")).one("form", aria_label="Memories")
    page = parsed(post(browser, "/ui/memories", fields_of(form) | {"action": ["forget"]}), 400)
    assert "no memory is ticked" in page.one("div", role="alert").text
    assert shown(page) == ["tagged"]


def test_errors_of_other_forms_lead_back(browser: httpx.Client, open_server: Running) -> None:
    origin = str(browser.base_url).rstrip("/")
    for referrer, expected in [
        (f"{origin}/ui/memories?user_id=maya&tags=t", ["/ui/memories?user_id=maya&tags=t"]),
        ("https://other.example/ui/memories?user_id=maya", []),
        (f"{origin}/elsewhere", []),
        ("http://[", []),
        ("", []),
    ]:
        page = parsed(browser.get("/ui/memories?user_id=maya&scope=a//b", headers={"Referer": referrer}), 400)
        assert links(page, "Go back") == expected
    fields = {"user_id": "maya", "ids": "mem_gone", "action": "forget", "back": "/ui/search?user_id=maya&q=tea"}
    page = parsed(post(browser, "/ui/memories", fields), 404)
    assert links(page, "Go back") == ["/ui/search?user_id=maya&q=tea"]
