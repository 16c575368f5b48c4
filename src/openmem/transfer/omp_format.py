"""The lines of ``.omp.jsonl``, openmem's own format. Pure.

The first line says what the file is, the last one how many lines are between and what their SHA-256 is. Between are the
memories as the protocol has them, and, if they were asked for, entries of the audit log. ``docs/omp-jsonl.schema.json``
has the JSON Schema of a line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, Final

from ..errors import InvalidRequestError
from ..models import OMP_VERSION, AuditEntry, MemoryRecord, construct_record
from ..operations.vectors import StoredVector
from ..wire.strict_json import Json
from .formats import Options, Reader
from .records import Item, Loss, PackedVector, Place, Problem, SourceRecord
from .sources import Damage, Line, Source, json_of

FORMAT: Final = "omp"
VERSION: Final = 1
HEADER: Final = "omp-export"
VECTORS: Final = "float16-base64"
"""How vectors are written: numbers in half precision, the least significant byte first, in Base64."""
SET_BY_BACKEND: Final = frozenset({"embedding_model", "status"})
"""Fields of a memory that a backend finds out anew."""


_ORDER: Final = (*(name for name in MemoryRecord.model_fields if name != "status"), "status")
"""In which order a line has the fields of a memory: that of the records of PostgreSQL."""


@dataclass(slots=True)
class Tally:
    """What the lines between the first and the last one hold."""

    memories: int = 0
    audit: int = 0
    users: int = 0
    _last_user: str | None = None
    _digest: Any = field(default_factory=hashlib.sha256)

    def memory(self, user_id: object, line: bytes) -> None:
        """Count a memory, whose line with its end is `line`. Those of one user follow each other."""
        self.memories += 1
        self.users += user_id != self._last_user
        self._last_user = user_id if isinstance(user_id, str) else None
        self._digest.update(line)

    def other(self, line: bytes, *, is_audit: bool) -> None:
        """Count another line."""
        self.audit += is_audit
        self._digest.update(line)

    def end(self) -> dict[str, Any]:
        """What the last line says."""
        return {
            "type": "end",
            "memories": self.memories,
            "audit": self.audit,
            "users": self.users,
            "sha256": self._digest.hexdigest(),
        }


def header(
    *,
    exporter: str,
    exported_at: datetime,
    source: Mapping[str, Any],
    users: Sequence[str] | None,
    filters: Mapping[str, Any],
    features: Mapping[str, Any],
    consistent: bool,
    has_vectors: bool = False,
) -> dict[str, Any]:
    """What the first line says.

    Args:
        exporter: the program, as in ``openmem/0.2.0``.
        source: what the memories were read from.
        users: whose memories; None for everybody's.
        filters: which of them.
        features: what the backend could do.
        consistent: whether all lines are of one moment.
        has_vectors: whether memories have their vectors.
    """
    found = {
        "type": HEADER,
        "version": VERSION,
        "omp_version": OMP_VERSION,
        "exporter": exporter,
        "exported_at": exported_at.isoformat().replace("+00:00", "Z"),
        "source": dict(source),
        "users": None if users is None else list(users),
        "filters": dict(filters),
        "features": dict(features),
        "consistent": consistent,
    }
    return found | {"vectors": VECTORS} if has_vectors else found


def encoded(line: Mapping[str, Any]) -> bytes:
    """A line with its end."""
    return f"{_json(line)}\n".encode()


def memory_lines(
    records: Iterable[MemoryRecord], tally: Tally, vectors: Mapping[str, StoredVector] = MappingProxyType({})
) -> bytes:
    """The lines of memories, which are counted.

    Args:
        vectors: those of the memories that shall have them, by id.
    """
    lines = []
    for record in records:
        vector = vectors.get(record.id)
        # A vector of another model than the record's is of another moment.
        has_vector = vector is not None and vector.model == record.embedding_model
        packed = f',"vector":"{PackedVector.of(vector.model, vector.values).text}"' if vector and has_vector else ""
        line = f'{{"type":"memory","memory":{_memory_json(record)}{packed}}}\n'.encode()
        tally.memory(record.user_id, line)
        lines.append(line)
    return b"".join(lines)


def audit_lines(user_id: str, entries: Iterable[AuditEntry], tally: Tally) -> bytes:
    """The lines of entries of a user's audit log, which are counted."""
    lines = []
    for entry in entries:
        line = encoded({"type": "audit", "user_id": user_id, "entry": entry.to_wire()})
        tally.other(line, is_audit=True)
        lines.append(line)
    return b"".join(lines)


