"""Migrations that were released stay as they are: databases were made by them."""

from __future__ import annotations

from hashlib import sha256

from openmem.providers.postgres.migrations import MIGRATIONS
from openmem.providers.postgres.retrieval import layout
from openmem.ranking.constants import EXACT_SCAN_LIMIT, MAX_QUERY_LEXEMES

RELEASED = [
    "d7250020c4c0a5f9932e44527eaa77c3f0fce285b5751df67e99f23f0eb01aa5",
    "f22e7eb7f3d8a1d195ec9a966f4ccc453324b91c46f7c210951b3babac974b9f",
]


def test_released_migrations_are_never_changed() -> None:
    """A change of the tables is a new migration, and a new line above."""
    assert [sha256(step.text().encode()).hexdigest() for step in MIGRATIONS] == RELEASED


def test_migrations_are_numbered_in_their_order() -> None:
    assert [step.version for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_what_queries_share_with_the_tables_is_what_the_migrations_say() -> None:
    first = MIGRATIONS[0].text()
    assert f"& ({layout.LEXEME_IDS} - 1)" in first
    assert f"}}/{layout.LEXEME_IDS}'" in first
    assert f"WHERE ordinal > {EXACT_SCAN_LIMIT};" in first


def test_names_of_schemas_are_put_in() -> None:
    for step in MIGRATIONS:
        script = step.script("mine", '"where it is"')
        assert "{schema}" not in script
        assert "{vector}" not in script
        assert "mine." in script


def test_a_mask_has_room_for_the_lexemes_that_count() -> None:
    assert layout.MASK_CHUNKS * layout.MASK_BITS - layout.FIRST_LEXEME_BIT == MAX_QUERY_LEXEMES
    assert layout.NO_BIT < 64
    assert layout.MASK_BITS < 24
