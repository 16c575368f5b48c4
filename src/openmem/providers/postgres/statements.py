"""All statements over one schema, by room. Pure.

A verb is one statement, hence one round trip and one transaction: what it reads or writes, the memories it supersedes
and its audit entry are CTEs of the same text. Some verbs may take more: a repeated `add` with an idempotency key two,
an `update` of the content or the date two, the first search of a user with very many memories two, `add_many`,
`restore`, `reembed` and `reindex` several for each batch, and `delete_many`, `forget_user` and `purge` one for each
batch. Values are parameters without exception; only the two schema names, which are checked or quoted, are part of the
text.

Every CTE of a verb says in which bucket its rows are (see `openmem._ids`), so that a database that is partitioned or
sharded by ``bucket`` runs the whole statement in one place. The exceptions are `add_many` and `restore`, whose memories
may be of many users, and `users`, `purge`, `reembed` and `reindex`, which go through those of all.
"""

from __future__ import annotations

from functools import lru_cache

from ...config import AuditMode
from .audit import AuditLog
from .baselines import Baselines
from .batches import Batches
from .counting import Counting
from .deletions import Deletions
from .reads import Reads
from .reembedding import Reembedding
from .reindexing import Reindexing
from .retrieval.searches import Searches
from .sampling import Sampling
from .sql import Catalog
from .users import UserList
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
        self.counting = Counting(catalog)
        self.users = UserList(catalog)
        self.deletions = Deletions(catalog)
        self.audit_log = AuditLog(catalog)
        self.reembedding = Reembedding(catalog)
        self.reindexing = Reindexing(catalog)
        self.searches = Searches(catalog)
        self.sampling = Sampling(catalog)
        self.baselines = Baselines(catalog)


# Their texts are long, and the same for every client of a database.
cached_statements = lru_cache(16)(Statements)
