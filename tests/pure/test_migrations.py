"""Migrations that were released stay as they are: databases were made by them."""

from __future__ import annotations

import re
from hashlib import sha256

from openmem.analysis import MAX_SPEAKERS
from openmem.providers.postgres.migrations import MIGRATIONS
from openmem.providers.postgres.retrieval import layout
from openmem.ranking.constants import EXACT_SCAN_LIMIT, MAX_ALTERNATIVES, MAX_QUERY_LEXEMES

RELEASED = [
    "d7250020c4c0a5f9932e44527eaa77c3f0fce285b5751df67e99f23f0eb01aa5",
    "f22e7eb7f3d8a1d195ec9a966f4ccc453324b91c46f7c210951b3babac974b9f",
    "6dc825c94e1d9463e8a84c80173163d48abeda8626f1eb28e941b1bbc8290eec",
    "ecdcc8c8c5a8d20610a7cd9f85f7f6407233f7617fa44bfcb1aff1f43daf90b4",
    "725031b99aca70cfcefa0f7bc263e0ad477719ae614a9613f1ffbf8df1878654",
    "86688175a36de4c841f9e393590b89677ec2bfe6b6763727cce781bfb9518c91",
    "8c7ee9142f6e4086260f16b1bc35963081277d3726a242bcfaf44596fd00ef87",
    "14c2dacc46f3233857ebad0ddf2b0459e12dec2f2e50973a5a6a7e0e705891c4",
    "af56335073155eeddc6e73ac3958c0e2df23cc6b42487c4b1cab84ed582c474f",
    "3b8156b89642457ac773b2cffd0b1a06eba56a37ec8fe0fa082ff637cebded89",
    "446d2cd935919f2ed3b96a0a886ddf37961c2c7a0c5d25b9b98d404153ccd51f",
]


def test_released_migrations_are_never_changed() -> None:
    """A change of the tables is a new migration, and a new line above."""
    assert [sha256(step.text().encode()).hexdigest() for step in MIGRATIONS] == RELEASED


def test_migrations_are_numbered_in_their_order() -> None:
    assert [step.version for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_what_queries_share_with_the_tables_is_what_the_migrations_say() -> None:
    first, index = MIGRATIONS[0].text(), MIGRATIONS[3].text()
    assert f"& ({layout.LEXEME_IDS} - 1)" in first
    assert f"}}/{layout.LEXEME_IDS}'" in first
    assert f"WHERE ordinal > {EXACT_SCAN_LIMIT};" in index


def test_names_of_schemas_are_put_in() -> None:
    for step in MIGRATIONS:
        for concurrently in (True, False):
            script = step.script("mine", '"where it is"', concurrently=concurrently)
            assert "mine." in script
            assert not re.search(r"\{(schema|vector|concurrently)\}", script)
            assert ("CONCURRENTLY" in script) == (concurrently and not step.is_transactional)


def test_a_mask_has_room_for_the_lexemes_that_count() -> None:
    assert layout.NO_BIT - layout.FIRST_LEXEME_BIT == MAX_QUERY_LEXEMES
    assert layout.NO_BIT <= layout.MASK_CHUNKS * layout.MASK_BITS
    assert layout.NO_BIT < 64
    assert layout.MASK_BITS <= 24


def test_a_word_fits_in_a_chunk_of_a_mask() -> None:
    assert MAX_ALTERNATIVES <= layout.MASK_BITS - layout.FIRST_LEXEME_BIT


def test_the_names_of_a_speaker_are_counted() -> None:
    assert 2**layout.SPEAKER_BITS - 1 == MAX_SPEAKERS
