"""What tests of readers share: a source of bytes, what a reader makes of it, and whether anything got lost."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from openmem.operations import restore_of
from openmem.transfer.formats import Reader
from openmem.transfer.records import Item, Loss, Problem, SourceRecord
from openmem.transfer.sources import Source
from openmem.transfer.times import parse_time


def read(reader: Reader, data: object, **options: str) -> list[Item]:
    """What the reader yields for bytes, for text, or for JSON."""
    chosen = {name.replace("_", "-"): value for name, value in options.items()}
    return list(reader.items(Source(None, io.BytesIO(as_bytes(data)), "the file"), chosen))


def as_bytes(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    return data.encode() if isinstance(data, str) else json.dumps(data).encode()


def lines(*rows: object) -> str:
    """JSON lines, those that are text as they are."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def zipped(files: Mapping[str, object]) -> bytes:
    """A ZIP archive of bytes, texts and JSON."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, as_bytes(data))
    return packed.getvalue()


def records(items: Iterable[Item]) -> list[SourceRecord]:
    """The records, each of which a backend can store."""
    found = [item for item in items if isinstance(item, SourceRecord)]
    for record in found:
        restorable(record)
    return found


def only(items: Iterable[Item]) -> SourceRecord:
    """The one record, if there is nothing else but losses."""
    everything = list(items)
    assert [item for item in everything if isinstance(item, Problem)] == []
    [record] = records(everything)
    return record


def problems(items: Iterable[Item]) -> list[Problem]:
    return [item for item in items if isinstance(item, Problem)]


def losses(items: Iterable[Item]) -> list[str]:
    return [item.field for item in items if isinstance(item, Loss)]


def restorable(record: SourceRecord) -> None:
    """Raise if no backend could store the record."""
    given = {"id": "mem_1", "user_id": record.user_id or "maya", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    restore_of([given | {"source": {"ref": record.source_id}} | dict(record.fields)], None)


def lost(source: object, found: Iterable[SourceRecord]) -> list[object]:
    """The leaves of a JSON document that none of the records has: neither as it is, nor in a text, nor as a time."""
    kept: set[object] = set()
    texts: list[str] = []
    for record in found:
        for leaf in leaves([record.source_id, record.user_id, dict(record.fields)]):
            kept.add(_comparable(leaf))
            if isinstance(leaf, str):
                texts.append(leaf)
    return [
        leaf
        for leaf in leaves(source)
        if leaf not in (None, "")
        and _comparable(leaf) not in kept
        and not (isinstance(leaf, float | int) and not isinstance(leaf, bool) and parse_time(leaf) in kept)
        and not (isinstance(leaf, str) and any(leaf in text for text in texts))
        and str(leaf) not in kept
    ]


def leaves(value: object) -> Iterator[object]:
    match value:
        case dict():
            for item in value.values():
                yield from leaves(item)
        case list() | tuple():
            for item in value:
                yield from leaves(item)
        case _:
            yield value


def _comparable(leaf: object) -> object:
    if isinstance(leaf, datetime):
        return leaf
    if isinstance(leaf, str | float | int) and not isinstance(leaf, bool):
        try:
            return parse_time(leaf) if isinstance(leaf, str) and leaf[:1].isdigit() else leaf
        except ValueError:
            return leaf
    return (type(leaf), leaf)
