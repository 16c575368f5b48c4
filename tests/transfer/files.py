"""Files for the tests, written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HEADER = {"type": "omp-export", "version": 1, "omp_version": "0.1"}


def memory(id: str, user: str = "maya", **fields: Any) -> dict[str, Any]:
    """A memory as a line has it."""
    return {"id": id, "content": f"about {id}", "user_id": user, "created_at": "2026-01-31T12:00:00Z", **fields}


def write(path: Path, memories: Iterable[dict[str, Any] | str]) -> Path:
    """A file of memories, or of lines that are given as they are; it has no end line."""
    lines = [json.dumps(HEADER)]
    lines += [one if isinstance(one, str) else json.dumps({"type": "memory", "memory": one}) for one in memories]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
