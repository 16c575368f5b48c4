"""The page of the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from openmem import Memory
from openmem.server.keys import KeysFile
from openmem.ui.calendar import chart_of

from ..server.harness import Running
from .pages import Element, parsed, sign_in
from .test_memories import HOSTILE, fields_of, links

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rows(page: Element) -> list[list[str]]:
    """The cells of the table of entries."""
    table = page.one("div", aria_label="Entries").one("tbody")
    return [[cell.text for cell in row.all("td")] for row in table.all("tr")]


@pytest.fixture(scope="module")
def audited(memory: Memory, url: str) -> str:
    """A user with entries of four days."""
    records = [memory.add(content=f"tea {n}", user_id="audited in full", scope="drinks") for n in range(4)]
    memory.get(records[0].id)
    memory.search("tea", "audited in full")
    memory.audit("audited in full")
    with psycopg.connect(url, autocommit=True) as admin:
        for number, record in enumerate(records):
            admin.execute(
                "UPDATE openmem.audit_log SET at = %s WHERE action = 'add' AND memory_id = %s",
                (DAY + timedelta(days=number), record.id),
            )
    return "audited in full"


def test_entries_and_their_chart(browser: httpx.Client, memory: Memory, audited: str) -> None:
    page = parsed(browser.get("/ui/audit", params={"user_id": audited}))
    assert [row[1] for row in rows(page)] == [entry.action for entry in memory.audit(audited)]
    assert {row[2] for row in rows(page)} == {"tests"}
    picture = page.one("svg", class_="chart")
    assert picture.one("title").text == "Entries by week"
    numbers = page.one("div", aria_label="Entries by week").one("tbody")
    assert sum(int(cell.text) for cell in numbers.all("td")) == len(rows(page))
    assert {item.text.strip() for item in page.one("ul", class_="legend").all("li")} == {"add", "get", "search"}


def test_filters(browser: httpx.Client, audited: str) -> None:
    asked = {"user_id": audited, "action": "add", "since": "2026-03-02", "until": "2026-03-04T00:00"}
    page = parsed(browser.get("/ui/audit", params=asked))
    assert [row[1] for row in rows(page)] == ["add", "add"]
    assert len(list(page.one("svg", class_="chart").all("rect"))) == 2
    assert rows(parsed(browser.get("/ui/audit", params=fields_of(page.one("form", role="search"))))) == rows(page)
    assert "No entry passes these filters" in parsed(browser.get(f"/ui/audit?user_id={audited}&app=other")).text
    assert "There is no entry" in parsed(browser.get("/ui/audit?user_id=nobody+audited")).text


@pytest.mark.parametrize(
    ("query", "field"), [({"since": "once"}, "since"), ({"until": "x"}, "until"), ({"skip": "-1"}, "skip")]
)
def test_wrong_filters_are_told(browser: httpx.Client, audited: str, query: dict[str, str], field: str) -> None:
    page = parsed(browser.get("/ui/audit", params={"user_id": audited, **query}), 400)
    assert field in page.one("div", role="alert").text
    assert "no entry" not in page.text.lower()


def test_a_long_log_has_pages(browser: httpx.Client, memory: Memory) -> None:
    memory.add_many([{"content": f"tea {n}", "user_id": "audited long"} for n in range(130)])
    page = parsed(browser.get("/ui/audit?user_id=audited+long"))
    assert len(rows(page)) == 100
    [following] = links(page, "Next page")
    page = parsed(browser.get(following))
    assert len(rows(page)) == 30
    assert links(page, "First page") == ["/ui/audit?user_id=audited+long"]


def test_hostile_texts_are_text(browser: httpx.Client, memory: Memory, settings: dict[str, object]) -> None:
    user = f"audit {HOSTILE}"
    with Memory("postgres", **settings, app=HOSTILE) as client:  # type: ignore[arg-type]
        client.add(content="tea", user_id=user, scope="a/<b>\u202e")
    page = parsed(browser.get("/ui/audit", params={"user_id": user}))
    assert len(list(page.all("script"))) == 2
    assert not list(page.all("img"))
    assert not set(page.text) & set("\u202e\u202c\u200b\U000e0041")


def test_the_key_rules_what_is_seen(keyed_server: Running, keys: KeysFile, memory: Memory) -> None:
    memory.add(content="tabs", user_id="audited by key", scope="coding")
    memory.add(content="diary", user_id="audited by key", scope="diary")
    with keyed_server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        sign_in(client, keys.create(app="reader", users=["audited by key"], grants=["read:coding"]))
        page = parsed(client.get("/ui/audit?user_id=audited+by+key"))
        assert [row[4] for row in rows(page)] == ["coding"]
        parsed(client.get("/ui/audit?user_id=audited+in+full"), 403)


@pytest.mark.parametrize(
    ("days", "unit", "columns"),
    [(0, "day", 1), (60, "day", 61), (100, "week", 16), (1000, "month", 33), (9000, "year", 25)],
)
def test_a_chart_has_few_columns(days: int, unit: str, columns: int) -> None:
    chart = chart_of([(DAY, "a"), (DAY + timedelta(days=days), "b")], UTC, 6)
    assert chart is not None
    assert (chart.unit, len(chart.labels)) == (unit, columns)
    assert sum(map(sum, chart.numbers)) == 2


def test_a_chart_has_few_series() -> None:
    chart = chart_of([(DAY, str(n)) for n in range(9) for _ in range(n + 1)], UTC, 4)
    assert chart is not None
    assert list(chart.names) == ["8", "7", "6", "others"]
    assert [sum(numbers) for numbers in chart.numbers] == [9, 8, 7, 21]


def test_a_chart_reaches_to_the_ends_of_the_calendar() -> None:
    moments = [(datetime.min.replace(tzinfo=UTC), "a"), (datetime.max.replace(tzinfo=UTC), "a")]
    chart = chart_of(moments, UTC, 6)
    assert chart is not None
    assert len(chart.labels) == 100
    assert sum(map(sum, chart.numbers)) == 2


def test_older_entries_are_on_further_pages(browser: httpx.Client, memory: Memory) -> None:
    memory.add_many([{"content": f"tea {n}", "user_id": "audited longer"} for n in range(1_010)])
    page = parsed(browser.get("/ui/audit?user_id=audited+longer&action=add"))
    assert "of the latest, 1,000 at most" in page.text
    [older] = links(page, "Older entries")
    page = parsed(browser.get(older))
    assert len(rows(page)) == 10
    assert links(page, "Older entries") == []
    assert links(page, "First page") == ["/ui/audit?user_id=audited+longer&action=add"]
