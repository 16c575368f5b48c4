"""What the reader and the writer of Portable AI Memory share."""

from __future__ import annotations

import hashlib
import unicodedata
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
