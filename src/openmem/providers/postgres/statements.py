"""All statements over one schema, by room. Pure.

A verb is one statement, hence one round trip and one transaction: what it reads or writes, the memories it supersedes
and its audit entry are CTEs of the same text. Four verbs may take more: a repeated `add` with an idempotency key two,
the first search of a user with very many memories two, `add_many` and `reembed` several for each batch. Values are
parameters without exception; only the two schema names, which are checked or quoted, are part of the text.

Every CTE of a verb says in which bucket its rows are (see `openmem._ids`), so that a database that is partitioned or
sharded by ``bucket`` runs the whole statement in one place. The exceptions are `add_many`, whose memories may be of
many users, and re-embedding, which goes through those of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from textwrap import dedent

from ..._ids import bucket_of
from ...config import AuditMode
from ...models import SearchResults, trusted_result
from ...operations import Context, Search
from ...ports.postgres import Row, Statement
from ..base import Call
from . import binary
from .audit import AuditLog
from .batches import Batches
from .candidates import of_many
from .ranking import Ranking, words_of
from .reads import Reads
from .reembedding import Reembedding
from .rows import to_record
from .sql import Catalog, Query, render
from .sql.parts import scope_values
from .writes import Writes


class Statements:
    """The statements over one schema.

    Args:
        schema: name of the schema that holds the tables, checked to need no quotes.
        vector_schema: quoted name of the schema that holds pgvector.
        audit: which verbs leave an audit entry.

    Attributes:
        catalog: their texts.
    """

    def __init__(self, schema: str, vector_schema: str, audit: AuditMode) -> None:
        self.catalog = catalog = Catalog(schema, vector_schema, audit)
        self.writes = Writes(catalog)
        self.batches = Batches(catalog)
        self.reads = Reads(catalog)
        self.audit_log = AuditLog(catalog)
        self.reembedding = Reembedding(catalog)
        self._search = self._search_query(schema, vector_schema, many=False)
        self._search_many = self._search_query(schema, vector_schema, many=True)

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
                trusted_result(to_record(columns), min(1.0, score)) for _, score, *columns in rows if score is not None
            ]

        values = {
            "bucket": bucket_of(op.user_id),
            "user_id": op.user_id,
            "query": words_of(op.query),
            "vector": binary.half_vector(vector),
            "model": model if any(vector) else None,
            "min_score": op.min_score if isinstance(op, Search) else None,
            "limit": limit,
            "verb": op.verb,
            "scope": op.scope,
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("selected", op.scope_filter(call.grants)),
            **scope_values("readable", call.grants.read),
        }
        return (self._search_many if many else self._search).bind(values, decode)

    def _search_query(self, schema: str, vector_schema: str, *, many: bool) -> Query:
        ranking = Ranking(
            schema,
            vector_schema,
            in_bucket="m.bucket = :bucket::smallint",
            searched="""{is_selected(m.scope)}
                AND (m.valid_from IS NULL OR m.valid_from <= now()) AND (m.valid_to IS NULL OR m.valid_to > now())""",
            user=":user_id",
            query=":query",
            vector=":vector",
            model=":model",
            min_score=":min_score",
            limit=":limit",
        )
        text = f"""
            WITH {of_many(ranking) if many else ranking.of_few()},
            audit_entry AS (
                SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app,
                    :verb::text AS action, NULL AS memory_id, :scope::text AS scope
                FROM outgrown WHERE NOT outgrown.yes
            ){{audit_read}}
            SELECT outgrown.yes, ranked.score, {{readable_columns}}
            FROM outgrown LEFT JOIN (
                ranked CROSS JOIN LATERAL (
                    SELECT * FROM {schema}.memories m WHERE m.id = ranked.id AND m.bucket = :bucket::smallint OFFSET 0
                ) m
            ) ON true
            ORDER BY ranked.score DESC, ranked.own_score DESC, ranked.id DESC
        """
        query = Query(render(dedent(text).strip(), self.catalog.parts))
        self.catalog.queries["search_many" if many else "search"] = query
        return query


# Their texts are long, and the same for every client of a database.
cached_statements = lru_cache(16)(Statements)
