"""What a reader yields: the records of a source, what it cannot read, and what it cannot carry.

A reader infers nothing, and puts nothing into the content that was not content in the source. What no field of the
protocol holds goes to the extension ``x-<format>``, as it is in the source.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

__all__ = ["RECORD_FIELDS", "Item", "Loss", "PackedVector", "Place", "Problem", "SourceRecord", "digest_id"]

RECORD_FIELDS: Final = frozenset(
    {
        "content", "scope", "tags", "source", "confidence", "valid_from", "valid_to", "supersedes", "metadata", "key",
        "expires_at", "indexed", "created_at", "updated_at", "version",
    }
)  # fmt: skip
"""The fields of the protocol that `SourceRecord.fields` may have, beside extensions."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a source something is.

    Attributes:
        line: number of the line, from 1; None if the format has no lines.
        item: number of the item of an array, from 1.
        part: the file in an archive or a folder; a path with slashes.
    """

    line: int | None = None
    item: int | None = None
    part: str | None = None

    def __str__(self) -> str:
        """As in ``memories.json, line 17``."""
        found = [] if self.part is None else [self.part]
        if self.line is not None:
            found.append(f"line {self.line}")
        if self.item is not None:
            found.append(f"item {self.item}")
        return ", ".join(found) or "the file"


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of a source that cannot be read; the rest is.

    Attributes:
        reason: what is wrong, such as ``is not valid JSON``, without any text of a memory.
        place: where.
        field: the field that it is about, if it is about one.
        source_id: the record's id in the source, if it is known.
    """

    reason: str
    place: Place
    field: str | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a source holds and that is not carried over.

    Attributes:
        field: the field of the source, led by the format's name where it is none of the protocol, as in ``mem0.hash``.
        reason: why, in a few words that are the same for every record, since losses are counted by field and reason.
        place: where the first one is; None if it is about the source as a whole.
    """

    field: str
    reason: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class PackedVector:
    """A vector as an export has it.

    Attributes:
        model: name of the embedder's model; None if the export does not say.
        text: its numbers in half precision, the least significant byte first, in Base64.
    """

    model: str | None
    text: str

    @classmethod
    def of(cls, model: str | None, values: Sequence[float]) -> PackedVector:
        """A vector to be exported.

        Raises:
            OverflowError: a number is beyond what half precision can hold.
        """
        return cls(model, base64.b64encode(struct.pack(f"<{len(values)}e", *values)).decode())

    def values(self) -> Sequence[float]:
        """Its numbers.

        Raises:
            ValueError: they cannot be read, are not finite, or are all 0, so that it has no direction.
        """
        raw = base64.b64decode(self.text, validate=True)
        try:
            values = struct.unpack(f"<{len(raw) // 2}e", raw)
        except struct.error as error:
            raise ValueError(str(error)) from None
        if not all(map(math.isfinite, values)):
            raise ValueError("a number is not finite")
        if not any(values):
            raise ValueError("it has no direction")
        return values


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One memory of a source.

    Attributes:
        source_id: its id there, unique within the format and the `store`. Where the format has none, `digest_id` of
            what the record holds, so that the same record always has the same.
        user_id: whose it is; None if the source does not say.
        fields: fields of the protocol by name (see `RECORD_FIELDS`), and extensions named ``x-<format>``. Values are
            as in JSON; times are aware datetimes, or text as in RFC 3339. ``supersedes`` has ids of the source.
        place: where it is.
        losses: what of this record is not carried over.
        store: which store of the format it is from, if ids are not unique among all stores of the format.
        vector: what an embedder made of the content; None if the source does not say.
    """

    source_id: str
    user_id: str | None
    fields: Mapping[str, Any]
    place: Place
    losses: tuple[Loss, ...] = ()
    store: str = ""
    vector: PackedVector | None = None


Item: TypeAlias = SourceRecord | Problem | Loss


def digest_id(record: object) -> str:
    """An id for a record of a format that has none: a digest of the JSON that it holds, in whatever order.

    Args:
        record: JSON that holds all that tells the record from others.
    """
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
