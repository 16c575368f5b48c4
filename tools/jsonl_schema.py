"""Writes ``docs/omp-jsonl.schema.json``: the JSON Schema of a line of openmem's own format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from openmem.models import AuditEntry, MemoryRecord
from openmem.transfer.omp_format import HEADER, VECTORS, VERSION

PATH: Final = Path(__file__).parent.parent / "docs" / "omp-jsonl.schema.json"


def schema() -> dict[str, Any]:
    """The schema of a line."""
    count = {"type": "integer", "minimum": 0}
    definitions: dict[str, Any] = {}
    for model in (MemoryRecord, AuditEntry):
        found = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= found.pop("$defs", {})
        definitions[model.__name__] = found
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of .omp.jsonl",
        "oneOf": [
            _line(
                HEADER,
                {
                    "version": {"const": VERSION},
                    "omp_version": {"type": "string"},
                    "exporter": {"type": "string"},
                    "exported_at": {"type": "string", "format": "date-time"},
                    "source": {"type": "object"},
                    "users": {"type": ["array", "null"], "items": {"type": "string"}},
                    "filters": {"type": "object"},
                    "features": {"type": "object"},
                    "consistent": {"type": "boolean"},
                    "vectors": {"const": VECTORS},
                },
                required=["version", "omp_version"],
            ),
            _line(
                "memory",
                {
                    "memory": {"$ref": "#/$defs/MemoryRecord"},
                    "vector": {
                        "type": "string",
                        "contentEncoding": "base64",
                        "description": "What the model that the memory names as embedding_model made of its content: "
                        "numbers in half precision (IEEE 754), the least significant byte first.",
                    },
                },
                required=["memory"],
            ),
            _line("audit", {"user_id": {"type": "string"}, "entry": {"$ref": "#/$defs/AuditEntry"}}),
            _line(
                "end",
                {
                    "memories": count,
                    "audit": count,
                    "users": count,
                    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                },
            ),
        ],
        "$defs": definitions,
    }


def _line(kind: str, members: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, **members},
        "required": ["type", *(required or members)],
    }


def text() -> str:
    """The file."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(PATH.read_text(encoding="utf-8") != text())
    PATH.write_text(text(), encoding="utf-8")
