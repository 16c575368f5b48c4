"""The file of the reference MCP server."""

from __future__ import annotations

from openmem.transfer.readers.mcp_memory import READER

from .reading import lines, lost, only, problems, read, records

MAYA = {"type": "entity", "name": "Maya", "entityType": "person", "observations": ["is vegan", "lives in Porto"]}
WORKS = {"type": "relation", "from": "Maya", "to": "Acme", "relationType": "works_at"}


def test_each_observation_and_relation_becomes_a_memory() -> None:
    vegan, porto, works = records(read(READER, lines(MAYA, WORKS)))
    assert vegan.fields == {
        "content": "Maya: is vegan",
        "scope": "kg/person",
        "tags": ["Maya"],
        "x-mcp-memory": {"type": "entity", "name": "Maya", "entityType": "person", "observation": "is vegan"},
    }
    assert porto.fields["content"] == "Maya: lives in Porto"
    assert works.fields == {
        "content": "Maya works_at Acme",
        "scope": "kg",
        "tags": ["Maya", "Acme"],
        "x-mcp-memory": WORKS,
    }
    assert lost([MAYA, WORKS], [vegan, porto, works]) == []


def test_ids_are_of_the_observation_and_not_of_its_place() -> None:
    before = records(read(READER, lines(MAYA)))
    after = records(read(READER, lines(WORKS, MAYA | {"observations": ["has a cat", *MAYA["observations"]]})))
    assert {record.source_id for record in before} < {record.source_id for record in after}


def test_an_entity_without_observations_is_kept() -> None:
    record = only(read(READER, lines({"type": "entity", "name": "Acme", "entityType": "a/b*", "observations": []})))
    assert (record.fields["content"], record.fields["scope"]) == ("Acme", "kg/a-b-")
    assert record.fields["x-mcp-memory"]["entityType"] == "a/b*"


def test_a_half_line_is_a_problem_and_the_rest_is_read() -> None:
    found = read(READER, lines('{"type": "entity", "na', WORKS, MAYA).removesuffix("\n"))
    assert [str(problem.place) for problem in problems(found)] == ["line 1"]
    assert len(records(found)) == 3
    strange = [{"type": "x"}, {"type": "relation", "from": "a"}, {"type": "entity", "observations": ["a"]}, 7]
    found = read(READER, lines(MAYA | {"observations": [7, "is vegan"]}, *strange))
    assert [problem.place.line for problem in problems(found)] == [1, 2, 3, 4, 5]
    assert len(records(found)) == 1
