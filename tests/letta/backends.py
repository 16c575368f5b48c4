"""The Letta servers that tests run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .embeddings import config_of
from .real import EMBEDDINGS_VARIABLE, URL_VARIABLE
from .service import CONFIG, Service


@dataclass(frozen=True)
class Backend:
    """A running server.

    Attributes:
        embedding_config: of archives that have vectors on it.
    """

    url: str
    embedding_config: dict[str, Any]


NAME = "real" if URL_VARIABLE in os.environ else "stand-in"


@contextmanager
def running_backend() -> Iterator[Backend]:
    """The real server that the environment names, else a stand-in."""
    if URL_VARIABLE in os.environ:
        yield Backend(os.environ[URL_VARIABLE], config_of(os.environ[EMBEDDINGS_VARIABLE]))
        return
    service = Service()
    service.start()
    try:
        yield Backend(service.url, CONFIG)
    finally:
        service.stop()
