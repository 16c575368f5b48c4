"""What makes a memory rank higher than another, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from openmem import Memory

YEARS_AGO = "2023-05-08T12:00:00Z"


@pytest.fixture
def memory(url: str) -> Iterator[Memory]:
    with Memory(url=url, embedder="hashing") as memory:
        yield memory


@pytest.fixture
def user() -> str:
    return uuid4().hex


def ranked(memory: Memory, user: str, query: str) -> list[str]:
    return [hit.memory.content for hit in memory.search(query, user)]


@pytest.mark.parametrize("query", ["what happened in May 2023?", "the 8th of May", "2023-05-08 8 May"])
def test_a_query_that_names_a_date_finds_what_is_from_then(memory: Memory, user: str, query: str) -> None:
    memory.add(content="A quiet day at the lake", user_id=user, valid_from="2022-11-20T12:00:00Z")
    memory.add(content="A quiet day at the coast", user_id=user, valid_from=YEARS_AGO)
    memory.add(content="A quiet day at the farm", user_id=user, valid_from="2024-01-03T12:00:00Z")
    assert ranked(memory, user, query)[0] == "A quiet day at the coast"


def test_the_date_of_a_memory_is_where_it_was_said(memory: Memory, user: str) -> None:
    memory.add(content="first", user_id=user, valid_from="2023-05-09T23:30:00-02:00")
    memory.add(content="second", user_id=user, valid_from="2023-05-09T01:30:00+02:00")
    assert memory.search("9 May 2023", user, min_score=0.5)[0].score == memory.search("9 May 2023", user)[1].score


def test_the_speaker_counts_more_than_who_is_spoken_of(memory: Memory, user: str) -> None:
    memory.add(content="Priya: I saw that Maya paints landscapes", user_id=user, valid_from=YEARS_AGO)
    memory.add(content="Maya: I saw that Priya paints landscapes", user_id=user)
    memory.add(content="Tom: I saw the new bicycle", user_id=user, valid_from="2020-01-01T00:00:00Z")
    assert ranked(memory, user, "Who does Maya say paints?")[0].startswith("Maya:")
    assert ranked(memory, user, "Who does Priya say paints?")[0].startswith("Priya:")


def test_an_answer_counts_more_than_a_question(memory: Memory, user: str) -> None:
    memory.add(content="The concert was great?", user_id=user, valid_from=YEARS_AGO)
    memory.add(content="The concert was great.", user_id=user)
    assert ranked(memory, user, "concert") == ["The concert was great.", "The concert was great?"]


def test_signs_of_speakers_and_questions_are_no_words(memory: Memory, user: str) -> None:
    memory.add(content="http://example.org: tea?", user_id=user)
    memory.add(content=":::: ???? ::", user_id=user)
    memory.add(content="the: and?", user_id=user)
    assert ranked(memory, user, "tea")[0] == "http://example.org: tea?"
    assert all(hit.score <= 1 for hit in memory.search("? : the ?: tea:", user))


ANSWER = "It is Moustache, since the day we found him"


@pytest.fixture
def conversation(memory: Memory, user: str) -> str:
    """What answers a question about a cat, and some talk an hour and more later."""
    memory.add(content="Tom: What is the name of your cat?", user_id=user, scope="talk", valid_from=YEARS_AGO)
    memory.add(content=f"Maya: {ANSWER}", user_id=user, scope="talk", valid_from=YEARS_AGO)
    for content in (f"Maya: {ANSWER}", "Maya: The train was late"):
        memory.add(content=content, user_id=user, scope="talk", valid_from="2023-05-08T14:00:00Z")
    return user


def scores(memory: Memory, user: str, query: str, **options: str) -> dict[str, list[float]]:
    """The scores by content, the best first."""
    found: dict[str, list[float]] = {}
    for hit in memory.search(query, user, **options):  # type: ignore[arg-type]
        found.setdefault(hit.memory.content, []).append(hit.score)
    return found


def test_what_follows_on_a_good_answer_is_helped_by_it(memory: Memory, conversation: str) -> None:
    near, far = scores(memory, conversation, "the name of the cat, Moustache")[f"Maya: {ANSWER}"]
    assert near > far


def test_what_is_out_of_sight_helps_nobody(memory: Memory, conversation: str) -> None:
    """What is not searched, or does not hold any more, must not show in a score."""
    query = "the name of the cat, Moustache"
    answers = scores(memory, conversation, query)[f"Maya: {ANSWER}"]
    question = next(item for item in memory.list(conversation).items if item.content.startswith("Tom:"))
    memory.update(question.id, scope="secret")
    alone = scores(memory, conversation, query, scope="talk")[f"Maya: {ANSWER}"]
    assert max(alone) < max(answers)
    assert alone[0] == pytest.approx(alone[1])
    memory.update(question.id, scope="talk", valid_to="2023-05-08T13:00:00Z")
    assert scores(memory, conversation, query)[f"Maya: {ANSWER}"][0] == pytest.approx(alone[0], abs=0.02)


def test_fewer_results_are_the_first_of_more(memory: Memory, user: str) -> None:
    memory.add_many(
        [
            {"content": f"{who}: {what} number {number}", "user_id": user}
            for number in range(40)
            for who, what in (("Maya", "a quiet walk"), ("Tom", "a loud concert"), ("Priya", "a walk to the concert"))
        ]
    )
    found = [hit.memory.id for hit in memory.search("Maya's walk to the concert, number 7", user, limit=100)]
    assert len(found) == 100
    for limit in (1, 10, 29, 30, 31, 60):
        hits = memory.search("Maya's walk to the concert, number 7", user, limit=limit)
        assert [hit.memory.id for hit in hits] == found[:limit]


@pytest.mark.parametrize("limit", [10, 100])
def test_of_many_memories_with_the_same_words_the_best_are_found(
    url: str, memory: Memory, user: str, limit: int
) -> None:
    """Only the nearest of them are scored, unless a preference for new ones, here a very weak one, forbids it."""
    kinds = ("tea", "cello", "tea at the cello?", "Maya: tea")
    texts = [f"{kinds[number % len(kinds)]} {number} {number % 17}" for number in range(800)]
    memory.add_many([{"content": text, "user_id": user} for text in texts])

    def found(query: str, recency: float | None = None) -> dict[str, Any]:
        results = memory.search(query, user, limit=limit, recency=recency)
        return {result.memory.content: pytest.approx(result.score, abs=1e-6) for result in results}

    for number_of_stale in (0, 40):
        with psycopg.connect(url) as admin:
            admin.execute(
                "UPDATE openmem.memories SET embedding_model = 'another' WHERE user_id = %s AND ordinal %% 20 < %s",
                [user, number_of_stale // 20],
            )
        for query in ("tea", "a cello 5", "what did Maya say of the garden 5 7"):
            assert found(query) == found(query, recency=1e12)
