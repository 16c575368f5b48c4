"""Searching a user's memories."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from .. import cases
from ..contract import Contract, requires


class SearchContract(Contract):
    """`search`."""

    @requires("add", "search")
    async def test_search_shows_no_other_user(self) -> None:
        mine = await self.two_users()
        assert [hit.memory.id for hit in await self.memory.search("green tea", self.user)] == [mine.id]
        assert await self.memory.search("green tea", f"{self.user}%") == []

    @requires("add", "search")
    @pytest.mark.parametrize(
        ("query", "best"),
        [("dark mode editor", 0), ("sister Anna cats Lisbon", 1), ("allergic to peanuts", 3), ("play the cello", 4)],
    )
    async def test_search_ranks_the_obvious_first(self, query: str, best: int) -> None:
        texts = await self.add_corpus()
        hits = await self.memory.search(query, self.user)
        assert texts[hits[0].memory.id] == cases.CORPUS[best]
        assert hits[0].memory.content == cases.CORPUS[best]
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert all(0.0 <= score <= 1.0 for score in scores)
        assert len({hit.memory.id for hit in hits}) == len(hits)

    @requires("add", "search", "keyword_search")
    @pytest.mark.parametrize("query", ["8421377", "zwischenzug", "What do we know of Zwischenzug?", "invoice 8421377"])
    async def test_a_rare_word_or_number_is_found(self, query: str) -> None:
        texts = await self.add_corpus()
        hits = await self.memory.search(query, self.user)
        assert texts[hits[0].memory.id] == cases.CORPUS[5]

    @requires("add", "search", "keyword_search")
    async def test_the_last_words_of_a_long_message_count(self) -> None:
        texts = await self.add_corpus()
        chatter = (
            "Good evening again, this morning felt endless because trains were late, rain came through an old roof, "
            "neighbours argued about parking, and lunch was nothing but cold soup with bread; anyway, before bedtime, "
            "please remind me about that zwischenzug"
        )
        hits = await self.memory.search(chatter, self.user)
        assert texts[hits[0].memory.id] == cases.CORPUS[5]

    @requires("add", "search", "context", "keyword_search")
    @pytest.mark.parametrize("number", [1, 20, 29, 61, 99])
    async def test_a_word_counts_wherever_it_stands_in_a_long_query(self, number: int) -> None:
        texts = await self.add_corpus()
        words = [f"{first}{second}q" for first in "bcdfghklmn" for second in "aeiouyjvwx"]
        query = " ".join([*words[:number], "zwischenzug", *words[number:]])
        hits = await self.memory.search(query, self.user)
        assert texts[hits[0].memory.id] == cases.CORPUS[5]
        block = await self.memory.context(query, self.user)
        assert block.citations[0].memory_id == hits[0].memory.id

    @requires("add", "search", "keyword_search")
    async def test_what_a_message_asks_counts_more_than_what_surrounds_it(self) -> None:
        texts = await self.add_corpus()
        message = (
            "My sister Anna came by and brought her three cats. How are you? What was paid through the account of "
            "invoice 8421377? Thanks! On Monday a quarterly report is due, and I play the cello every weekend."
        )
        hits = await self.memory.search(message, self.user)
        assert texts[hits[0].memory.id] == cases.CORPUS[5]

    @requires("add", "search")
    async def test_limit_and_min_score_cut_the_same_ranking(self) -> None:
        await self.add_corpus()
        everything = await self.memory.search("the user and her sister", self.user, limit=100)
        assert len(everything) >= 2
        for limit in (1, 2):
            assert await self.memory.search("the user and her sister", self.user, limit=limit) == everything[:limit]
        for bound in {0.0, everything[0].score, everything[-1].score, 1.0}:
            hits = await self.memory.search("the user and her sister", self.user, limit=100, min_score=bound)
            assert hits == [hit for hit in everything if hit.score >= bound]

    @requires("search")
    async def test_search_of_nothing(self) -> None:
        assert await self.memory.search("tea", self.user) == []

    @requires("add", "search", "update")
    async def test_search_follows_an_update(self) -> None:
        texts = await self.add_corpus()
        changed = next(id for id, content in texts.items() if content == cases.CORPUS[3])
        await self.memory.update(changed, content="Collects antique typewriters")
        hits = await self.memory.search("antique typewriters", self.user)
        assert hits[0].memory.id == changed
        hits = await self.memory.search("allergic to peanuts", self.user)
        assert all("peanuts" not in hit.memory.content for hit in hits)

    @requires("add", "search")
    @pytest.mark.parametrize("query", cases.QUERIES.values(), ids=cases.QUERIES)
    async def test_any_query_gets_sound_scores(self, query: str) -> None:
        await self.add_corpus()
        hits = await self.memory.search(query, self.user, limit=100)
        assert all(0.0 <= hit.score <= 1.0 for hit in hits)

    @requires("add", "search", "explanations", "scores")
    async def test_an_explanation_adds_up_to_the_score(self) -> None:
        await self.add_corpus()
        query = "Which sister of mine has cats?"
        plain = await self.memory.search(query, self.user)
        hits = await self.memory.search(query, self.user, explain=True)
        assert [hit.memory for hit in hits] == [hit.memory for hit in plain]
        assert all(hit.explanation is None and not hit.model_extra for hit in plain)
        for hit, same in zip(hits, plain, strict=True):
            explained = hit.explanation
            assert explained is not None
            parts = explained.meaning + explained.words + explained.dates + explained.neighbor
            assert parts == pytest.approx(hit.score)
            assert explained.score == hit.score
            assert hit.score == pytest.approx(same.score, abs=1e-6)
            assert sum(term.weight for term in explained.terms) == pytest.approx(1)
            assert sum(term.found for term in explained.terms) == pytest.approx(explained.coverage)
        best = hits[0].explanation
        assert best is not None
        found = {term.text for term in best.terms if term.found}
        assert {"sister", "cats"} <= found
        assert (hits[0].model_extra or {})["x-openmem"]["explanation"]["score"] == hits[0].score

    @requires("add", "search", "explanations", "scores", "temporal")
    async def test_an_explanation_names_the_memory_that_stands_beside(self) -> None:
        minutes = [datetime(2024, 5, 1, 12, minute, tzinfo=UTC) for minute in range(3)]
        said = ["Which instrument do you play now?", "The cello, for a year", "It rains a lot in Leeds"]
        ids = [
            (await self.memory.add(content=content, user_id=self.user, valid_from=moment)).id
            for content, moment in zip(said, minutes, strict=True)
        ]
        hits = await self.memory.search("Which instrument?", self.user, explain=True)
        explained = {hit.memory.id: hit.explanation for hit in hits}
        answer = explained[ids[1]]
        assert answer is not None
        if answer.neighbor:
            assert answer.neighbor_id == ids[0]
        assert {one.neighbor_id for one in explained.values() if one is not None} <= {*ids, None}
