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
from openmem.analysis import words
from openmem.analysis.analyzer import Analyzer

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "benchmarks" / "data" / "facts"
EXCEPTIONS = {"evening", "internal", "international", "interval", "intervals"}
EXCEPTIONS |= {"organization", "organizations", "organized", "universal", "university", "added", "adding"}
"""Words that the stemmer of some version of PostgreSQL reads otherwise than today's Snowball."""

MARKED = (
    "Maya: I moved to Porto",
    "  Tom :\nwhere is it?",
    "the: and?",
    "well-known: tea",
    "a_b: tea",
    "http://example.org: tea?",
    "Maya:I moved",
    "Is it tea ? \n",
    "Is it tea? Yes.",
    "Zoë: où est le thé ?",
    "12: noon",
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
        word for word, stem in zip(found, stems(admin, found), strict=True) if set(words.lexemes(word)) != stem
    }
    assert different <= EXCEPTIONS


def test_sentences_have_the_same_words_in_the_same_order(admin: psycopg.Connection) -> None:
    texts = [
        str(value)
        for page in FACTS.glob("*.jsonl")
        for line in page.read_text("utf-8").splitlines()
        for name, value in json.loads(line).items()
        if name in ("content", "question") and not EXCEPTIONS & set(re.findall("[a-z]+", str(value).lower()))
    ]
    assert len(texts) > 120
    sql = "SELECT lexeme FROM unnest(to_tsvector('english', %s)) ORDER BY positions[1]"
    for text in texts:
        assert words.lexemes(text) == [lexeme for (lexeme,) in admin.execute(sql, (text,))], text


@pytest.mark.parametrize(
    "text",
    [
        "3.14 and -5, 1,000; 0.16.8 on 2023-05-08, the 8th, 1e5 or +7 of b2b",
        "don't forget Maya's or Maya\u2019s e-mail, it is well-known",
        "see https://example.org/a/b?c=d or www.example.org, mail me.too@example.org",
        "foo_bar __init__ C++ C# 50% $5 #tag @user 10:30 5pm 1/2 and/or src/openmem/ranking",
        "Caf\u00e9 Stra\u00dfe \u043f\u0440\u0438\u0432\u0435\u0442 \u65e5\u672c\u8a9e",
        "the and of it",
        "?!",
    ],
)
def test_what_is_no_plain_word_is_read_alike(admin: psycopg.Connection, text: str) -> None:
    assert set(words.lexemes(text)) == stems(admin, [text])[0]


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
