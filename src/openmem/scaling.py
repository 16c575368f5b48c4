"""Spreads what a PostgreSQL database holds over the nodes of a Citus cluster; see docs/scaling.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from .config import ClientConfig
from .drivers.blocking import BlockingPorts
from .errors import InvalidRequestError, ProviderError
from .ports import Ports, run_blocking
from .ports.postgres import PostgresIO
from .providers.postgres import schema as tables
from .providers.postgres.servers import RemoteServer
from .providers.postgres.sharding import check_cluster, has_citus, inspect_cluster, steps

DEFAULT_SHARDS: Final = 64
TIMEOUT_SECONDS: Final = 24 * 3600.0
"""How long one step may take: moving what is stored takes its time."""

MAX_SHARDS: Final = 1024
"""There are as many buckets."""


@dataclass(frozen=True, slots=True)
class ScaledOut:
    """What `scale_out` did, or would do.

    Attributes:
        steps: in words, one for each transaction; none if everything was done before.
        is_dry_run: whether nothing was done.
    """

    steps: tuple[str, ...]
    is_dry_run: bool


def scale_out(
    url: str,
    *,
    schema: str = "openmem",
    shards: int = DEFAULT_SHARDS,
    dry_run: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ScaledOut:
    """Divide the tables by bucket over the nodes of a Citus cluster, with what is stored in them.

    It may be stopped at any time and run again; what was done is not done again. After an upgrade of openmem, run it
    once more: it takes care of tables and functions that are new. Stop the application meanwhile, since its calls wait
    or fail.

    Args:
        url: libpq URL of the coordinator, as the role that owns the database and the tables.
        schema: name of the schema of the tables.
        shards: into how many parts, from 1 to 1,024; only the first time.
        dry_run: say what would be done, and do nothing.
        progress: called with each step, in words, before it begins.

    Raises:
        InvalidRequestError: an argument is wrong.
        ProviderError: the database has no Citus or an old one, or another prerequisite is missing; the message says
            which.
    """
    if not 1 <= shards <= MAX_SHARDS:
        raise InvalidRequestError(f"shards: {shards} is not from 1 to {MAX_SHARDS}")
    config = ClientConfig(url=url, schema=tables.check_schema_name(schema), timeout=TIMEOUT_SECONDS)
    return run_blocking(_scale_out(config, BlockingPorts(), shards, dry_run, progress))


async def _scale_out(
    config: ClientConfig, ports: Ports, shards: int, dry_run: bool, progress: Callable[[str], None] | None
) -> ScaledOut:
    server = RemoteServer(config, ports, config.url, "url")

    async def connect() -> PostgresIO:
        return await server.connect(replace(await server.settings(), pool_min_size=0, pool_max_size=2))

    io = await connect()
    try:
        if not await io.execute(has_citus()):
            raise ProviderError(
                "the database has no Citus: install it on every node, with shared_preload_libraries = 'citus', and run "
                "CREATE EXTENSION citus in this database on each"
            )
        inspect = inspect_cluster(config.schema)
        cluster = await io.execute(inspect)
        # Before tables are made, which a worker refuses with errors of its own.
        check_cluster(cluster, config.schema)
        if not dry_run:
            await tables.ensure(io, config.schema, ports, connect)
            cluster = await io.execute(inspect)
        done = []
        for step in steps(cluster, config.schema, shards):
            if progress is not None:
                progress(step.text)
            if not dry_run:
                await io.run_script(step.sql)
            done.append(step.text)
        return ScaledOut(tuple(done), dry_run)
    finally:
        await io.close()
