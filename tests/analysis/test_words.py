"""The words of texts, against PostgreSQL's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from openmem import Memory
from openmem.analysis import names
from openmem.analysis.analyzer import Analyzer
from openmem.analysis.irregular import regular
from openmem.analysis.words import memory_lexemes, query_words

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "benchmarks" / "data" / "facts"
EXCEPTIONS = {"evening", "internal", "international", "interval", "intervals"}
EXCEPTIONS |= {"organization", "organizations", "organized", "universal", "university", "added", "adding"}
"""Words that the stemmer of some version of PostgreSQL reads otherwise than today's Snowball."""

MARKED = (
    "Maya: I moved to Porto",
    "  Tom :\nwhere is it?",
    "http://example.org: tea?",
    "Maya:I moved",
    "Is it tea ? \n",
    "Is it tea? Yes.",
)


@pytest.fixture(scope="module")
def admin(url: str) -> Iterator[psycopg.Connection]:
    with Memory(url=url, embedder="hashing") as memory, psycopg.connect(url, autocommit=True) as admin:
        memory.list("nobody")
        yield admin


def stems(admin: psycopg.Connection, texts: list[str]) -> list[set[str]]:
    sql = (
        "SELECT tsvector_to_array(to_tsvector('english', t)) "
        "FROM unnest(%s::text[]) WITH ORDINALITY u (t, n) ORDER BY n"
    )
    return [set(found) for (found,) in admin.execute(sql, (texts,))]


def test_thousands_of_words_have_the_same_stems(admin: psycopg.Connection) -> None:
    pages = [*FACTS.glob("*.jsonl"), *(ROOT / "docs").glob("*.md"), ROOT / "src/openmem/common_words.txt"]
    found = sorted({word for page in pages for word in re.findall("[a-z]+", page.read_text("utf-8").lower())})
    assert len(found) > 4000
    different = {
        word for word, stem in zip(found, stems(admin, found), strict=True) if memory_lexemes(word, "en") != stem
    }
    assert {word for word in different if regular(word) == word} <= EXCEPTIONS


def test_sentences_of_plain_words_have_the_same_words_in_the_same_order(admin: psycopg.Connection) -> None:
    texts = [
        str(value)
        for page in FACTS.glob("*.jsonl")
        for line in page.read_text("utf-8").splitlines()
        for name, value in json.loads(line).items()
        if name in ("content", "question")
        and all(word not in EXCEPTIONS and regular(word) == word for word in re.findall("[a-z]+", str(value).lower()))
    ]
    plain = [text for text in texts if re.fullmatch(r"(?:(?:[A-Z]?[a-z]+|[0-9]+|[A-Z])(?:, |: | |[.?!]+\Z|\Z))+", text)]
    assert len(plain) > 80
    sql = "SELECT lexeme FROM unnest(to_tsvector('english', %s)) ORDER BY positions[1]"
    for text in plain:
        expected = [lexeme for (lexeme,) in admin.execute(sql, (text,))]
        found = {lexeme for lexeme in memory_lexemes(text, "en") if not lexeme.startswith(names.MARK)}
        assert found == set(expected), text
        words = [word.alternatives[0] for word in query_words(text, "en")]
        assert list(dict.fromkeys(one for one in words if not one.startswith(names.MARK))) == expected, text
        assert memory_lexemes(text) >= set(expected), text


@pytest.mark.parametrize(
    "text",
    [
        "3.14 and 5, the 8th or 7 of b2b",
        "don't forget Maya's or Maya\u2019s e-mail, it is well-known",
        "mail me.too@example.org",
        "foo_bar __init__ 50% $5 #tag @user 10:30 5pm 1/2 and/or",
        "tea \u043f\u0440\u0438\u0432\u0435\u0442",
        "the and of it",
        "?!",
    ],
)
def test_a_query_has_what_rows_of_older_stores_have(admin: psycopg.Connection, text: str) -> None:
    [stored] = stems(admin, [text])
    found = {lexeme for word in query_words(text) for lexeme in word.alternatives} | memory_lexemes(text)
    assert stored <= found


@pytest.mark.parametrize("month", range(1, 13))
def test_a_date_finds_the_words_that_sql_gives_to_one(admin: psycopg.Connection, month: int) -> None:
    moment = datetime(2024, month, 2 * month, 12, tzinfo=UTC)
    [(found,)] = admin.execute("SELECT openmem.words('', %s)", (moment,))
    asked = Analyzer().query(f"{moment:%Y-%m-%d}", moment)
    assert set(found) <= {lexeme for word in asked for lexeme in word.alternatives}


@pytest.mark.parametrize("content", MARKED)
def test_speakers_and_questions_are_seen_alike(admin: psycopg.Connection, content: str) -> None:
    moment = datetime(2024, 5, 8, tzinfo=UTC)
    terms = Analyzer().memory(content, moment)
    marks = [f"{speaker}:" for speaker in terms.speakers] + ["?"] * terms.is_question
    [(stored, expected)] = admin.execute(
        "SELECT openmem.terms(%(content)s, %(at)s)::text, ARRAY(SELECT openmem.term_number(term) "
        "FROM unnest(openmem.words(%(content)s, %(at)s) || %(marks)s::text[]) term)",
        {"content": content, "at": moment, "marks": marks},
    )
    assert {int(number) for number in re.findall(r"(\d+):", stored)} == set(expected)
