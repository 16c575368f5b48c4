"""From ranked memories to cited text."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmem.context import build_context
from openmem.models import ContextBlock, MemoryRecord, SearchResult
from openmem.tokens import estimate_tokens


def hits(*contents: str) -> list[SearchResult]:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        SearchResult(
            memory=MemoryRecord(id=f"mem_{number}", content=content, user_id="u", created_at=moment),
            score=1 / (number + 1),
        )
        for number, content in enumerate(contents)
    ]


def words(text: str) -> int:
    return len(text.split())


def test_one_cited_line_each() -> None:
    block = build_context(hits("likes tea", "plays the cello"), "q", 100, words)
    assert block.text == "- likes tea [mem_0]\n- plays the cello [mem_1]"
    assert [(citation.memory_id, citation.score) for citation in block.citations] == [("mem_0", 1.0), ("mem_1", 0.5)]
    assert block.token_count == words(block.text) == 9


def test_what_does_not_fit_is_passed_over() -> None:
    block = build_context(hits("a b", "a very long memory of many words", "c"), "q", 7, words)
    assert block.text == "- a b [mem_0]\n- c [mem_2]"
    assert block.token_count == 7


@pytest.mark.parametrize("token_budget", range(1, 12))
def test_the_budget_holds(token_budget: int) -> None:
    block = build_context(hits("a", "b c", "d e f"), "q", token_budget, words)
    assert block.token_count == words(block.text) <= token_budget


def test_white_space_is_folded_into_one_line() -> None:
    assert build_context(hits(" a\n\tb \u2028 c "), "q", 100, words).text == "- a b c [mem_0]"


def test_the_same_text_is_quoted_once() -> None:
    block = build_context(hits("Likes  tea", "likes tea", "likes milk"), "q", 100, words)
    assert [citation.memory_id for citation in block.citations] == ["mem_0", "mem_2"]


def test_nothing() -> None:
    block = build_context([], "q", 100, words)
    assert (block.text, block.citations, block.token_count) == ("", [], 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The user prefers dark mode.", "user prefers the dark mode"),
        ("Maya\u2019s dog is Rex", "Maya's dog: Rex!"),
        ('likes "tea"', "Likes tea"),
        ("喜欢绿茶", "喜欢绿茶"),
    ],
)
def test_of_those_that_say_the_same_the_best_is_quoted(one: str, other: str) -> None:
    for contents in ((one, other), (other, one)):
        block = build_context(hits(*contents), "q", 100, words)
        assert [citation.memory_id for citation in block.citations] == ["mem_0"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the budget is 500", "the budget is 600"),
        ("it was -5 degrees", "it was 5 degrees"),
        ("knows C++", "knows C#"),
        ("likes tea", "likes tea?"),
        ("likes tea", "does not like tea"),
        ("likes tea", "likes tea and milk"),
        ("allergic to nuts", "her sister is allergic to nuts"),
        ("Anna is older than Bob", "Bob is older than Anna"),
        ("flies to Rome", "flies from Rome"),
        ("कल", "काल"),
        ("the", "a"),
    ],
)
def test_those_that_differ_are_both_quoted(one: str, other: str) -> None:
    block = build_context(hits(one, other), "q", 100, words)
    assert len(block.citations) == 2


def test_a_line_costs_what_it_costs_where_it_stands() -> None:
    def joins_brackets(text: str) -> int:
        """Like most tokenizers, with the bracket and the line break after it as one token."""
        return len(text.replace("]\n", "]").replace("[", "").split("]")) - 1 + words(text)

    each = joins_brackets("- a [mem_0]")
    assert len(build_context(hits("a", "b", "c"), "q", 3 * each, joins_brackets).citations) == 3
    assert len(build_context(hits("a", "b", "c"), "q", 3 * each - 1, joins_brackets).citations) == 2


def test_a_counter_that_finds_more_in_the_whole() -> None:
    block = build_context(hits("a", "b", "c", "d"), "q", 60, lambda text: len(text.splitlines()) ** 2 * 10)
    assert block.token_count <= 60
    assert [citation.memory_id for citation in block.citations] == ["mem_0", "mem_1"]


@pytest.mark.parametrize("token_budget", range(40, 60))
def test_an_excerpt_that_fills_the_budget_is_not_lost_to_rounding(token_budget: int) -> None:
    long = ("alpha tea " * 200, "beta tea " * 200)
    block = build_context(hits(*long), "tea", token_budget, lambda text: -(-len(text) // 4))
    assert [citation.memory_id for citation in block.citations] == ["mem_0", "mem_1"]
    assert token_budget - 3 <= block.token_count <= token_budget


def test_nothing_is_counted_once_no_memory_can_fit() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return words(text)

    build_context(hits(*(f"memory number {number}" for number in range(100))), "q", 11, count)
    assert len(counted) < 20


def omitted(block: ContextBlock) -> list[tuple[str, str]]:
    return [(memory.memory_id, memory.reason) for memory in block.omitted]


def test_what_is_passed_over_is_told() -> None:
    block = build_context(hits("a b", "c d e f g h i", "A, b.", "k", "l"), "q", 9, words)
    assert [citation.memory_id for citation in block.citations] == ["mem_0", "mem_3"]
    assert omitted(block) == [("mem_1", "budget"), ("mem_2", "duplicate"), ("mem_4", "budget")]


def test_what_a_counter_finds_too_much_in_the_whole_is_told() -> None:
    block = build_context(hits("a", "b", "c"), "q", 60, lambda text: len(text.splitlines()) ** 2 * 10)
    assert omitted(block) == [("mem_2", "budget")]


def test_nothing_fits() -> None:
    block = build_context(hits("likes tea"), "tea", 1, words)
    assert (block.text, block.citations, omitted(block)) == ("", [], [("mem_0", "budget")])


FILLER = "The meeting went on about budgets. Somebody asked for water! Was the window open? It was not."
ANSWERED = f"{' '.join([FILLER] * 40)} The piano tuner comes on the last Friday. {' '.join([FILLER] * 40)}"


def test_a_memory_over_the_budget_is_quoted_around_the_answer() -> None:
    block = build_context(hits(ANSWERED, "likes tea"), "When does the piano tuner come?", 100, words)
    [excerpt, whole] = block.citations
    assert (excerpt.memory_id, excerpt.excerpt) == ("mem_0", True)
    assert (whole.memory_id, whole.excerpt) == ("mem_1", False)
    line = block.text.splitlines()[0]
    assert "The piano tuner comes on the last Friday." in line
    assert line.startswith("- …")
    assert line.endswith("… [mem_0]")
    assert 25 < block.token_count == words(block.text) <= 100
    assert block.omitted == []


def test_an_excerpt_is_of_whole_sentences_or_words() -> None:
    for budget in range(8, 200, 7):
        text = build_context(hits(ANSWERED), "the piano tuner", budget, words).text
        quoted = text.removeprefix("- ").removesuffix(" [mem_0]").strip("…")
        assert quoted in ANSWERED
        assert f" {quoted} " in ANSWERED
        if budget > 60:
            assert quoted[0] in "TSWI"
            assert quoted[-1] in ".!?"


def test_the_ends_that_were_cut_are_marked() -> None:
    long = " ".join(f"word{number}" for number in range(100))
    for query, begin, end in (("word0 word1", "", "…"), ("word98 word99", "…", ""), ("word50", "…", "…")):
        text = build_context(hits(long), query, 20, words).text
        quoted = text.removeprefix("- ").removesuffix(" [mem_0]")
        assert (quoted[0] == "…", quoted[-1] == "…") == (begin != "", end != "")
        assert set(query.split()) <= set(quoted.strip("…").split())


def test_the_only_long_memory_may_fill_the_budget_and_one_of_many_the_half() -> None:
    alone = build_context(hits(ANSWERED), "piano tuner", 200, words)
    first = build_context(hits(ANSWERED, "likes tea", "plays the cello"), "piano tuner", 200, words)
    assert alone.token_count > 150
    assert len(first.citations) == 3
    assert words(first.text.splitlines()[0]) <= 100


@pytest.mark.parametrize(
    ("filler", "answer", "query"),
    [
        ("我们今天开会讨论了预算和天气。", "钢琴调音师最后一个星期五来。", "钢琴调音师什么时候来"),
        ("きょうは会議で予算について話しました。", "ピアノの調律師は最後の金曜日に来ます。", "調律師はいつ来ますか"),
        ("วันนี้เราประชุมเรื่องงบประมาณและอากาศ", "ช่างตั้งเปียโนมาวันศุกร์สุดท้าย", "ช่างตั้งเปียโนมาวันไหน"),
        ("Сегодня говорили про погоду. ", "Настройщик рояля приходит в пятницу. ", "Когда приходит настройщик?"),
        ("تحدثنا اليوم عن الطقس. ", "يأتي ضابط البيانو يوم الجمعة. ", "متى يأتي ضابط البيانو؟"),
        ("आज हमने मौसम की बात की। ", "पियानो ठीक करने वाला शुक्रवार को आता है। ", "पियानो वाला कब आता है?"),
    ],
)
def test_languages_have_usable_excerpts(filler: str, answer: str, query: str) -> None:
    block = build_context(hits(filler * 60 + answer + filler * 60), query, 200, len)
    assert answer.strip() in block.text
    assert block.token_count == len(block.text) <= 200


def test_what_has_no_word_of_the_query_is_quoted_from_its_beginning() -> None:
    block = build_context(hits(ANSWERED), "xylophone", 30, words)
    assert block.text.startswith("- The meeting went on about budgets.")
    assert block.text.endswith("… [mem_0]")


def test_a_letter_is_not_parted_from_its_marks() -> None:
    text = "👩‍👩‍👧e\u0301👍🏽" * 200
    for budget in range(30, 60):
        quoted = build_context(hits(text), "q", budget, len).text.removeprefix("- ").removesuffix("… [mem_0]")
        assert any(quoted.endswith(whole) for whole in ("👩‍👩‍👧", "e\u0301", "👍🏽"))


@pytest.mark.parametrize("piece", ["!", "?.", "x\u200d", "\u0301", "! ) ", "\u3002", "."])
def test_marks_in_a_row_take_no_longer_than_words(piece: str) -> None:
    started = time.process_time()
    build_context(hits((piece * 65_536)[:65_536]), "q", 15_000, lambda text: -(-len(text) // 4))
    assert time.process_time() - started < 1.0


COUNTERS: dict[str, Callable[[str], int]] = {
    "words": words,
    "characters": len,
    "bytes": lambda text: len(text.encode()),
    "estimate": estimate_tokens,
    "lines squared": lambda text: len(text.splitlines()) ** 2 * 10,
    "more in the whole": lambda text: int(len(text) ** 1.2),
    "in steps": lambda text: -(-len(text) // 50) * 7,
    "uneven": lambda text: sum(len(word) * (number % 3) for number, word in enumerate(text.split())),
}
PIECES = st.sampled_from(
    ["tea ", "The tuner. ", "x" * 50, "调音师星期五来。", "…", "\u0301", "🙂", "? ", "piano tuner ", FILLER]
)


@settings(max_examples=150)
@given(
    contents=st.lists(st.lists(PIECES, min_size=1, max_size=30).map("".join), max_size=6),
    query=st.sampled_from(["piano tuner", "调音师", "?", "x"]),
    token_budget=st.integers(1, 400),
    counter=st.sampled_from(sorted(COUNTERS)),
)
def test_no_counter_is_ever_exceeded(contents: list[str], query: str, token_budget: int, counter: str) -> None:
    count = COUNTERS[counter]
    results = hits(*contents)
    block = build_context(results, query, token_budget, count)
    assert block.token_count == (count(block.text) if block.text else 0)
    assert block.token_count <= token_budget
    lines = block.text.splitlines()
    assert len(lines) == len(block.citations)
    folded = {result.memory.id: " ".join(result.memory.content.split()) for result in results}
    for line, citation in zip(lines, block.citations, strict=True):
        quoted = line.removeprefix("- ").removesuffix(f" [{citation.memory_id}]")
        if citation.excerpt:
            assert len(quoted) < len(folded[citation.memory_id]) + 2
            assert quoted.removeprefix("…").removesuffix("…") in folded[citation.memory_id]
            assert quoted[0] == "…" or quoted[-1] == "…"
        else:
            assert quoted == folded[citation.memory_id]
    told = [citation.memory_id for citation in block.citations] + [memory.memory_id for memory in block.omitted]
    assert sorted(told) == sorted(folded)


def test_long_memories_are_not_read_to_their_end_to_be_passed_over() -> None:
    """What is counted in all is a few times what the budget takes, not the megabytes that were found."""
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return words(text)

    long = [f"{number} {ANSWERED * 8}"[:65_536] for number in range(100)]
    block = build_context(hits(*long), "When does the piano tuner come?", 500, count)
    assert block.citations[0].excerpt
    assert "last Friday" in block.text
    assert len(block.citations) + len(block.omitted) == 100
    assert counted < 100 * 65_536 / 2


def test_fields_that_an_older_server_does_not_send() -> None:
    block = ContextBlock.model_validate(
        {"text": "- tea [m]", "citations": [{"memory_id": "m", "score": 0.5}], "token_count": 3}
    )
    assert block.omitted == []
    assert block.citations[0].excerpt is False
