"""How a record is kept in a backend that knows only texts, users and metadata.

Everything of a record that the backend has no field for is kept as one JSON string under the metadata key ``omp``, the
*envelope*, together with a few plain keys that begin with ``omp_`` and that a backend can filter by. Memories that
other tools wrote have no envelope, and are read without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from ...errors import ProviderError
from ...models import MemoryRecord
from .errors import VendorErrors

ENVELOPE: Final = "omp"
"""The metadata key of the envelope."""
FILTERABLE_PREFIX: Final = "omp_"
"""What the metadata keys begin with that repeat a part of the envelope, so that a backend can filter by it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A memory as the backend holds it; `EnvelopeReader.decode` makes one.

    Attributes:
        record: the record as it was given to openmem.
        other_metadata: its metadata that are not openmem's.
        vendor_fields: what the backend returns beyond the protocol, with `other_metadata` as ``metadata``.
        extension_key: the extension under which `shown` has `vendor_fields`.
    """

    record: MemoryRecord
    other_metadata: Mapping[str, Any]
    vendor_fields: Mapping[str, Any]
    extension_key: str

    @property
    def shown(self) -> MemoryRecord:
        """The record as verbs return it, with what the backend returns beyond the protocol."""
        given = self.record.extensions.get(self.extension_key, {})
        if not self.vendor_fields or not isinstance(given, dict):
            return self.record
        return self.record.model_copy(update={self.extension_key: {**self.vendor_fields, **given}})


def is_enveloped(metadata: object) -> bool:
    """Whether these are the metadata of a memory that openmem wrote."""
    return isinstance(metadata, Mapping) and ENVELOPE in metadata


def encode(record: MemoryRecord) -> dict[str, Any]:
    """The metadata that carry what the backend has no field for.

    The keys are always the same, so that an update overwrites all of them also in a backend
    that merges metadata. The plain ones are empty where the record has nothing.
    """
    extensions = record.model_extra or {}
    fields = record.model_dump(mode="json", exclude={"id", "content", "status", "indexed", *extensions})
    carried = {name: value for name, value in fields.items() if value is not None} | extensions
    return {
        ENVELOPE: json.dumps(carried, ensure_ascii=False, separators=(",", ":")),
        f"{FILTERABLE_PREFIX}scope": record.scope or "",
        f"{FILTERABLE_PREFIX}tags": list(dict.fromkeys(record.tags or ())),
        f"{FILTERABLE_PREFIX}app": (record.source and record.source.app) or "",
    }


@dataclass(frozen=True, slots=True)
class EnvelopeReader:
    """Makes memories of what one vendor's backend holds.

    Attributes:
        errors: makes the error for metadata that are damaged.
        extension_key: the extension under which records have what the backend returns beyond the protocol.
    """

    errors: VendorErrors
    extension_key: str

    def decode(
        self,
        *,
        id: str,
        content: str,
        user_id: str,
        metadata: Mapping[str, Any] | None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        valid_to: datetime | None = None,
        status: str | None = "stored",
        vendor_fields: Mapping[str, Any] | None = None,
    ) -> Stored:
        """A memory from what the backend holds of it.

        Args:
            user_id: whose it is, as the backend says.
            metadata: all its metadata; the envelope in them, if any, goes before the other fields. Without one they
                are the metadata of the record.
            created_at, updated_at, valid_to: the backend's own times, for memories that other tools wrote.
            vendor_fields: what the backend returns beyond the protocol; what is empty is left out.

        Raises:
            ProviderError: the envelope is damaged, or is another user's.
        """
        metadata = metadata or {}
        other = {
            key: value for key, value in metadata.items() if key != ENVELOPE and not key.startswith(FILTERABLE_PREFIX)
        }
        extra = {name: value for name, value in (vendor_fields or {}).items() if value not in (None, "", [], {})}
        if other:
            extra["metadata"] = other
        times = {"created_at": created_at, "updated_at": updated_at, "valid_to": valid_to}
        fields: dict[str, Any] = times | {"user_id": user_id, "metadata": other or None}
        if ENVELOPE in metadata:
            fields = self._open(id, metadata[ENVELOPE])
            if fields.get("user_id") != user_id:
                raise ProviderError(f"{self.errors.vendor} holds memory {id!r} under a user who did not store it")
        try:
            record = MemoryRecord.model_validate(fields | {"id": id, "content": content, "status": status})
        except ValidationError as error:
            raise self.errors.malformed(f"a memory {id!r} of which something is missing or damaged") from error
        return Stored(record, other, extra, self.extension_key)

    def _open(self, id: str, envelope: object) -> dict[str, Any]:
        try:
            fields = json.loads(envelope) if isinstance(envelope, str) else None
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise self.errors.malformed(f"a memory {id!r} whose metadata are damaged")
        return fields
