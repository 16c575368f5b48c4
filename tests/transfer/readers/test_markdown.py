"""Markdown and lists of text."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openmem import InvalidRequestError
from openmem.transfer.readers.frontmatter import split_frontmatter
from openmem.transfer.readers.markdown import READER, TEXT_READER
from openmem.transfer.readers.sections import pieces_of
from openmem.transfer.sources import Source

from .reading import only, problems, read, records, zipped

NOTE = """\
---
title: Maya's kitchen
type: note
tags: [food, "home cooking"]
created: 2025-06-01
version: 3.10
---
# Kitchen

She cooks every day.

## Diet

- is vegan
- [allergy] no nuts #health
  - since 2020

## Tools
Uses an old pan.

```python
# not a heading
```
"""


def test_a_note_becomes_its_sections_and_bullets() -> None:
    found = records(read(READER, NOTE))
    texts = [record.fields["content"] for record in found]
    assert texts == [
        "She cooks every day.",
        "is vegan",
        "[allergy] no nuts #health\n  - since 2020",
        "Uses an old pan.\n\n```python\n# not a heading\n```",
    ]
    assert found[2].fields["tags"] == ["food", "home cooking", "Kitchen", "Diet", "allergy", "health"]
    assert found[2].place.line == 15
    assert found[2].fields["created_at"] == datetime(2025, 6, 1, tzinfo=UTC)
    assert found[2].fields["x-markdown"] == {
        "title": "Maya's kitchen",
        "type": "note",
        "created": "2025-06-01",
        "version": "3.10",
        "headings": ["Kitchen", "Diet"],
    }
    assert len(records(read(READER, NOTE, split="file"))) == 1
    assert len(records(read(READER, NOTE, split="section"))) == 3
    assert len(records(read(READER, NOTE, split="item"))) == 5
    with pytest.raises(InvalidRequestError, match="auto"):
        read(READER, NOTE, split="word")


def test_ids_do_not_change_with_the_place() -> None:
    ids = {record.source_id for record in records(read(READER, NOTE))}
    longer = {record.source_id for record in records(read(READER, NOTE.replace("- is vegan", "- new\n- is vegan")))}
    assert ids < longer


def test_a_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("secret")
    folder = tmp_path / "memory"
    (folder / "system").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "system" / "human.md").write_text("---\ndescription: Who she is\n---\nMaya")
    (folder / ".git" / "x.md").write_text("no")
    (folder / "bad.md").write_bytes(b"\xff\xfe")
    (folder / "empty.md").write_text("\n")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "link.md").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.md")
    found = list(READER.items(Source.of(folder), {}))
    [record] = records(found)
    assert record.fields == {
        "content": "Maya",
        "scope": "system/human",
        "x-markdown": {"description": "Who she is", "path": "system/human.md"},
    }
    assert [str(problem.place) for problem in problems(found)] == ["bad.md"]


def test_an_archive_of_notes(tmp_path: Path) -> None:
    path = tmp_path / "notes.zip"
    path.write_bytes(zipped({"a/b.md": "Maya", "__MACOSX/a/b.md": "x", "a/c.bin": b"\xff"}))
    record = only(READER.items(Source.of(path), {}))
    assert record.fields == {"content": "Maya", "scope": "a/b", "x-markdown": {"path": "a/b.md"}}


def test_several_notes_in_one_file() -> None:
    text = (
        "---\nid: a1\ncreated_at: 2024-01-01T00:00:00Z\nconfidence: 0.9\nfiles: src/a.py, b.py\n"
        "categories: x, y z\n---\n"
        "First\n\n---\nstill the first\n\n---\nid: a2\n---\nSecond\n"
    )
    first, second = records(read(READER, text, split="file"))
    assert (first.source_id, first.fields["content"]) == ("a1", "First\n\n---\nstill the first")
    assert first.fields["tags"] == ["x", "y z"]
    assert first.fields["x-markdown"] == {"confidence": "0.9", "files": "src/a.py, b.py"}
    assert (second.source_id, second.fields["content"], second.place.line) == ("a2", "Second", 16)


def test_a_list_of_text() -> None:
    text = """\
```
## Preferences
[2025-06-01] - User is vegan
[unknown] - User lives in Porto
- Has a cat
  called Tom
2. Plays chess

Works at Acme: since May
```
"""
    found = records(read(TEXT_READER, text))
    assert [record.fields["content"] for record in found] == [
        "User is vegan",
        "User lives in Porto",
        "Has a cat\n  called Tom",
        "Plays chess",
        "Works at Acme: since May",
    ]
    assert found[0].fields["created_at"] == datetime(2025, 6, 1, tzinfo=UTC)
    assert found[0].fields["x-text"] == {"date_in_list": "2025-06-01", "headings": ["Preferences"]}
    assert "created_at" not in found[1].fields
    assert problems(read(TEXT_READER, b"\xff"))[0].reason.startswith("is not text in UTF-8")


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        ("a: no\nb: 3.10\nc: 12:30", {"a": "no", "b": "3.10", "c": "12:30"}),
        ("a:\n- x\n- 'it''s'", {"a": ["x", "it's"]}),
        ("a: [x, \"y, z\", 'w']\nb: []", {"a": ["x", "y, z", "w"], "b": []}),
        ('a: "q\\"\\n" \nb: # note\nc: x # note', {"a": 'q"\n', "b": "# note", "c": "x"}),
        ("a: |\n  one\n    two\nb: >-\n  three\n  four", {"a": "one\n  two", "b": "three four"}),
        ("# note\n\nlong name: x", {"long name": "x"}),
        ("a: &x [*x]", "a: &x [*x]"),
        ("a: {b: c}", "a: {b: c}"),
        ("a:\n  b: c", "a:\n  b: c"),
        ("a: 1\na: 2", "a: 1\na: 2"),
        ("!!python/object: x", "!!python/object: x"),
        ('a: "x', 'a: "x'),
        ("a: [x", "a: [x"),
    ],
)
def test_frontmatter(block: str, fields: object) -> None:
    assert split_frontmatter(f"---\n{block}\n---\nbody") == (fields, "body", block.count("\n") + 3)


def test_what_is_no_frontmatter_is_text() -> None:
    assert split_frontmatter("text\n---\na: b\n---") == (None, "text\n---\na: b\n---", 0)
    assert split_frontmatter("---\nno end") == (None, "---\nno end", 0)
    record = only(read(READER, "---\na: &x 1\nb: *x\n---\nbody"))
    assert record.fields["x-markdown"] == {"frontmatter": "a: &x 1\nb: *x"}
    assert [problem.reason for problem in problems(read(READER, "---\na: b\n---\n"))] == ["has fields, and no text"]


def test_no_line_gets_lost() -> None:
    for split in ("file", "section", "item", "auto"):
        pieces = list(pieces_of(NOTE, split))
        text = "\n".join("\n".join([*piece.headings, piece.text]) for piece in pieces)
        for line in NOTE.split("\n"):
            assert line.lstrip("#- ").strip() in text, (split, line)
