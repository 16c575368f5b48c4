"""From an operation to one SQL statement, its arguments and the meaning of its rows. Pure.

Every verb is one statement, hence one round trip and one transaction: what it reads or writes, the
memories it supersedes and its audit entry are parts (CTEs) of the same text. Values are parameters
without exception; only the two schema names, which are checked or quoted, are part of the text.

Every part of a verb says in which bucket its rows are (see `openmem._ids`), so that a database that
is partitioned or sharded by ``bucket`` runs the whole statement in one place. The exceptions are
`add_many`, whose memories may be of many users, and re-embedding, which goes through those of all.

A read's audit entry must not make the reader wait for the disk. The part ``unhurried`` switches off
synchronous commit for the running transaction before the entry is written. Writes keep it on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

from ..._cursor import Position, decode_cursor, encode_cursor
from ..._ids import bucket_in, bucket_of
from ..._scopes import ScopeFilter
from ...config import AuditMode
from ...errors import InvalidRequestError
from ...models import (
    AuditEntries,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    MemorySource,
    SearchResults,
    as_utc,
    trusted_record,
    trusted_result,
)
from ...operations import Add, AddMany, Audit, Context, Delete, Get, List, Operation, Search, Update, WaitForIngest
from ...ports.models import Vectors
from ...ports.postgres import Copy, Row, Statement
from ..base import Call, has_ended, hashed, key_reused, no_such_memory
from . import binary
from .audit import AuditLog
from .candidates import of_many
from .ranking import Ranking, words_of
from .sql import Catalog

_COLUMNS: Final = (
    "id", "content", "user_id", "created_at", "scope", "tags", "source", "confidence",
    "valid_from", "valid_to", "supersedes", "embedding_model", "updated_at", "extensions",
)  # fmt: skip
_KEY_LIFETIME: Final = "interval '24 hours'"
_JSON: Final = frozenset({"source", "extensions"})
_MOMENTS: Final = ("created_at", "valid_from", "valid_to", "updated_at")
_COPIED: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "id": binary.text,
    "bucket": binary.small_number,
    "ordinal": binary.whole_number,
    "content": binary.text,
    "user_id": binary.text,
    "created_at": binary.timestamp,
    "scope": binary.text,
    "tags": binary.text_array,
    "source": binary.text,
    "confidence": binary.number,
    "valid_from": binary.timestamp,
    "valid_to": binary.timestamp,
    "supersedes": binary.text_array,
    "embedding_model": binary.text,
    "extensions": binary.text,
    "embedding": binary.half_vector,
}


def _columns(table: str, **instead: str) -> str:
    """The columns of a record.

    Args:
        instead: expressions in place of columns.
    """
    return ", ".join(instead.get(name, f"{table}.{name}{'::text' if name in _JSON else ''}") for name in _COLUMNS)


def _record(row: Row) -> MemoryRecord:
    fields: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    extensions = fields.pop("extensions")
    for name in _MOMENTS:
        moment = fields[name]
        if moment is not None and moment.tzinfo is not UTC:
            fields[name] = as_utc(moment)
    if fields["source"] is not None:
        fields["source"] = MemorySource(**json.loads(fields["source"]))
    fields["status"] = "stored"
    return trusted_record(fields, {} if extensions is None else json.loads(extensions))


def _json(value: Mapping[str, Any] | None) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None


def _list(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _filter(scopes: ScopeFilter | None) -> tuple[list[str] | None, list[str] | None]:
    """The two parameters of `_in_scopes`."""
    return (None, None) if scopes is None else (list(scopes.paths), list(scopes.prefixes))


def _in_scopes(scope: str, paths: str, prefixes: str) -> str:
    """Whether the column `scope` is selected by a `ScopeFilter`; all is, where `paths` is null."""
    return f"({paths}::text[] IS NULL OR {scope} = ANY ({paths}::text[]) OR {scope} ^@ ANY ({prefixes}::text[]))"


def _values(id: str, op: Add, model: str) -> dict[str, Any]:
    """The columns of a new memory, but for its vector and the time."""
    return {
        "id": id,
        "content": op.content,
        "user_id": op.user_id,
        "scope": op.scope,
        "tags": _list(op.tags),
        "source": _json(op.source.to_wire() if op.source else None),
        "confidence": op.confidence,
        "valid_from": op.valid_from,
        "valid_to": op.valid_to,
        "supersedes": _list(op.supersedes),
        "embedding_model": model,
        "extensions": _json(op.extensions),
    }


def _added(id: str, op: Add, call: Call, model: str, vector: Sequence[float]) -> tuple[object, ...]:
    """The parameters of a new memory, $1 to $16."""
    stored = binary.half_vector(vector)
    return (*_values(id, op, model).values(), stored, call.app, call.request_id, bucket_of(op.user_id))


class AddedBefore(NamedTuple):
    """The memory that was stored under an idempotency key, and the digest of what was asked for then."""

    memory_id: str
    fingerprint: str


class Place(NamedTuple):
    """What a new memory is given: its id, and its place among the memories of its user."""

    id: str
    ordinal: int


class Batch(NamedTuple):
    """Some memories of an `add_many`, ready to be stored."""

    rows: Copy
    records: MemoryRecords


class Foreign(NamedTuple):
    """A memory that another model embedded, where it lives, and when it was last written."""

    id: str
    bucket: int
    content: str
    seen: datetime


class Statements:
    """The statements over one schema.

    Args:
        schema: name of the schema that holds the tables, checked to need no quotes.
        vector_schema: quoted name of the schema that holds pgvector.
        audit: which verbs leave an audit entry.
    """

    def __init__(self, schema: str, vector_schema: str, audit: AuditMode) -> None:
        self._schema = schema
        self._memories = f"{schema}.memories"
        self._audit_log = f"{schema}.audit_log"
        self._keys = f"{schema}.idempotency_keys"
        self._vector = vector_schema
        self._audit = audit
        self._audit_log_room = AuditLog(Catalog(schema, vector_schema, audit))
        self._add = self._add_sql(supersedes=False)
        self._add_superseding = self._add_sql(supersedes=True)
        self._add_once = self._add_once_sql()
        self._get = self._get_sql()
        self._update = self._update_sql()
        self._delete = self._delete_sql()
        self._list = self._list_sql()
        self._search = self._search_sql(many=False)
        self._search_many = self._search_sql(many=True)

    def add(self, id: str, op: Add, call: Call, model: str, vector: Sequence[float]) -> Statement[MemoryRecord]:
        """Store a memory under `id`, and end the validity of those it supersedes."""
        args = _added(id, op, call, model, vector)
        if not op.supersedes:
            return Statement(self._add, args, lambda rows: _record(rows[0]))

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            unknown, ended, *record = rows[0]
            _refuse(unknown, ended)
            return _record(record)

        args = (*args, *_filter(call.grants.write), *_filter(call.grants.read), op.supersede_ended)
        return Statement(self._add_superseding, args, decode)

    def add_once(
        self, id: str, op: Add, call: Call, model: str, vector: Sequence[float]
    ) -> Statement[MemoryRecord | AddedBefore]:
        """Store a memory, unless one was stored under the call's idempotency key in the last day."""
        assert call.idempotency_key is not None

        def decode(rows: Sequence[Row]) -> MemoryRecord | AddedBefore:
            unknown, ended, memory_id, fingerprint, *record = rows[0]
            _refuse(unknown, ended)
            return _record(record) if memory_id == id else AddedBefore(memory_id, fingerprint)

        key = hashed(call.idempotency_key)
        args = (
            *_added(id, op, call, model, vector), *_filter(call.grants.write), key, op.fingerprint,
            *_filter(call.grants.read), op.supersede_ended,
        )  # fmt: skip
        return Statement(self._add_once, args, decode)

    def _add_once_sql(self) -> str:
        """Of two at the same moment, the second waits at ``claimed`` for the first and then sees its id.

        It does not see the memory itself, which is newer than its snapshot. If the two supersede something, it
        waits at ``superseded``, and then sees that this has ended but not by whom.
        """
        is_over = f"k.at < now() - {_KEY_LIFETIME}"
        return f"""
            WITH superseded AS ({self._superseded("$16", "$3::text", "$10", "$17", "$18")}),
            checked AS (
                SELECT CASE WHEN repeated.yes THEN '{{}}' ELSE {_unknown("$10")} END AS unknown,
                    CASE WHEN repeated.yes THEN '{{}}' ELSE {_ended("$23")} END AS ended
                FROM (
                    SELECT EXISTS (
                        SELECT FROM {self._keys} k
                        WHERE {_in("k", "$16")} AND k.user_id = $3::text AND k.key = $19::text AND NOT {is_over}
                    ) AS yes
                ) repeated
            ),
            claimed AS (
                INSERT INTO {self._keys} AS k (bucket, user_id, key, fingerprint, memory_id, at)
                SELECT $16::smallint, $3::text, $19::text, $20::text, $1::text, now()
                FROM checked WHERE {_ALLOWED}
                ON CONFLICT (user_id, key, bucket) DO UPDATE SET
                    fingerprint = CASE WHEN {is_over} THEN excluded.fingerprint ELSE k.fingerprint END,
                    memory_id = CASE WHEN {is_over} THEN excluded.memory_id ELSE k.memory_id END,
                    at = CASE WHEN {is_over} THEN excluded.at ELSE k.at END
                RETURNING k.memory_id, k.fingerprint
            ),
            purged AS (
                DELETE FROM {self._keys} old WHERE {_in("old", "$16")} AND (old.user_id, old.key) IN (
                    SELECT k.user_id, k.key FROM {self._keys} k
                    WHERE {_in("k", "$16")} AND {is_over} AND (k.user_id, k.key) <> ($3::text, $19::text)
                    ORDER BY k.at LIMIT 10 FOR UPDATE SKIP LOCKED
                )
            ),
            gate AS (
                SELECT checked.*, claimed.*, coalesce(claimed.memory_id = $1::text, false) AS is_new
                FROM checked LEFT JOIN claimed ON true
            ),
            ended AS ({self._end("$16", "coalesce($8::timestamptz, now())", "gate", "gate.is_new")}),
            added AS ({self._insert} FROM gate WHERE gate.is_new RETURNING {self._shown("$16", "$21", "$22")})
            {self._written("add", "added", bucket="$16", app="$14", request="$15")}
            SELECT gate.unknown, gate.ended, gate.memory_id, gate.fingerprint, added.*
            FROM gate LEFT JOIN added ON true
        """

    def added_before(self, op: Add, call: Call, added: AddedBefore) -> Statement[MemoryRecord]:
        """Read the memory of an earlier `add_once`."""

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            if added.fingerprint != op.fingerprint:
                raise key_reused()
            if not rows:
                raise InvalidRequestError(
                    f"Idempotency-Key: memory {added.memory_id!r} was added with it, and deleted since"
                )
            return _record(rows[0])

        sql = f"""
            SELECT {self._shown("$2", "$3", "$4")} FROM {self._memories} m
            WHERE m.id = $1::text AND {_in("m", "$2")}
        """
        return Statement(sql, (added.memory_id, bucket_of(op.user_id), *_filter(call.grants.read)), decode)

    @property
    def _insert(self) -> str:
        values = f"""
            $1::text, $2::text, $3::text, now(), $4::text, $5::text[], $6::json, $7::float8,
            $8::timestamptz, $9::timestamptz, $10::text[], $11::text, NULL, $12::json,
            $13::{self._vector}.halfvec, $16::smallint, {self._last_ordinal("$16::smallint", "$3::text")} + 1
        """
        columns = ", ".join((*_COLUMNS, "embedding", "bucket", "ordinal"))
        return f"INSERT INTO {self._memories} AS m ({columns}) SELECT {values}"

    def _add_sql(self, *, supersedes: bool) -> str:
        audit = self._written("add", "added", bucket="$16", app="$14", request="$15")
        if not supersedes:
            return f"WITH added AS ({self._insert} RETURNING {_columns('m')}) {audit} SELECT * FROM added"
        return f"""
            WITH superseded AS ({self._superseded("$16", "$3::text", "$10", "$17", "$18")}),
            checked AS (SELECT {_unknown("$10")} AS unknown, {_ended("$21")} AS ended),
            ended AS ({self._end("$16", "coalesce($8::timestamptz, now())", "checked", _ALLOWED)}),
            added AS ({self._insert} FROM checked WHERE {_ALLOWED} RETURNING {self._shown("$16", "$19", "$20")})
            {audit}
            SELECT checked.unknown, checked.ended, added.* FROM checked LEFT JOIN added ON true
        """

    def _last_ordinal(self, bucket: str, user: str) -> str:
        """The ordinal of a user's newest memory, 0 for none.

        It is not written as ``max``, for which a planner that expects few memories of a user reads them all.
        """
        return f"""coalesce((
            SELECT newest.ordinal FROM {self._memories} newest
            WHERE newest.bucket = {bucket} AND newest.user_id = {user} ORDER BY newest.ordinal DESC LIMIT 1
        ), 0)"""

    def now(self) -> Statement[datetime]:
        """The time of the transaction."""
        return Statement("SELECT now()", (), lambda rows: cast(datetime, rows[0][0]))

    def last_ordinals(self, user_ids: Sequence[str]) -> Statement[dict[str, int]]:
        """The ordinals of users' newest memories, 0 for none."""
        sql = f"""
            SELECT u.user_id, {self._last_ordinal("u.bucket", "u.user_id")}
            FROM unnest($1::text[], $2::smallint[]) AS u (user_id, bucket)
        """
        args = (list(user_ids), [bucket_of(user_id) for user_id in user_ids])
        return Statement(sql, args, lambda rows: {str(row[0]): int(row[1]) for row in rows})

    def batch(
        self, places: Sequence[Place], ops: Sequence[Add], model: str, vectors: Vectors, created_at: datetime
    ) -> Batch:
        """Memories to be copied, and their records."""
        stored = [
            _values(place.id, op, model)
            | {
                "bucket": bucket_of(op.user_id),
                "ordinal": place.ordinal,
                "created_at": created_at,
                "updated_at": None,
            }
            for place, op in zip(places, ops, strict=True)
        ]
        received = (
            [None if row[column] is None else received(row[column]) for column, received in _COPIED.items()]
            for row in ({**values, "embedding": vector} for values, vector in zip(stored, vectors, strict=True))
        )
        rows = Copy(self._schema, "memories", tuple(_COPIED), binary.copied(received))
        return Batch(rows, [_record([values[column] for column in _COLUMNS]) for values in stored])

    def log_added(self, ids: Sequence[str], call: Call) -> Statement[None]:
        """Log the addition of memories, in their order."""
        sql = f"""
            WITH added AS (
                SELECT m.* FROM unnest($1::text[], $2::smallint[]) WITH ORDINALITY AS new (id, bucket, place)
                CROSS JOIN LATERAL (
                    SELECT * FROM {self._memories} m WHERE m.id = new.id AND m.bucket = new.bucket OFFSET 0
                ) m
                ORDER BY new.place
            )
            {self._written("add", "added", bucket="w.bucket", app="$3", request="$4")}
            SELECT
        """
        args = (list(ids), [bucket_in(id) for id in ids], call.app, call.request_id)
        return Statement(sql, args, lambda rows: None)

    def supersede(self, op: AddMany, call: Call) -> Statement[Mapping[str, bool]]:
        """End the validity of the memories that those of an `add_many` supersede.

        Returns:
            Whether the caller may read each of them, by id.
        """
        same_memory = "wanted.id = superseded.id AND wanted.user_id = superseded.user_id"
        sql = f"""
            WITH wanted AS (
                SELECT w.bucket, w.user_id, w.id, min(coalesce(w.moment, now())) AS moment
                FROM unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[])
                    AS w (bucket, user_id, id, moment)
                GROUP BY 1, 2, 3
            ),
            superseded AS (
                SELECT m.* FROM (SELECT * FROM wanted ORDER BY id OFFSET 0) wanted
                CROSS JOIN LATERAL (
                    SELECT m.id, m.bucket, m.user_id, {_has_ended("m")} AS has_ended,
                        {_in_scopes("m.scope", "$7", "$8")} AS is_readable
                    FROM {self._memories} m
                    WHERE m.id = wanted.id AND m.bucket = wanted.bucket AND m.user_id = wanted.user_id
                        AND {_in_scopes("m.scope", "$5", "$6")}
                    FOR UPDATE
                ) m
            ),
            ended AS ({self._end("superseded.bucket", "wanted.moment", "wanted", same_memory)})
            SELECT wanted.user_id, wanted.id, superseded.has_ended, superseded.is_readable
            FROM wanted LEFT JOIN superseded ON {same_memory}
        """
        wanted = [
            (bucket_of(add.user_id), add.user_id, id, add.valid_from)
            for add in op.records
            for id in add.supersedes or ()
        ]

        def decode(rows: Sequence[Row]) -> Mapping[str, bool]:
            found = {(user_id, id): has_ended for user_id, id, has_ended, _ in rows if has_ended is not None}

            def check(part: Operation) -> None:
                assert isinstance(part, Add)
                named = {id: found.get((part.user_id, id)) for id in part.supersedes or ()}
                unknown = [id for id, has_ended in named.items() if has_ended is None]
                _refuse(unknown, [] if part.supersede_ended else [id for id, has_ended in named.items() if has_ended])

            op.check_each(check)
            return {str(id): bool(is_readable) for _, id, _, is_readable in rows}

        args = (*map(list, zip(*wanted, strict=True)), *_filter(call.grants.write), *_filter(call.grants.read))
        return Statement(sql, args, decode)

    def get(self, op: Get, call: Call) -> Statement[MemoryRecord]:
        """Read one memory; its validity does not matter."""

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            if not rows:
                raise no_such_memory(op.id)
            _, *columns = rows[0]
            record = _record(columns)
            call.grants.require("read", record.scope)
            return record

        return Statement(self._get, self._by_id(op.id, call, call.grants.read), decode)

    def _get_sql(self) -> str:
        return f"""
            WITH found AS (
                SELECT {_in_scopes("m.scope", "$5", "$6")} AS allowed, {self._shown("$7", "$5", "$6")}
                FROM {self._memories} m WHERE {_visible("m")}
            )
            {
            self._read(
                "get",
                "found WHERE allowed",
                bucket="$7",
                user="found.user_id",
                memory="found.id",
                scope="found.scope",
                app="coalesce($3::text, found.source::json ->> 'app')",
                request="$4",
            )
        }
            SELECT * FROM found
        """

    def delete(self, op: Delete, call: Call) -> Statement[None]:
        """Remove one memory."""

        def decode(rows: Sequence[Row]) -> None:
            if not rows:
                raise no_such_memory(op.id)
            call.grants.require("delete", rows[0][0])

        return Statement(self._delete, self._by_id(op.id, call, call.grants.delete), decode)

    def _delete_sql(self) -> str:
        return f"""
            WITH target AS (
                SELECT m.id, m.scope, {_in_scopes("m.scope", "$5", "$6")} AS allowed
                FROM {self._memories} m WHERE {_visible("m")} FOR UPDATE
            ),
            deleted AS (
                DELETE FROM {self._memories} m USING target
                WHERE m.id = target.id AND {_in("m", "$7")} AND target.allowed
                RETURNING m.id, m.user_id, m.scope, m.source::text
            )
            {self._written("delete", "deleted", bucket="$7", app="$3", request="$4")}
            SELECT scope FROM target
        """

    def update(self, op: Update, call: Call, model: str, vector: Sequence[float] | None) -> Statement[MemoryRecord]:
        """Change the given fields, and end the validity of the memories it newly supersedes."""

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            if not rows:
                raise no_such_memory(op.id)
            scope, valid_from, unknown, ended, *columns = rows[0]
            call.grants.require("write", scope)
            _refuse(unknown, ended)
            if op.valid_to is not None and valid_from is not None and op.valid_to < valid_from:
                raise InvalidRequestError(
                    f"valid_to: {op.valid_to.isoformat()} is before the memory's valid_from {valid_from.isoformat()}"
                )
            return _record(columns)

        args = (
            *self._by_id(op.id, call, call.grants.write), sorted(op.changes), op.content, op.scope,
            _list(op.tags), op.confidence, op.valid_to, _list(op.supersedes or ()), model,
            None if vector is None else binary.half_vector(vector),
            *_filter(call.grants.read), op.supersede_ended,
        )  # fmt: skip
        return Statement(self._update, args, decode)

    def _update_sql(self) -> str:
        def changed(field: str, value: str, column: str | None = None) -> str:
            column = column or field
            return f"{column} = CASE WHEN '{field}' = ANY ($8::text[]) THEN {value} ELSE m.{column} END"

        return f"""
            WITH target AS (
                SELECT m.id, m.user_id, m.scope, m.valid_from, m.supersedes
                FROM {self._memories} m WHERE {_visible("m")} FOR UPDATE
            ),
            superseded AS ({self._superseded("$7", "(SELECT user_id FROM target)", "$14", "$5", "$6")}),
            checked AS (
                SELECT target.*, {_unknown("$14")} AS unknown, {_ended("$19", besides="target.supersedes")} AS ended,
                    {_in_scopes("target.scope", "$5", "$6")} AS allowed,
                    coalesce($13::timestamptz >= target.valid_from, true) AS in_order
                FROM target
            ),
            ended AS ({self._end("$7", "now()", "checked", f"allowed AND in_order AND {_ALLOWED}")}),
            updated AS (
                UPDATE {self._memories} m SET
                    updated_at = now(),
                    {changed("content", "$9::text")},
                    {changed("content", "$15::text", "embedding_model")},
                    {changed("content", f"$16::{self._vector}.halfvec", "embedding")},
                    {changed("scope", "$10::text")},
                    {changed("tags", "$11::text[]")},
                    {changed("confidence", "$12::float8")},
                    {changed("valid_to", "$13::timestamptz")},
                    supersedes = CASE WHEN $14::text[] = '{{}}' THEN m.supersedes ELSE
                        coalesce(m.supersedes, '{{}}')
                        || ARRAY(
                            SELECT new.id FROM unnest($14::text[]) WITH ORDINALITY AS new (id, place)
                            WHERE new.id <> ALL (coalesce(m.supersedes, '{{}}'))
                            GROUP BY new.id ORDER BY min(new.place)
                        )
                    END
                FROM checked
                WHERE m.id = checked.id AND {_in("m", "$7")} AND allowed AND in_order AND {_ALLOWED}
                RETURNING {self._shown("$7", "$17", "$18")}
            )
            {self._written("update", "updated", bucket="$7", app="$3", request="$4")}
            SELECT checked.scope, checked.valid_from, checked.unknown, checked.ended, updated.*
            FROM checked LEFT JOIN updated ON true
        """

    def list(self, op: List, call: Call) -> Statement[MemoryPage]:
        """One page, newest first, from the position in the cursor on."""
        position = decode_cursor(op)

        def decode(rows: Sequence[Row]) -> MemoryPage:
            items = [_record(row) for row in rows[: op.limit]]
            if len(rows) <= op.limit:
                return MemoryPage(items=items)
            last = Position(items[-1].created_at, items[-1].id)
            return MemoryPage(items=items, next_cursor=encode_cursor(op, last))

        args = (
            op.user_id, *_filter(op.scope_filter(call.grants)), op.tag, op.since, op.until,
            *(position or (None, None)), op.limit + 1, call.app, call.request_id, op.scope,
            bucket_of(op.user_id), *_filter(call.grants.read),
        )  # fmt: skip
        return Statement(self._list, args, decode)

    def _list_sql(self) -> str:
        return f"""
            WITH page AS (
                SELECT {self._shown("$13", "$14", "$15")} FROM {self._memories} m
                WHERE {_in("m", "$13")} AND m.user_id = $1::text AND {_in_scopes("m.scope", "$2", "$3")}
                    AND ($4::text IS NULL OR $4::text = ANY (m.tags))
                    AND m.created_at >= coalesce($5::timestamptz, '-infinity')
                    AND m.created_at < coalesce($6::timestamptz, 'infinity')
                    AND (m.created_at, m.id) < (coalesce($7::timestamptz, 'infinity'), coalesce($8::text, ''))
                ORDER BY m.created_at DESC, m.id DESC LIMIT $9::bigint
            )
            {
            self._read(
                "list",
                "(SELECT) one",
                bucket="$13",
                user="$1",
                memory="NULL",
                scope="$12",
                app="$10",
                request="$11",
            )
        }
            SELECT * FROM page
        """

    def search(
        self, op: Search | Context, call: Call, model: str, vector: Sequence[float], *, limit: int, many: bool
    ) -> Statement[SearchResults | None]:
        """The best memories for a query among those valid now.

        Args:
            many: rank in the way for users of many memories. Without it the result is None, and nothing was
                done, if this is such a user.
        """

        def decode(rows: Sequence[Row]) -> SearchResults | None:
            if rows[0][0]:
                return None
            return [
                trusted_result(_record(columns), min(1.0, score)) for _, score, *columns in rows if score is not None
            ]

        min_score = op.min_score if isinstance(op, Search) else None
        comparable = model if any(vector) else None
        args = (
            op.user_id, words_of(op.query), binary.half_vector(vector), comparable,
            *_filter(op.scope_filter(call.grants)), min_score, limit, call.app, call.request_id, op.scope, op.verb,
            bucket_of(op.user_id), *_filter(call.grants.read),
        )  # fmt: skip
        return Statement(self._search_many if many else self._search, args, decode)

    def _search_sql(self, *, many: bool) -> str:
        ranking = Ranking(
            self._schema,
            self._vector,
            in_bucket=_in("m", "$13"),
            searched=f"""{_in_scopes("m.scope", "$5", "$6")}
                AND (m.valid_from IS NULL OR m.valid_from <= now()) AND (m.valid_to IS NULL OR m.valid_to > now())""",
            user="$1",
            query="$2",
            vector="$3",
            model="$4",
            min_score="$7",
            limit="$8",
        )
        audit = self._read(
            "$12::text",
            "outgrown WHERE NOT outgrown.yes",
            bucket="$13",
            user="$1",
            memory="NULL",
            scope="$11",
            app="$9",
            request="$10",
        )
        return f"""
            WITH {of_many(ranking) if many else ranking.of_few()}
            {audit}
            SELECT outgrown.yes, ranked.score, {self._shown("$13", "$14", "$15")}
            FROM outgrown LEFT JOIN (
                ranked CROSS JOIN LATERAL (
                    SELECT * FROM {self._memories} m WHERE m.id = ranked.id AND {_in("m", "$13")} OFFSET 0
                ) m
            ) ON true
            ORDER BY ranked.score DESC, ranked.own_score DESC, ranked.id DESC
        """

    def audit(self, op: Audit, call: Call) -> Statement[AuditEntries]:
        """The newest entries of a user's log."""
        return self._audit_log_room.audit(op, call)

    def missing(self, op: WaitForIngest) -> Statement[Sequence[str]]:
        """Those of the ids that name no memory of the user."""
        known = f"""
            SELECT m.id FROM unnest($2::text[]) AS given (id) CROSS JOIN LATERAL (
                SELECT m.id, m.user_id FROM {self._memories} m WHERE m.id = given.id AND {_in("m", "$3")} OFFSET 0
            ) m
            WHERE m.user_id = $1::text
        """
        sql = f"SELECT ARRAY(SELECT unnest($2::text[]) EXCEPT {known})"
        return Statement(sql, (op.user_id, list(op.ids), bucket_of(op.user_id)), lambda rows: sorted(rows[0][0]))

    def count_foreign(self, model: str) -> Statement[int]:
        """How many memories another model than `model` embedded."""
        sql = f"SELECT count(*) FROM {self._memories} m WHERE m.embedding_model IS DISTINCT FROM $1::text"
        return Statement(sql, (model,), lambda rows: int(rows[0][0]))

    def foreign(self, model: str, after_id: str, limit: int) -> Statement[Sequence[Foreign]]:
        """The next memories behind `after_id` that another model embedded."""
        sql = f"""
            SELECT m.id, m.bucket, m.content, coalesce(m.updated_at, m.created_at) FROM {self._memories} m
            WHERE m.embedding_model IS DISTINCT FROM $1::text AND m.id > $2::text ORDER BY m.id LIMIT $3::bigint
        """
        return Statement(sql, (model, after_id, limit), lambda rows: [Foreign(*row) for row in rows])

    def store_vectors(self, model: str, memories: Sequence[Foreign], vectors: Vectors) -> Statement[int]:
        """Store new vectors, but for memories that were changed since they were read."""
        sql = f"""
            WITH changed AS (
                UPDATE {self._memories} m SET embedding_model = $1::text, embedding = new.vector::{self._vector}.halfvec
                FROM unnest($2::text[], $3::smallint[], $4::timestamptz[], $5::text[]) AS new (id, bucket, seen, vector)
                WHERE m.id = new.id AND m.bucket = new.bucket
                    AND coalesce(m.updated_at, m.created_at) = new.seen
                RETURNING 1
            )
            SELECT count(*) FROM changed
        """
        literals = [json.dumps(list(vector)) for vector in vectors]
        ids, buckets, _, seen = zip(*memories, strict=True)
        args = (model, list(ids), list(buckets), list(seen), literals)
        return Statement(sql, args, lambda rows: int(rows[0][0]))

    def _by_id(self, id: str, call: Call, granted: ScopeFilter | None) -> tuple[object, ...]:
        return (id, _list(call.users), call.app, call.request_id, *_filter(granted), bucket_in(id))

    def _shown(self, bucket: str, paths: str, prefixes: str) -> str:
        """The columns of a record in ``m``, without the names of what the caller may not read.

        Args:
            paths, prefixes: parameters that tell what it may read.
        """
        return _columns(
            "m",
            supersedes=f"""
                CASE WHEN {paths}::text[] IS NULL OR m.supersedes = '{{}}' THEN m.supersedes ELSE (
                    SELECT array_agg(named.id ORDER BY named.place)
                    FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, place) CROSS JOIN LATERAL (
                        SELECT FROM {self._memories} s
                        WHERE s.id = named.id AND {_in("s", bucket)} AND s.user_id = m.user_id
                            AND {_in_scopes("s.scope", paths, prefixes)} OFFSET 0
                    ) s
                ) END AS supersedes""",
        )

    def _superseded(self, bucket: str, user: str, ids: str, paths: str, prefixes: str) -> str:
        """What is to be ended, as it is once all that were before have committed."""
        return f"""
            SELECT m.id, {_has_ended("m")} AS has_ended FROM {self._memories} m
            WHERE {_in("m", bucket)} AND m.user_id = {user} AND m.id = ANY ({ids}::text[])
                AND {_in_scopes("m.scope", paths, prefixes)}
            ORDER BY m.id FOR UPDATE
        """

    def _end(self, bucket: str, moment: str, source: str, condition: str) -> str:
        return f"""
            UPDATE {self._memories} m
            SET valid_to = least(m.valid_to, greatest(m.valid_from, {moment})), updated_at = now()
            FROM superseded, {source}
            WHERE m.id = superseded.id AND {_in("m", bucket)} AND NOT superseded.has_ended AND {condition}
        """

    def _written(self, action: str, written: str, *, bucket: str, app: str, request: str) -> str:
        """The part that logs a write, in the same transaction."""
        if self._audit == "off":
            return _unused(app, request)
        return f""", audit AS (
            INSERT INTO {self._audit_log} (bucket, user_id, app, action, memory_id, scope, request_id)
            SELECT {bucket}::smallint, w.user_id, coalesce({app}::text, w.source::json ->> 'app'), '{action}', w.id,
                w.scope, {request}::text
            FROM {written} w
        )"""

    def _read(
        self, action: str, source: str, *, bucket: str, user: str, memory: str, scope: str, app: str, request: str
    ) -> str:
        """The part that logs a read, without a wait for the disk."""
        if self._audit != "all":
            return _unused(*re.findall(r"\$\d+", f"{action} {user} {memory} {scope} {app} {request}"))
        action = action if action.startswith("$") else f"'{action}'"
        return f""", unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
        audit AS (
            INSERT INTO {self._audit_log} (bucket, user_id, app, action, memory_id, scope, request_id)
            SELECT {bucket}::smallint, {user}, {app}::text, {action}, {memory}, {scope}, {request}::text
            FROM unhurried, {source}
        )"""


