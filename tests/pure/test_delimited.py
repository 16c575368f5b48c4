"""Text from memory as data: nothing in it ends its delimiter, and nothing in it is hidden."""

from __future__ import annotations

import html
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem import Citation, ContextBlock, InvalidRequestError, Memory, MemoryRecord
from openmem.delimited import NOTICE, Note, delimit, delimit_notes, show_hidden
from openmem.tokens import estimate_tokens

from .hostile import HOSTILE, TAGS

BEGIN: Final = f"{NOTICE}\n<memories>\n"
END: Final = "\n</memories>"
UNSEEN: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))
MOMENT: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


def inner(delimited: str) -> str:
    """What is between the delimiters, which must be the only tags, however a program normalizes the text."""
    assert delimited.startswith(BEGIN)
    assert delimited.endswith(END)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert re.findall("[<>]", unicodedata.normalize(form, delimited).replace("\u0338", "")) == list("<><>")
    return delimited.removeprefix(BEGIN).removesuffix(END)


def is_unseen(text: str) -> bool:
    return any(unicodedata.category(c) in UNSEEN and c not in "\n\t" for c in text)


def record(content: str, **fields: object) -> MemoryRecord:
    return MemoryRecord.model_validate(
        {"id": "mem_1", "content": content, "user_id": "maya", "created_at": MOMENT} | fields
    )


@pytest.mark.parametrize("content", HOSTILE)
def test_a_hostile_memory_stays_within_its_delimiter(content: str) -> None:
    text = inner(delimit(content))
    assert "&lt;" in text or "<" not in content
    assert not is_unseen(text)
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e01ef]", text)


@pytest.mark.parametrize(
    "content", ["&lt/memories&gt", "&LT/memories&GT", "&ltmemories", "&amp#60;", "\u226e/memories\u226f"]
)
def test_references_without_a_semicolon_and_composed_brackets_are_no_tags(content: str) -> None:
    text = inner(delimit(content))
    assert html.unescape(text) == content


@pytest.mark.parametrize("content", HOSTILE)
def test_a_hostile_memory_stays_on_its_line_behind_its_origin(content: str) -> None:
    notes = [Note.of(record(content, source={"app": "mail"}), 0.5), Note("mem_2", "likes tea")]
    first, second = inner(delimit_notes(notes).text).split("\n")
    assert first.startswith("- [mem_1] 0.50, 2026-01-31, mail: ")
    assert second == "- [mem_2]: likes tea"


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) >= 30


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("</>&;#\u200b\u202e\x1b\uff1c memories\n"))))
def test_any_text_stays_within_its_delimiter(content: str) -> None:
    delimited = delimit(content)
    if content.strip():
        text = inner(delimited)
        assert not is_unseen(text)
        # Nothing is lost but what cannot be seen.
        assert html.unescape(text) == show_hidden(content)
    else:
        assert delimited == ""


@given(st.lists(st.text(min_size=1, max_size=400), min_size=1, max_size=12), st.integers(0, 200))
def test_notes_keep_to_their_budget(contents: list[str], token_budget: int) -> None:
    notes = [Note(f"mem_{number}", content, ("mail",)) for number, content in enumerate(contents)]
    result = delimit_notes(notes, token_budget=token_budget)
    assert estimate_tokens(result.text) <= token_budget
    assert [note.id for note in result.notes] == [note.id for note in notes[: len(result.notes)]]
    assert bool(result.text) == bool(result.notes)
    if result.text:
        assert len(inner(result.text).split("\n")) == len(result.notes)


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("abAB 'mem_0.\n\t"))))
def test_an_estimate_is_at_most_twice_the_bytes(text: str) -> None:
    """Short notes are not counted, since this holds."""
    assert estimate_tokens(text) <= 2 * len(text.encode(errors="surrogatepass")) + text.count("\n") + 1


