"""Copies the items of LangGraph's `PostgresStore` into an `OpenmemStore`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

import psycopg
from langgraph.store.base import GetOp, InvalidNamespaceError, PutOp
from psycopg.rows import namedtuple_row

from ..._ids import new_memory_id
from ...errors import InvalidRequestError, unavailable
from ...operations import Restore
from .store import OpenmemStore

BATCH: Final = 200
CONNECT_SECONDS: Final = 10
QUERY: Final = """
    SELECT prefix, key, value, created_at, updated_at, expires_at, ttl_minutes
    FROM store ORDER BY created_at, prefix, key
"""


@dataclass(slots=True)
class Migrated:
    """What became of the items.

    Attributes:
        copied: how many were stored.
        present: how many were there already, and stay as they are.
        refused: those that openmem cannot keep: where each was, and why.
    """

    copied: int = 0
    present: int = 0
    refused: list[str] = field(default_factory=list)


class _Found(NamedTuple):
    op: PutOp
    row: Any


def migrate(source: str, store: OpenmemStore, *, progress: Callable[[Migrated], None] | None = None) -> Migrated:
    """Copy all items with their times and expiry. May be stopped and called again: what is there already stays.

    Args:
        source: libpq URL of the database that `PostgresStore` used. It is only read.
        store: where to; its client must have no grants.
        progress: called after each batch.

    Raises:
        ProviderError: one of the databases cannot be reached, or has no table of that store.
        ScopeDeniedError: the client of `store` has grants.
    """
    done = Migrated()
    try:
        with psycopg.connect(source, connect_timeout=CONNECT_SECONDS, row_factory=namedtuple_row) as connection:
            connection.read_only = True
            with connection.cursor(name="openmem_migration") as cursor:
                rows = iter(cursor.execute(QUERY))
                while batch := list(islice(rows, BATCH)):
                    _copy(batch, store, done)
                    if progress is not None:
                        progress(done)
    except psycopg.Error as error:
        raise unavailable(f"the store of LangGraph cannot be read: {type(error).__name__}; check its URL") from error
    return done


def _copy(rows: list[Any], store: OpenmemStore, done: Migrated) -> None:
    found = [_Found(PutOp(_namespace(row.prefix), row.key, row.value, ttl=row.ttl_minutes), row) for row in rows]
    kept = list(_accepted(found, store, done))
    present = store.batch([GetOp(item.op.namespace, item.op.key, refresh_ttl=False) for item, _ in kept])
    new = [fields for (_, fields), there in zip(kept, present, strict=True) if there is None]
    if new:
        store.perform(Restore(records=new))
    done.copied += len(new)
    done.present += len(kept) - len(new)


def _accepted(found: list[_Found], store: OpenmemStore, done: Migrated) -> Iterator[tuple[_Found, dict[str, Any]]]:
    for item in found:
        row = item.row
        try:
            fields = store.fields_of(item.op, row.updated_at)
            fields |= {
                "id": new_memory_id(fields["user_id"]),
                "created_at": row.created_at,
                "updated_at": row.updated_at,
                "expires_at": row.expires_at,
            }
            Restore(records=[fields])
        except (InvalidRequestError, InvalidNamespaceError) as error:
            done.refused.append(f"{row.prefix!r} {row.key!r}: {error}")
        else:
            yield item, fields


def _namespace(prefix: str) -> tuple[str, ...]:
    return tuple(prefix.split(".")) if prefix else ()
