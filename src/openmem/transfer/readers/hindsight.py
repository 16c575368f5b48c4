"""The archive of a bank of Hindsight: the facts of its documents, and observations over them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader
from ..records import Item, Loss, Place, Problem
from ..sources import Archive, Source, document_of
from .archives import find, table
from .fields import Fields, record, scope_of, time_of

_FORMAT: Final = "hindsight"
_DOCUMENT: Final = re.compile(r"(?:.*/)?documents/\d+\.json")

Row = dict[str, Any]


def read(source: Source, options: Options) -> Iterator[Item]:
    """The facts and observations of the archive."""
    with source.archive() as archive:
        name = find(archive, "manifest.json")
        manifest = _object(archive, name) if name is not None else None
        if not isinstance(manifest, dict) or "source_bank_id" not in manifest:
            raise InvalidRequestError(f"{source.name}: has no manifest of Hindsight: is no archive of a bank")
        bank = manifest["source_bank_id"]
        user_id = bank if isinstance(bank, str) and bank.strip() else None
        for part in sorted(filter(_DOCUMENT.fullmatch, archive.names)):
            document = _object(archive, part)
            yield from [document] if isinstance(document, Problem) else facts(part, document, user_id)
        observations = find(archive, "observations.json")
        for row in () if observations is None else table(archive, observations):
            yield row if isinstance(row, Problem) else observation(*row, user_id)
        for part in archive.names:
            if part not in (name, observations) and not _DOCUMENT.fullmatch(part):
                field = re.sub(r"\.\w+$", "", part.rsplit("/", 1)[-1])
                yield Loss(f"{_FORMAT}.{field[:80]}", "tables of the bank that are no memories", Place(part=part))


def facts(part: str, document: Row, user_id: str | None) -> Iterator[Item]:
    """The facts of one document; their place in it is their id, since they have none."""
    id, found = document.get("id"), document.get("facts")
    about = {name: document[name] for name in ("id", "tags", "retain_params") if document.get(name)}
    for name in ("original_text", "chunks"):
        if document.get(name):
            yield Loss(f"{_FORMAT}.{name}", "the texts that facts were taken from are no memories", Place(part=part))
    for number, row in enumerate(found if isinstance(found, list) else ()):
        place = Place(item=number + 1, part=part)
        if not isinstance(row, dict):
            yield Problem("is no JSON object", place)
            continue
        fields = Fields(row)
        fields.left["document"] = about
        created = fields.time("created_at")
        yield _record(fields, place, f"{id}#{number}", user_id, created or Fields(document).time("created_at"))


def observation(place: Place, row: Row, user_id: str | None) -> Item:
    """The record of an observation, which a model made of several facts."""
    fields = Fields({"fact_type": "observation"} | row)
    return _record(fields, place, None, user_id, fields.time("created_at"))


def _record(fields: Fields, place: Place, source_id: str | None, user_id: str | None, created: Any) -> Item:
    kind = fields.left.get("fact_type")
    mentioned = time_of(fields.left.get("mentioned_at"))
    return record(
        _FORMAT,
        fields,
        place,
        fields.text("text"),
        source_id=source_id,
        user_id=user_id,
        scope=scope_of(kind),
        tags=fields.tags("tags"),
        metadata=fields.metadata(),
        created_at=created or mentioned,
        valid_from=fields.time("occurred_start", "mentioned_at"),
    )


def _object(archive: Archive, part: str) -> Row | Problem:
    try:
        with archive.open(part) as stream:
            value = document_of(stream, part)
    except InvalidRequestError as error:
        return Problem(error.message.removeprefix(f"{part}: "), Place(part=part))
    return value if isinstance(value, dict) else Problem("is no JSON object", Place(part=part))


READER: Final = Reader(_FORMAT, "the archive of a bank of Hindsight, a ZIP archive", read)