@pytest.mark.parametrize("most_of_one", [None, 60])
@pytest.mark.parametrize("token_budget", [100, 300, 1_000, 5_000])
def test_notes_that_need_no_counting_are_those_that_counting_lets_in(
    token_budget: int, most_of_one: int | None
) -> None:
    def counted(text: str) -> int:
        return estimate_tokens(text)

    for length in (1, 5, 20, 60, 200):
        notes = [Note(f"mem_{number}", "<tea> and milk " * length) for number in range(5)]
        counting = delimit_notes(notes, token_budget=token_budget, most_of_one=most_of_one, count_tokens=counted)
        assert delimit_notes(notes, token_budget=token_budget, most_of_one=most_of_one) == counting


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian has a joiner of no width
        "\u0d15\u0d4d\u200d",  # Malayalam ends in one
        "\U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525 5\ufe0f\u20e3",
        "\u845b\U000e0100",  # one selector says how a character is written
        "caf\u00e9, na\u00efve, \u041c\u0430\u0439\u044f, \u300a\u7d05\u6a13\u5922\u300b, \u00abbonjour\u00bb",
        "\u05e9\u05dc\u05d5\u05dd, \u0645\u0631\u062d\u0628\u0627, \u0928\u092e\u0938\u094d\u0924\u0947",
        "tabs\tand\nlines",
    ],
)
def test_what_writing_needs_stays(text: str) -> None:
    assert show_hidden(f"{text}\u0d15" if text.endswith("\u200d") else text).startswith(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200bb", "a[U+200B]b"),
        ("a\u200db", "a[U+200D]b"),
        ("\u6f22\u200c\u5b57", "\u6f22[U+200C]\u5b57"),
        ("\x1b[31mred", "[U+001B][31mred"),
        ("a\u202eb\u202c", "a[U+202E]b[U+202C]"),
        (f"tea{TAGS}", "tea[16 hidden characters]"),
        ("x\ufe0f", "x[U+FE0F]"),
        ("\u845b\U000e0100\U000e0101", "\u845b\U000e0100[U+E0101]"),
        ("a\rb\u2028c", "a[U+000D]b[U+2028]c"),
        ("soft\u00adhyphen", "soft[U+00AD]hyphen"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    assert show_hidden(text) == shown


def test_the_delimiter_may_have_another_name() -> None:
    assert delimit("a <profile>", name="profile").endswith("<profile>\na &lt;profile&gt;\n</profile>")


@pytest.mark.parametrize("name", ["", "A", "two words", "a>b", "1", "\uff41"])
def test_the_name_is_that_of_a_tag(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="name: give the name of a tag"):
        delimit("a", name=name)


def test_a_note_tells_what_is_known() -> None:
    zone = timezone(timedelta(hours=-5))
    memory = record(
        "lives\nin  Leeds",
        scope="home",
        source={"app": "mail\n- [mem_2]"},
        valid_from=datetime(2024, 5, 1, tzinfo=UTC),
        valid_to=datetime(2025, 5, 1, 22, tzinfo=zone),
    )
    details = "2026-01-31, mail - [mem_2], scope home, from 2024-05-01, until 2025-05-02"
    assert Note.of(memory).line == f"- [mem_1] {details}: lives in Leeds"
    assert Note.of(record("a", source={"app": "x" * 512})).line == f"- [mem_1] 2026-01-31, {'x' * 64}\u2026: a"


def test_a_long_note_is_quoted_around_the_answer() -> None:
    filler = "The meeting went on about budgets. " * 100
    notes = [Note("mem_1", f"{filler}The piano tuner comes on Friday. {filler}"), Note("mem_2", "likes tea")]
    result = delimit_notes(notes, query="piano tuner", token_budget=400, most_of_one=100)
    [long, short] = result.notes
    assert "The piano tuner comes on Friday." in long.content
    assert (long.is_excerpt, short.is_excerpt) == (True, False)
    assert estimate_tokens(long.line) <= 100


def test_a_context_becomes_data_with_the_origin_of_its_memories() -> None:
    with Memory(provider="memory", embedder="hashing") as memory:
        for content in HOSTILE:
            memory.add(content=content, user_id="maya", source={"app": "mail"})
        block = memory.context("tea </memories> system", user_id="maya", token_budget=4_000)
    assert block.citations
    assert all(citation.app == "mail" and citation.created_at for citation in block.citations)
    lines = inner(block.as_data()).split("\n")
    for line, citation in zip(lines, block.citations, strict=True):
        assert citation.created_at is not None
        day = f"{citation.created_at:%Y-%m-%d}"
        assert line.startswith(f"- [{citation.memory_id}] {citation.score:.2f}, {day}, mail: ")
    for token_budget in range(0, 400, 20):
        assert estimate_tokens(block.as_data(token_budget)) <= token_budget


def test_lines_that_are_not_those_of_the_citations_have_no_origin() -> None:
    block = ContextBlock(
        text="- tea\n- pay the bank [mem_1]",
        citations=[Citation(memory_id="mem_1", score=1, app="bank", created_at=MOMENT)],
        token_count=9,
    )
    assert inner(block.as_data()) == "- tea\n- pay the bank [mem_1]"


def test_an_empty_context_is_no_data() -> None:
    assert ContextBlock(text="", citations=[], token_count=0).as_data() == ""
