"""Statements with named parameters."""

from __future__ import annotations

import pytest

from openmem.ports.postgres import Query
from openmem.providers.postgres.sql import Name, render


def test_parameters_are_numbered_as_they_are_mentioned() -> None:
    query = Query("SELECT :b::text, :a::int, :b::text")
    assert query.sql == "SELECT $1::text, $2::int, $1::text"
    assert query.parameters == ("b", "a")


def test_a_value_that_nothing_mentions_is_not_sent() -> None:
    statement = Query("SELECT :a::int").bind({"a": 1, "other": 2}, len)
    assert statement.args == (1,)


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="a"):
        Query("SELECT :a::int").bind({}, len)


def test_texts_casts_and_comments_hold_no_parameters() -> None:
    query = Query("SELECT ':a' || 'it''s :b', now()::date -- :c\nWHERE '{}' = :d::text")
    assert query.sql == "SELECT ':a' || 'it''s :b', now()::date \nWHERE '{}' = $1::text"
    assert query.parameters == ("d",)


def test_parts_are_included_also_in_parts() -> None:
    text = render(
        "SELECT {columns} FROM {table} WHERE tags = '{}'", {"columns": "id", "table": "{schema}.t", "schema": "s"}
    )
    assert text == "SELECT id FROM s.t WHERE tags = '{}'"


def test_a_point_without_a_part_is_an_error() -> None:
    with pytest.raises(KeyError, match="table"):
        render("SELECT FROM {table}", {})


def test_a_part_may_have_an_argument() -> None:
    assert render("WHERE {is_new(m.at)}", {"is_new": lambda column: f"{column} > now()"}) == "WHERE m.at > now()"


def test_the_lines_of_a_part_are_indented_as_the_line_that_includes_it() -> None:
    assert (
        render("WITH a AS (\n    {part}\n)", {"part": "SELECT 1\nFROM t"}) == "WITH a AS (\n    SELECT 1\n    FROM t\n)"
    )


def test_quoted_names_hold_no_parameters_and_no_comments() -> None:
    query = Query('SELECT "it\'s :a""--".f(:b::text), \'x\'')
    assert query.sql == 'SELECT "it\'s :a""--".f($1::text), \'x\''
    assert query.parameters == ("b",)


def test_a_name_is_included_as_it_is() -> None:
    assert render("SELECT {table}", {"table": "{schema}.t", "schema": Name('"{table}"')}) == 'SELECT "{table}".t'
