"""A client that was used before a fork: its children get their own users' memories, and its parent's go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from openmem.server import OmpServerConfig

from ..embedders import service as openai
from ..letta import service as letta
from ..mem0 import service as mem0
from ..proxy import Proxy
from ..rerankers import service as cohere
from ..server.harness import running
from ..servers import Server
from ..supermemory import service as supermemory
from .conftest import CHILDREN, Run

VENDORS: dict[str, Any] = {"letta": letta, "mem0": mem0, "supermemory": supermemory}
SETTINGS: dict[str, dict[str, Any]] = {
    "letta": {"embedding_config": letta.CONFIG},
    "mem0": {"api_key": mem0.KEY},
    "supermemory": {"api_key": supermemory.KEY},
}

FACADES = pytest.mark.parametrize("facade", ["sync", "async"])
# The children end in the middle of the parent's calls, or close the client and end like any program.
ENDINGS = pytest.mark.parametrize("ending", ["at once", "close"])
# Both facades and both endings; `test_postgres` has all combinations.
PAIRS = pytest.mark.parametrize(("facade", "ending"), [("sync", "close"), ("async", "at once")])


@pytest.fixture(scope="module")
def omp_server(server: Server) -> Iterator[str]:
    """The URL of a server of the protocol."""
    config = OmpServerConfig(settings={"url": server.create_database(), "embedder": "hashing"})
    with running(config) as omp_server:
        yield omp_server.url


@FACADES
@ENDINGS
def test_postgres(run: Run, database: str, facade: str, ending: str) -> None:
    run(facade=facade, ending=ending, children=8, calls=40, settings={"url": database, "embedder": "hashing"})


@PAIRS
def test_another_server_of_the_protocol(run: Run, omp_server: str, facade: str, ending: str) -> None:
    settings = {"provider": "passthrough", "base_url": omp_server, "app": f"{facade} {ending}"}
    run(facade=facade, ending=ending, calls=20, settings=settings)


@PAIRS
def test_the_embedded_server(run: Run, facade: str, ending: str) -> None:
    with TemporaryDirectory(prefix="om-") as parent:
        # PostgreSQL does not run as root; another account must get to its data.
        Path(parent).chmod(0o755)
        settings = {"provider": "local", "path": f"{parent}/home", "embedder": "hashing"}
        run(facade=facade, ending=ending, calls=20, settings=settings)


@PAIRS
@pytest.mark.parametrize("vendor", list(VENDORS))
def test_vendors(run: Run, vendor: str, facade: str, ending: str) -> None:
    with VENDORS[vendor].Service() as service:
        settings = {"provider": vendor, "host": service.url} | SETTINGS[vendor]
        run(facade=facade, ending=ending, calls=5, settings=settings)


@FACADES
def test_the_model_of_an_embedder(run: Run, database: str, facade: str) -> None:
    run(facade=facade, ending="at once", calls=20, queries=True, settings={"url": database, "embedder": "wordllama"})


@FACADES
def test_an_embedder_and_a_reranker_that_the_application_made(run: Run, database: str, facade: str) -> None:
    with openai.Service() as embeddings, cohere.Service() as ranking:
        run(
            facade=facade,
            ending="at once",
            calls=10,
            queries=True,
            settings={"url": database},
            embedder={"api_key": openai.KEY, "base_url": embeddings.url},
            reranker={"api_key": cohere.KEY, "base_url": ranking.url},
        )


@FACADES
@pytest.mark.parametrize(("ending", "calls"), [("end", 0), ("close", 0), ("close", 1)])
def test_children_leave_their_parents_connections_to_it(
    run: Run, server: Server, facade: str, ending: str, calls: int
) -> None:
    """However they end, and whether or not they used the client, the parent goes on with the connection it had."""
    url = server.create_database()
    with Proxy(server.port) as proxy:
        settings = {"url": server.url(url.rpartition("/")[2], port=proxy.port), "embedder": "hashing"}
        run(facade=facade, ending=ending, calls=calls, hammers=0, settings=settings)
        assert proxy.accepted == 1 + CHILDREN * calls
