"""The pages with pictures: memories over time, and by what they mean."""

from __future__ import annotations

import math
import random
from typing import Any

import httpx
import pytest

from openmem import Memory
from openmem.operations import List
from openmem.ports import run_blocking
from openmem.server.keys import KeysFile
from openmem.ui.projection import MAX_VECTORS, places_of

from ..server.harness import Running
from .pages import parsed, sign_in
from .test_memories import HOSTILE, links


@pytest.fixture(scope="module")
def pictured(memory: Memory) -> str:
    """A user with memories of two subjects."""
    said = [f"green tea with breakfast {n}" for n in range(4)] + [f"train to Lisbon {n}" for n in range(4)]
    scopes = ["food/drinks"] * 4 + ["travel"] * 3 + [None]
    memory.add_many(
        [
            {"content": content, "user_id": "pictured", "scope": scope}
            for content, scope in zip(said, scopes, strict=True)
        ]
    )
    return "pictured"


def test_both_pictures_and_what_they_say_as_text(browser: httpx.Client, memory: Memory, pictured: str) -> None:
    page = parsed(browser.get("/ui/pictures", params={"user_id": pictured}))
    assert "All 8 memories" in page.text
    names = [item.text.strip() for item in page.one("ul", class_="legend").all("li")]
    assert sorted(names) == ["food", "no scope", "travel"]
    [row] = page.one("div", aria_label="Memories by day").one("tbody").all("tr")
    assert sorted(cell.text for cell in row.all("td")) == ["1", "3", "4"]
    time, meaning = page.all("svg", class_="chart")
    for picture in (time, meaning):
        title, description = next(picture.all("title")), picture.one("desc")
        assert title.text.startswith("Memories by")
        assert picture.attributes["aria-labelledby"] == f"{title.attributes['id']} {description.attributes['id']}"
        assert "style" not in str(picture.attributes)
    points = {circle.one("title").text: circle for circle in meaning.all("circle")}
    assert set(points) == {record.content for record in memory.list(pictured)}
    assert {item.text for item in page.one("ul", class_="legend-list").all("a")} == set(points)
    [link] = [a for a in meaning.all("a") if a.text == "train to Lisbon 1"]
    assert "train to Lisbon 1" in parsed(browser.get(link.attributes["href"])).text

    def place(name: str) -> tuple[float, float]:
        return float(points[name].attributes["cx"]), float(points[name].attributes["cy"])

    tea, more_tea, train = (place(name) for name in (*sorted(points)[:2], "train to Lisbon 1"))
    assert math.dist(tea, more_tea) < math.dist(tea, train)


def test_filters_rule_the_pictures(browser: httpx.Client, pictured: str) -> None:
    page = parsed(browser.get("/ui/pictures", params={"user_id": pictured, "scope": "food/**"}))
    assert "All 4 memories that pass the filters" in page.text
    assert links(page, "See them as a list") == ["/ui/memories?user_id=pictured&scope=food%2F%2A%2A"]
    assert "No memory passes" in parsed(browser.get(f"/ui/pictures?user_id={pictured}&tags=none")).text
    assert "There are no memories" in parsed(browser.get("/ui/pictures?user_id=nobody+pictured")).text
    assert parsed(browser.get(f"/ui/pictures?user_id={pictured}&scope=a//b"), 400).one("div", role="alert")
    assert parsed(browser.get("/ui/pictures"), 400).one("div", role="alert")


def test_of_many_memories_a_sample_is_drawn(browser: httpx.Client, memory: Memory) -> None:
    memory.add_many([{"content": f"note {n}", "user_id": "pictured much"} for n in range(1_500)])
    sample = run_blocking(memory.client.sample(List(user_id="pictured much"), size=400))
    assert not sample.is_whole
    assert 300 <= len(sample.records) <= 400
    numbers = [int(record.content.split()[1]) for record in sample.records]
    assert min(numbers) < 50
    assert max(numbers) > 1_450
    assert sample.vectors.keys() == {record.id for record in sample.records}
    page = parsed(browser.get("/ui/pictures?user_id=pictured+much"))
    assert "A sample of" in page.text
    assert len(list(page.all("circle"))) <= MAX_VECTORS
    assert memory.audit("pictured much", limit=1)[0].action == "list"


def test_hostile_texts_are_text(browser: httpx.Client, memory: Memory) -> None:
    user = f"pictures {HOSTILE}"
    for scope in ("<b>\u202e/x", "a"):
        memory.add_many([{"content": f"{HOSTILE} {n}", "user_id": user, "scope": scope} for n in range(3)])
    page = parsed(browser.get("/ui/pictures", params={"user_id": user}))
    assert len(list(page.all("script"))) == 2
    assert not list(page.all("img"))
    assert not set(page.text) & set("\u202e\u202c\u200b\U000e0041")


def test_the_key_rules_what_is_drawn(keyed_server: Running, keys: KeysFile, memory: Memory) -> None:
    for scope in ("coding", "diary"):
        memory.add_many([{"content": f"{scope} {n}", "user_id": "drawn by key", "scope": scope} for n in range(3)])
    with keyed_server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        sign_in(client, keys.create(app="reader", users=["drawn by key"], grants=["read:coding"]))
        page = parsed(client.get("/ui/pictures?user_id=drawn+by+key"))
        assert "All 3 memories" in page.text
        assert "diary" not in page.text
        parsed(client.get("/ui/pictures?user_id=pictured"), 403)
        parsed(client.get("/ui/pictures?user_id=drawn+by+key&scope=diary"), 403)


@pytest.mark.parametrize("provider", ["memory", "passthrough"])
def test_other_backends_give_what_they_have(open_server: Running, provider: str) -> None:
    settings: dict[str, Any] = {"embedder": "hashing"} if provider == "memory" else {"base_url": open_server.url}
    user = f"sampled by {provider}"
    with Memory(provider, **settings) as client:
        client.add_many([{"content": f"note {n}", "user_id": user} for n in range(30)])
        whole = run_blocking(client.client.sample(List(user_id=user), size=100))
        assert whole.is_whole
        assert [record.content for record in whole.records] == [f"note {n}" for n in range(30)]
        part = run_blocking(client.client.sample(List(user_id=user), size=10))
        assert not part.is_whole
        assert len(part.records) == 10
        assert part.is_spread == bool(part.vectors) == (provider == "memory")


@pytest.mark.parametrize("dimensions", [50, 1_000])
def test_places_keep_apart_what_is_not_alike(dimensions: int) -> None:
    seeded = random.Random(7)
    groups = [[seeded.gauss(0, 1) for _ in range(dimensions)] for _ in range(3)]
    vectors = [[value + seeded.gauss(0, 0.2) for value in group] for group in groups for _ in range(20)]
    places = places_of(vectors)
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in places)
    centers = [tuple(map(math.fsum, zip(*places[n : n + 20], strict=True))) for n in (0, 20, 40)]
    for number, place in enumerate(places):
        nearest = min(range(3), key=lambda group: math.dist(place, [value / 20 for value in centers[group]]))
        assert nearest == number // 20
    assert places_of(vectors) == places


@pytest.mark.parametrize("vectors", [[], [[1.0, 2.0]], [[0.0, 0.0]] * 4, [[1.0, 1.0]] * 5])
def test_places_of_what_is_all_alike_are_in_the_middle(vectors: list[list[float]]) -> None:
    assert places_of(vectors) == [(0.5, 0.5)] * len(vectors)
