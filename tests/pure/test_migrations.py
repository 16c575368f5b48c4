"""Migrations that were released stay as they are: databases were made by them."""

from __future__ import annotations

from hashlib import sha256

from openmem.providers.postgres import schema

RELEASED = [
    "f7ef3cb0924f412bf481f7fb6633ec9f3f7f501cfa6c4b6470894c73efebbb01",
    "ef4409334f0aac5141bd56d51b75922f2cb48f13ef60a193f189753da66e1e64",
]


def test_released_migrations_are_never_changed() -> None:
    """A change of the tables is a new migration, and a new line above."""
    assert [sha256(migration.encode()).hexdigest() for migration in schema.MIGRATIONS] == RELEASED


def test_what_queries_share_with_the_tables_is_what_the_migrations_say() -> None:
    [first, *_] = schema.MIGRATIONS
    assert f"& ({schema.TERM_NUMBERS} - 1)" in first
    assert f"}}}}/{schema.TERM_NUMBERS}'" in first
    assert f"WHERE ordinal > {schema.HEAD};" in first
    assert all("{" not in migration.format(schema="s", vector="v").replace("'{", "") for migration in schema.MIGRATIONS)
