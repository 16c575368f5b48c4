"""Migrations that were released stay as they are: databases were made by them."""

from __future__ import annotations

from hashlib import sha256

from openmem.providers.postgres import schema
from openmem.providers.postgres.migrations import MIGRATIONS

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
    assert f"& ({schema.TERM_NUMBERS} - 1)" in first
    assert f"}}/{schema.TERM_NUMBERS}'" in first
    assert f"WHERE ordinal > {schema.HEAD};" in first


def test_names_of_schemas_are_put_in() -> None:
    for step in MIGRATIONS:
        script = step.script("mine", '"where it is"')
        assert "{schema}" not in script
        assert "{vector}" not in script
        assert "mine." in script
