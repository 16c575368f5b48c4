"""How a memory is kept in a document of Supermemory, and read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ....models import MemoryRecord
from ..answers import Answers
from ..envelope import FILTERABLE_PREFIX, EnvelopeReader, Stored
from ..envelope import encode as encode_record
from ..errors import collapse_whitespace
from .names import decode, encode, memory_id

MAX_COPIED_CHARACTERS: Final = 4000
"""Texts of up to so many characters are kept in the metadata as well, whole and at once."""

_ID: Final = f"{FILTERABLE_PREFIX}id"
_USER: Final = f"{FILTERABLE_PREFIX}user"
_CONTENT: Final = f"{FILTERABLE_PREFIX}content"
_USUAL_FIELDS: Final = {"type": "text", "dreaming_status": "done"}


def metadata_of(record: MemoryRecord, document_id: str) -> dict[str, Any]:
    """The metadata of the document that holds a memory."""
    copied = record.content if len(record.content) <= MAX_COPIED_CHARACTERS else ""
    return encode_record(record) | {_USER: record.user_id, _CONTENT: copied, _ID: document_id}


def status_of(status: str | None) -> str | None:
    """The status of a memory, by the one of its document."""
    match status:
        case None | "done":
            return "stored"
        case "failed":
            return "failed"
        case "unknown":
            return None
    return "queued"


@dataclass(frozen=True, slots=True)
class DocumentReader:
    """Makes memories of documents, as the SDK's answers have them.

    Until a document is processed the service tells no text, or the one before the last change, and what it
    finds comes without. So short texts are copied to the metadata.
    """

    answers: Answers
    envelopes: EnvelopeReader

    def memory_id(self, namespace: str, document: object) -> str:
        """The memory's id, by the name we gave the document, or else by the service's."""
        own = self.answers.optional(self._metadata(document), _ID, str)
        return memory_id(namespace, own or self.answers.field(document, "id", str))

    def memory(self, namespace: str, document: object, user_id: str | None = None) -> Stored:
        """The memory in a document of a namespace.

        Args:
            user_id: whose namespace it is; None to find out.

        Raises:
            ProviderError: the document is damaged, or does not say whose it is.
        """
        metadata = self._metadata(document)
        id = self.memory_id(namespace, document)
        user = user_id or decode(namespace) or self.answers.optional(metadata, _USER, str)
        if user is None or encode(user) != namespace:
            raise self.answers.errors.malformed(f"a memory {id!r} of which it is not known whose it is")
        system = self.answers.field(document, "system", object)
        status = status_of(self.answers.optional(system, "status", str))
        extra = {name: self.answers.optional(document, name, str) for name in ("title", "summary", "type", "url")}
        extra["dreaming_status"] = self.answers.optional(system, "dreaming_status", str)
        return self.envelopes.decode(
            id=id,
            content=self._text(document, status),
            user_id=user,
            metadata=metadata,
            created_at=self.answers.optional(system, "created_at", datetime),
            updated_at=self.answers.optional(system, "updated_at", datetime),
            status=status,
            vendor_fields={name: value for name, value in extra.items() if _USUAL_FIELDS.get(name) != value},
        )

    def of_passage(self, passage: object) -> object | None:
        """The document of a found passage, as far as the passage has it; None if it does not name the document."""
        included = self.answers.optional(passage, "included", object)
        document = None if included is None else self.answers.optional(included, "document", object)
        if document is not None:
            return document
        metadata = self._metadata(passage)
        id = self.answers.optional(metadata, _ID, str)
        if id is None:
            return None
        return {"id": id, "metadata": metadata, "system": self.answers.field(passage, "system", object)}

    def is_whole(self, passage: object, document: object) -> bool:
        """Whether what a search tells of a document is enough to make the memory, with the text that was found."""
        copy = self._copy(document)
        if not copy:
            return False
        found = self.answers.optional(passage, "chunk", str)
        return found is None or collapse_whitespace(found) in collapse_whitespace(copy)

    def _text(self, document: object, status: str | None) -> str:
        """The document's text: the copy, unless somebody who does not know of it has changed the text since."""
        copy = self._copy(document)
        published = self.answers.optional(document, "content", str)
        if copy and (
            published is None or status != "stored" or collapse_whitespace(copy) == collapse_whitespace(published)
        ):
            return copy
        return published or ""

    def _copy(self, document: object) -> str | None:
        return self.answers.optional(self._metadata(document), _CONTENT, str)

    def _metadata(self, answer: object) -> Mapping[str, Any]:
        return self.answers.optional(answer, "metadata", dict) or {}
