"""What the reader and the writer of Portable AI Memory share."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Final

FORMAT: Final = "pam"
OURS: Final = "openmem"
"""The member of a memory's metadata with what openmem keeps beside the fields of the format."""
TYPES: Final = (
    "fact", "preference", "skill", "context", "relationship", "goal", "instruction", "identity", "environment",
    "project", "custom",
)  # fmt: skip


def content_hash(content: str) -> str:
    """The digest by which the format tells whether two memories say the same."""
    text = " ".join(unicodedata.normalize("NFC", content.strip().lower()).split())
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


METHODS: Final = {"explicit": "explicit_user_input", "extracted": "llm_inference", "imported": "api_export"}
"""How a memory came to be, by ``source.type``."""


def type_of(tags: Iterable[str]) -> str:
    """The type that openmem writes for a memory of none."""
    return next((tag for tag in tags if tag in TYPES and tag != "custom"), "fact")


def relation_id(begin: str, end: str) -> str:
    """The id that openmem writes for the relation of two memories."""
    return f"{begin}>{end}"
