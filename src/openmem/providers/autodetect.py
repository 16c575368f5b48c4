"""Finding out whether ``base_url`` is an OMP server or the vendor's own API."""

from __future__ import annotations

from collections.abc import Callable

from ..call import Call
from ..config import ClientConfig
from ..operations import Operation
from ..ports import Ports
from .base import Provider
from .passthrough import PassthroughProvider


class AutoDetectProvider(Provider):
    """Stands in for a provider whose ``base_url`` has not been asked yet. It has no verbs of its own.

    Args:
        name: the named provider.
        make: makes the named provider.
    """

    capabilities_are_remote = True
    remembers_keys = True
    """As long as it is not known which provider it is."""

    def __init__(
        self, name: str, make: Callable[[ClientConfig, Ports], Provider], config: ClientConfig, ports: Ports
    ) -> None:
        super().__init__(config, ports)
        self.name = name
        self._make = make

    def check(self, op: Operation, call: Call) -> None:
        self.check_access(op, call)

    async def resolve(self) -> Provider:
        """The passthrough provider if the URL answers as an OMP server, otherwise the named one on the same URL.

        Raises:
            ProviderError: the server cannot be reached or is failing, so that this is not known.
        """
        passthrough = PassthroughProvider(self.config, self.ports)
        is_omp = False
        try:
            is_omp = await passthrough.probe()
        finally:
            if not is_omp:
                await passthrough.close()
        return passthrough if is_omp else self._make(self.config, self.ports)
