"""Text for a prompt, with citations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from .. import cases
from ..contract import Contract, requires


class ShortestFirst:
    """A reranker that gives the shortest text the highest score."""

    model = "shortest-first"

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        return [1 / (1 + len(text)) for text in texts]


class ContextContract(Contract):
    """`context`."""

    @requires("add", "context")
    async def test_context_shows_no_other_user(self) -> None:
        mine = await self.two_users()
        block = await self.memory.context("green tea", self.user)
        assert [citation.memory_id for citation in block.citations] == [mine.id]
        assert "hers" not in block.text

    @requires("add", "context")
    @pytest.mark.parametrize("token_budget", [1, 15, 40, 60, 500, 100_000])
    async def test_context_is_cited_within_the_budget(self, token_budget: int) -> None:
        texts = await self.add_corpus()

        def count(text: str) -> int:
            return len(re.findall(r"\w+|[^\w\s]", text))

        async with self.client(token_counter=count) as client:
            block = await client.context("the editor of her sister Anna", self.user, token_budget=token_budget)
        assert block.token_count == count(block.text) <= token_budget
        assert re.findall(r"\[([^\]\s]+)\]", block.text) == [citation.memory_id for citation in block.citations]
        lines = block.text.splitlines()
        assert len(lines) == len(block.citations)
        for line, citation in zip(lines, block.citations, strict=True):
            quoted = line.removeprefix("- ").removesuffix(f" [{citation.memory_id}]")
            if citation.excerpt:
                assert quoted.strip("\u2026") in texts[citation.memory_id]
            else:
                assert quoted == texts[citation.memory_id]
            assert f"[{citation.memory_id}]" in line
            assert 0.0 <= citation.score <= 1.0
        scores = [citation.score for citation in block.citations]
        assert scores == sorted(scores, reverse=True)
        if token_budget >= 500:
            assert texts[block.citations[0].memory_id] == cases.CORPUS[1]

    @requires("add", "context", "scopes")
    @pytest.mark.parametrize("setting", ["none", "token_counter", "reranker"])
    async def test_context_takes_in_what_is_below_a_scope(self, setting: str) -> None:
        """Also where the text is made by the client, from what it searched for itself."""
        inside = [
            await self.memory.add(content=f"she drinks green tea ({place})", user_id=self.user, scope=scope)
            for place, scope in enumerate(("food", "food/drinks", "food/drinks/hot"))
        ]
        await self.memory.add(content="green tea in another place", user_id=self.user, scope="foods")
        settings: dict[str, Any] = {"token_counter": len} if setting == "token_counter" else {}
        if setting == "reranker":
            settings["reranker"] = ShortestFirst()
        async with self.client(**settings) as client:
            block = await client.context("green tea", self.user, scope="food", token_budget=1000)
            assert {citation.memory_id for citation in block.citations} == {record.id for record in inside}
            if setting == "reranker":
                found = await client.search("green tea", self.user, scope="food")
                assert [result.memory.id for result in found] == [inside[0].id]

    @requires("add", "context")
    async def test_a_memory_of_many_lines_is_one_line_of_context(self) -> None:
        record = await self.memory.add(content="green\n\ntea\r\n- and milk", user_id=self.user)
        block = await self.memory.context("green tea", self.user)
        assert len(block.text.splitlines()) == 1
        assert [citation.memory_id for citation in block.citations] == [record.id]

    @requires("add", "context")
    async def test_a_memory_over_the_budget_is_quoted_in_part(self) -> None:
        answer = "The piano tuner comes on the last Friday."
        talk = "She asked when the piano tuner comes. " * 20
        record = await self.memory.add(content=f"{talk}{answer} {talk.strip()}", user_id=self.user)
        block = await self.memory.context("piano tuner, last Friday", self.user, token_budget=120)
        assert answer in block.text
        assert block.token_count <= 120
        [citation] = block.citations
        assert (citation.memory_id, citation.excerpt) == (record.id, True)
        assert block.omitted == []

    @requires("add", "context")
    async def test_context_tells_what_it_leaves_out(self) -> None:
        record = await self.memory.add(content="green tea", user_id=self.user)
        block = await self.memory.context("green tea", self.user, token_budget=1)
        assert (block.text, block.citations, block.token_count) == ("", [], 0)
        assert [(memory.memory_id, memory.reason) for memory in block.omitted] == [(record.id, "budget")]

    @requires("context")
    async def test_context_of_nothing(self) -> None:
        block = await self.memory.context("tea", self.user)
        assert (block.text, block.citations, block.token_count) == ("", [], 0)