def _memory_json(record: MemoryRecord) -> str:
    """What `to_wire` gives, as JSON: in one step, unless there is a null that the step would leave out.

    Its members have the same order, whatever backend the memory is from.
    """
    fields = vars(record)
    if next(reversed(fields)) != _ORDER[-1]:
        record = construct_record({name: fields[name] for name in _ORDER}, record.model_extra or {})
    source = record.source
    if None in (record.model_extra or {}).values() or (
        source is not None and None in (source.model_extra or {}).values()
    ):
        return _json(record.to_wire())
    return record.model_dump_json(exclude_none=True)


_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _read(source: Source, options: Options) -> Iterator[Item]:
    lines = source.lines()
    begin = list(islice(lines, 2))
    problem = _problem_of_header(begin, source.name)
    if problem is not None:
        yield problem
    tally = Tally()
    end: Mapping[str, Any] | None = None
    is_damaged = problem is not None
    place = Place(line=1)
    for line in chain(begin if problem is not None and _is_of_body(begin[0]) else begin[1:], lines):
        if end is not None:
            yield Problem("is behind the end line", line.place)
            continue
        item = _line(line, tally)
        if isinstance(line, Line):
            place = line.place
        if isinstance(item, SourceRecord | Loss):
            yield item
        elif isinstance(item, Problem):
            is_damaged = True
            yield item
        else:
            end = item
    if end is None:
        yield Problem("the file has no end line, so it is incomplete; what is there was read", place)
    elif not is_damaged and end != tally.end():
        yield Problem("the file is not what was exported: its end line has other counts or another SHA-256", place)


def _problem_of_header(begin: Sequence[Line | Problem], name: str) -> Problem | None:
    """What is wrong with the first line of a file of openmem's; None if nothing is.

    Args:
        begin: the first two lines.

    Raises:
        InvalidRequestError: it is no such file, or of another version.
    """
    first = begin[0] if begin else None
    value = json_of(first) if isinstance(first, Line) else first
    if isinstance(value, dict) and value.get("type") == HEADER:
        version = value.get("version")
        if not isinstance(version, int) or not 1 <= version <= VERSION:
            raise InvalidRequestError(f"{name}: is not of version {VERSION} of the format; use a newer openmem")
        return None
    if isinstance(first, Damage):
        return first
    if any(map(_is_of_body, begin)):
        return value if isinstance(value, Problem) else Problem("is not the first line of an export", Place(line=1))
    hint = "; nor is it compressed, as its name says" if isinstance(first, Problem) and name.endswith(".gz") else ""
    raise InvalidRequestError(f"{name}: is no file of openmem's: its first line is not of type {HEADER!r}{hint}")


def _is_of_body(line: Line | Problem) -> bool:
    """Whether it is a line as it follows the first one."""
    value = json_of(line) if isinstance(line, Line) else None
    return isinstance(value, dict) and value.get("type") in ("memory", "audit", "end")


def _line(line: Line | Problem, tally: Tally) -> Item | Mapping[str, Any]:
    """What a line stands for; a mapping is the end line."""
    if isinstance(line, Problem):
        return line
    value = json_of(line)
    if isinstance(value, Problem):
        return value
    raw = f"{line.text}\n".encode("utf-8", "surrogatepass")
    match value:
        case {"type": "memory", "memory": dict() as memory}:
            tally.memory(memory.get("user_id"), raw)
            return record_of(memory, line.place, value.get("vector"))
        case {"type": "end"}:
            return dict(value)
        case {"type": "audit"}:
            tally.other(raw, is_audit=True)
            return Loss("audit", "an audit log cannot be written", line.place)
        case {"type": str()}:
            tally.other(raw, is_audit=False)
            return Loss("omp.line", "this version does not know the type of the line", line.place)
    return Problem("is not a line of this format: it has no type", line.place)


def record_of(memory: Mapping[str, Json], place: Place, vector: Json = None) -> SourceRecord | Problem:
    """The record of a memory as the protocol has it, with its vector if there is one."""
    id, user_id = memory.get("id"), memory.get("user_id")
    if not isinstance(id, str) or not id:
        return Problem("has no id", place, "id")
    if user_id is not None and not isinstance(user_id, str):
        return Problem("is not a string", place, "user_id", id)
    fields = {
        name: value
        for name, value in memory.items()
        if name not in SET_BY_BACKEND and name not in ("id", "user_id") and (value is not None or name.startswith("x-"))
    }
    model = memory.get("embedding_model")
    packed = PackedVector(model if isinstance(model, str) else None, vector) if isinstance(vector, str) else None
    return SourceRecord(id, user_id, fields, place, vector=packed)


READER: Final = Reader(FORMAT, "memories that openmem exported (.omp.jsonl, .omp.jsonl.gz)", _read)
