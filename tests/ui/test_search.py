"""The page that searches: what is found and why, the prompt, and the same as code."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from openmem import Memory
from openmem.embedders.hashing import HashingEmbedder
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from ..server.harness import Running, running
from .pages import Element, parsed, post, sign_in
from .test_memories import HOSTILE, fields_of, links, shown


@pytest.fixture(scope="module")
def searched(memory: Memory) -> str:
    """A user whose memories are searched."""
    memory.add(content="Maya is allergic to peanuts", user_id="searched", scope="health", tags=["x"])
    memory.add(content="Maya moved to Porto on 9 September 2023", user_id="searched", scope="home/move")
    memory.add(content="Is Maya allergic to nuts?", user_id="searched")
    return "searched"


def code(page: Element, language: str) -> str:
    return page.one("pre", aria_labelledby=language).text


def test_without_a_query_there_is_only_the_form(browser: httpx.Client, searched: str) -> None:
    page = parsed(browser.get("/ui/search", params={"user_id": searched}))
    assert page.one("input", name="q").attributes["value"] == ""
    assert not list(page.all("ol"))
    assert "Nothing was found" not in page.text
    assert not parsed(browser.get("/ui/search"), 400).text.isspace()


def test_results_say_why_they_were_found(browser: httpx.Client, memory: Memory, searched: str) -> None:
    asked = {"user_id": searched, "q": "what is Maya allergic to?"}
    page = parsed(browser.get("/ui/search", params=asked))
    found = memory.search(asked["q"], searched, explain=True)
    assert shown(page) == [hit.memory.content for hit in found]
    first = next(page.one("ol", class_="cards results").all("li"))
    why = found[0].explanation
    assert why is not None
    assert f"{found[0].score:.2f}" in first.one("strong").text
    facts = [fact.text.strip() for fact in first.all("dt")]
    assert f"{why.meaning:.2f}" in facts
    assert f"{why.words:.2f}" in facts
    assert {mark.text for mark in first.all("bdi", class_="found")} == {"Maya", "allergic"}
    assert "since it is a question" in page.text
    [rest, *bars] = first.one("svg").all("rect")
    assert rest.attributes["width"] == "100"
    assert sum(float(bar.attributes["width"]) for bar in bars) == pytest.approx(100 * found[0].score, abs=0.1)


def test_filters_and_the_prompt(browser: httpx.Client, memory: Memory, searched: str) -> None:
    asked = {"user_id": searched, "q": "Maya", "scope": "home/*", "token_budget": "60", "limit": "5"}
    page = parsed(browser.get("/ui/search", params=asked))
    assert shown(page) == ["Maya moved to Porto on 9 September 2023"]
    block = memory.context("Maya", searched, scope="home/*", token_budget=60)
    assert page.one("pre", aria_labelledby="prompt").text == block.text
    assert f"{block.token_count} of 60 tokens" in page.text
    # The form says what was asked, so that sending it again asks the same.
    assert shown(parsed(browser.get("/ui/search", params=fields_of(page.one("form", role="search"))))) == shown(page)


class InPairs:
    """An embedder that answers two queries at once, and none alone."""

    def __init__(self) -> None:
        self._hashing = HashingEmbedder()
        self._pair = asyncio.Barrier(2)
        self.model, self.dim = self._hashing.model, self._hashing.dim

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return self._hashing.embed(texts)

    def embed_query(self, text: str) -> Sequence[float]:
        return self.embed([text])[0]

    async def aembed_query(self, text: str) -> Sequence[float]:
        await asyncio.wait_for(self._pair.wait(), 20)
        return self.embed_query(text)


def test_results_and_prompt_are_searched_for_at_once(settings: dict[str, object], searched: str) -> None:
    config = OmpServerConfig(settings={**settings, "embedder": InPairs()}, ui=True, loopback_only=True)
    with running(config) as server, server.client() as client:
        page = parsed(client.get("/ui/search", params={"user_id": searched, "q": "Porto"}))
    assert "Porto" in shown(page)[0]
    assert "Porto" in page.one("pre", aria_labelledby="prompt").text


def test_nothing_found_is_not_an_error(browser: httpx.Client) -> None:
    page = parsed(browser.get("/ui/search?user_id=nobody+searched&q=tea"))
    assert page.one("h2", id="results").text == "Nothing was found"
    assert "The prompt is empty." in page.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"token_budget": "0"}, "token_budget"),
        ({"token_budget": "x"}, "token_budget"),
        ({"where": "{"}, "where"),
        ({"min_score": "2"}, "min_score"),
        ({"as_of": "once"}, "as_of"),
        ({"q": ["a", "b"]}, "q"),
    ],
)
def test_wrong_queries_are_told_beside_the_form(
    browser: httpx.Client, searched: str, query: dict[str, str], field: str
) -> None:
    page = parsed(browser.get("/ui/search", params={"user_id": searched, "q": "tea", **query}), 400)
    assert field in page.one("div", role="alert").text
    assert "Nothing was found" not in page.text


def test_the_code_does_the_same(browser: httpx.Client, memory: Memory, searched: str, tmp_path: Path) -> None:
    hostile = 'Maya\'s "nuts" $(touch x) `id` \u202e\\ é'
    asked = {"user_id": searched, "q": hostile, "tags": ["x"], "since": "2020-01-01"}
    page = parsed(browser.get("/ui/search", params=asked))
    curl, python = code(page, "curl"), code(page, "python")
    assert curl.isascii()
    assert not set(python) & set("\u202e\u200b")
    script = tmp_path / "copied.py"
    script.write_text(f"{python}\n    print(results[0].memory.content)\n", encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("Maya is allergic to peanuts")
    [address] = [part for part in shlex.split(curl.partition("\n")[0]) if part.startswith("http")]
    results = httpx.get(address).json()["results"]
    assert [hit["memory"]["content"] for hit in results] == ["Maya is allergic to peanuts"]
    assert shlex.split(curl.partition("\n")[2].replace("\\\n", ""))[0] == "curl"
    assert not list(Path(os.getcwd()).glob("x"))


def test_hostile_texts_are_text(browser: httpx.Client, memory: Memory) -> None:
    user = f"search {HOSTILE}"
    memory.add(content=HOSTILE, user_id=user, scope="a/<b>\u202e", tags=[HOSTILE], source={"app": HOSTILE})
    page = parsed(browser.get("/ui/search", params={"user_id": user, "q": HOSTILE, "tags": HOSTILE}))
    assert len(list(page.all("script"))) == 2
    assert not list(page.all("img"))
    assert not set(page.text) & set("\u202e\u202c\u200b\U000e0041")
    assert "U+202E" in shown(page)[0]


def test_the_key_rules_what_is_found(keyed_server: Running, keys: KeysFile, memory: Memory, searched: str) -> None:
    with keyed_server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        sign_in(client, keys.create(app="reader", users=[searched], grants=["read:home/**"]))
        page = parsed(client.get("/ui/search", params={"user_id": searched, "q": "Maya"}))
        assert shown(page) == ["Maya moved to Porto on 9 September 2023"]
        assert "OMP_API_KEY" in code(page, "curl")
        assert "OMP_API_KEY" in code(page, "python")
        assert "omk_" not in page.text
        for query in ({"user_id": "mixed"}, {"user_id": searched, "scope": "health"}):
            refused = parsed(client.get("/ui/search", params={"q": "Maya", **query}), 403)
            assert refused.one("div", role="alert").text.strip()
    assert links(page, "Search") == ["/ui/search?user_id=searched"]


def test_results_have_their_scope_and_tags_and_can_be_forgotten(browser: httpx.Client, memory: Memory) -> None:
    id = memory.add(content="Maya likes tea", user_id="forgets results", scope="food/drinks", tags=["taste"]).id
    asked = {"user_id": "forgets results", "q": "tea", "limit": "5", "token_budget": "60"}
    page = parsed(browser.get("/ui/search", params=asked))
    result = page.one("ol", class_="cards results")
    assert {"scope food/drinks", "tag taste"} <= {fact.text for fact in result.all("li")}
    answer = post(browser, "/ui/memories", fields_of(result.one("form")) | {"action": ["forget"]})
    assert memory.get(id).valid_to is not None
    page = parsed(browser.get(answer.headers["location"]))
    assert "1 memory is forgotten" in page.one("p", role="status").text
    assert page.one("input", name="token_budget").attributes["value"] == "60"
    assert page.one("h2", id="results").text == "Nothing was found"
    answer = post(browser, "/ui/memories", fields_of(page.one("form", aria_label="Undo")) | {"action": ["restore"]})
    assert "1 memory is valid again" in parsed(browser.get(answer.headers["location"])).text
    assert memory.get(id).valid_to is None
