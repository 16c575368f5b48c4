"""The baselines of the client's model: made at the first search that misses them, and kept in the database.

They are not made when a client opens: many clients never search, and a model that has just embedded a query answers. A
search reads them in its own statement, so that all processes give the same scores. It ranks without them where they
cannot be made: where the database takes no changes, or where the embedder refuses the notes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ...errors import ProviderError
from ...ports import Ports
from ...ports.models import EmbedderIO
from ..calibration import STOPPED_RETRY_SECONDS, learn, report_failure
from .database import Database

RETRY_SECONDS: Final = 600.0
"""After how long it is tried again to make baselines that could not be made."""


@dataclass(slots=True)
class Attempts:
    """Of the models of one database, by schema and name, when the next one may try to make their baselines."""

    next_at: dict[tuple[str, str], float] = field(default_factory=dict)


async def calibrate(db: Database, embedder: EmbedderIO, ports: Ports) -> None:
    """See to it that the baselines of a model are stored. Does nothing if that was done or tried before."""
    attempts = db.io.cache.of(Attempts).next_at
    key = (db.sql.catalog.schema, embedder.model)
    if key in attempts and db.clock() < attempts[key]:
        return
    # Searches of other tasks do not wait for this one.
    attempts[key] = db.clock() + RETRY_SECONDS
    try:
        if await _are_stored(db, embedder, ports):
            attempts[key] = float("inf")
    except ProviderError as error:
        report_failure(embedder.model, error)
    except BaseException:
        attempts[key] = db.clock() + STOPPED_RETRY_SECONDS
        raise


async def _are_stored(db: Database, embedder: EmbedderIO, ports: Ports) -> bool:
    """Whether the baselines are stored now, or the model has none."""
    find = db.sql.baselines.find(embedder.model)
    # With a replica searches read those that are there.
    if await (db.run(find) if db.replica is None else db.read(lambda _: find)):
        return True
    if db.io.cache.is_read_only:
        return False
    vectors = await learn(embedder, ports)
    if vectors:
        await db.write(db.sql.baselines.store(embedder.model, vectors))
    return vectors is not None
