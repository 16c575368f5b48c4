"""The names of namespaces, documents and memories in Supermemory."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import quote, unquote

MAX_TOKEN_CHARACTERS: Final = 100
NAMESPACE: Final = re.compile(r"[A-Za-z0-9_:-]{1,100}")
IN_PATH: Final = re.compile(r"(?!\.+\Z)[A-Za-z0-9_:.-]{1,255}")
"""The ids of documents that the SDK can put into a path as they are."""

_MEMORY_ID: Final = re.compile(r"sm_([A-Za-z0-9_:-]{1,100})\.([A-Za-z0-9_:-]{1,100})")
_HASH: Final = re.compile(r"::[0-9a-f]{64}")


def memory_id(namespace: str, document_id: str) -> str:
    """The id of the memory in a document."""
    return f"sm_{namespace}.{encode(document_id)}"


def parse_memory_id(id: str) -> tuple[str, str] | None:
    """The namespace in a memory's id, and the token of the document; None if no memory can have this id."""
    parsed = _MEMORY_ID.fullmatch(id)
    if parsed is None:
        return None
    namespace, token = parsed.groups()
    return (namespace, token) if _is_token(namespace) and _is_token(token) else None


def encode(name: str) -> str:
    """`name` in the letters of a namespace.

    Letters, digits, ``_`` and ``-`` stay, other bytes become ``:`` and two hexadecimal digits, and what
    is too long then becomes ``::`` and its SHA-256. No two names become the same.
    """
    token = quote(name, safe="").replace(".", "%2E").replace("~", "%7E").replace("%", ":")
    return token if len(token) <= MAX_TOKEN_CHARACTERS else "::" + hashlib.sha256(name.encode()).hexdigest()


def decode(token: str) -> str | None:
    """The name that `encode` made a token of; None if it is a hash, or was not made by `encode`."""
    try:
        name = unquote(token.replace(":", "%"), errors="strict")
    except UnicodeDecodeError:
        return None
    return name if encode(name) == token else None


def _is_token(text: str) -> bool:
    return decode(text) is not None or _HASH.fullmatch(text) is not None