def _in(table: str, bucket: str) -> str:
    """Whether a row is in the bucket that a parameter tells."""
    return f"{table}.bucket = {bucket}::smallint"


def _visible(table: str) -> str:
    """Whether a row has the wanted id and belongs to a user the caller may act for."""
    return (
        f"{table}.id = $1::text AND {_in(table, '$7')} AND ($2::text[] IS NULL OR {table}.user_id = ANY ($2::text[]))"
    )


def _unused(*parameters: str) -> str:
    """A part that only tells the server the types of parameters that nothing else mentions."""
    return f", unused AS (SELECT {', '.join(f'{parameter}::text' for parameter in parameters)})"


_ALLOWED: Final = "checked.unknown = '{}' AND checked.ended = '{}'"


def _has_ended(table: str) -> str:
    """Whether a memory is not valid now and never will be again.

    By the clock, since who waited for a row sees an end that is later than the beginning of its own transaction.
    """
    return f"coalesce({table}.valid_to <= greatest({table}.valid_from, clock_timestamp()), false)"


def _unknown(ids: str) -> str:
    return f"ARRAY(SELECT unnest({ids}::text[]) EXCEPT SELECT id FROM superseded)"


def _ended(allowed: str, besides: str = "NULL::text[]") -> str:
    """The superseded memories that have ended already; none if that is allowed.

    Args:
        besides: ids that do not count.
    """
    return f"""ARRAY(
        SELECT s.id FROM superseded s
        WHERE s.has_ended AND NOT {allowed}::boolean AND s.id <> ALL (coalesce({besides}, '{{}}')) ORDER BY s.id
    )"""


def _refuse(unknown: Sequence[str], ended: Sequence[str]) -> None:
    """Refuse a write that supersedes what there is not, or what has ended."""
    if unknown:
        raise InvalidRequestError(
            f"supersedes: this user has no memory {', '.join(map(repr, sorted(unknown)))}; nothing was written"
        )
    if ended:
        raise has_ended(ended)
