"""What those who run a backend want to know of it first, for every edge that tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .client import Client

ADVICE: Final[Mapping[str, str]] = {
    "to_reembed": "memories were embedded by another model and are found by their words only: run 'openmem reembed'",
    "to_reindex": "memories were analysed by another version: run 'openmem reindex'",
}
"""What to do if a number of the report is not 0."""


async def backend_report(client: Client) -> dict[str, Any]:
    """Ask a backend how it is.

    By name: the ``provider``, its ``omp_version``, ``answered_in_ms``, and what `openmem.client.Client.details` says.

    Raises:
        OMPError: it does not answer.
    """
    await client.open()
    ports = client.provider.ports
    began = ports.monotonic()
    await client.ping()
    answered = ports.monotonic()
    capabilities = await client.capabilities()
    return {
        "provider": capabilities.provider,
        "omp_version": capabilities.omp_version,
        "answered_in_ms": round((answered - began) * 1000, 1),
        **await client.details(),
    }
