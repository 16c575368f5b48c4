"""What is learned of an embedder before its similarities are compared; see `openmem.ranking.calibration`."""

from __future__ import annotations

import logging
import pkgutil
from functools import cache
from typing import Final

from ..errors import OMPError
from ..ports import Ports
from ..ports.models import EmbedderIO, Vectors
from ..ranking.calibration import baselines

logger = logging.getLogger("openmem.embedders")

STOPPED_RETRY_SECONDS: Final = 30.0
"""After how long a model is calibrated again if the search that did it was cancelled.

If the next search did it, searches with a deadline that a slow model does not meet would be cancelled one after the
other.
"""


@cache
def notes() -> tuple[tuple[str, ...], ...]:
    """Notes on everyday things, those of one language in one group."""
    data = pkgutil.get_data(__package__, "calibration_notes.txt")
    assert data is not None
    return tuple(tuple(group.split("\n")) for group in data.decode().strip().split("\n\n"))


async def learn(embedder: EmbedderIO, ports: Ports) -> Vectors | None:
    """The baselines of a model: none if its vectors have no meaning, and None if it could not embed the notes."""
    texts = [note for group in notes() for note in group]
    try:
        vectors = iter(await embedder.embed(texts))
    except OMPError as error:
        report_failure(embedder.model, error)
        return None
    return await ports.run_cpu(baselines, [[next(vectors) for _ in group] for group in notes()])


def report_failure(model: str, error: OMPError) -> None:
    """Log that a model is not calibrated, which does not concern the caller of a verb."""
    logger.debug("the embedder %r is not calibrated: %s", model, type(error).__name__)
