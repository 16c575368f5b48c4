"""Finding out whether ``base_url`` is an OMP server or the vendor's own API."""

from __future__ import annotations

from collections.abc import Callable

from ..config import ClientConfig
from ..operations import Operation
from ..ports import Ports
from .base import Call, Provider
from .passthrough import PassthroughProvider


class DetectingProvider(Provider):
    """Stands in for a provider whose ``base_url`` has not been asked yet.

    On opening it becomes the passthrough provider if the URL answers as an OMP server, and otherwise
    the provider that was named, on the same URL.

    Args:
        name: the named provider.
        make: makes the named provider.
    """

    capabilities_are_remote = True

    def __init__(
        self, name: str, make: Callable[[ClientConfig, Ports], Provider], config: ClientConfig, ports: Ports
    ) -> None:
        super().__init__(config, ports)
        self.name = name
        self._make = make
        self._settled: Provider | None = None

    @property
    def settled(self) -> Provider:
        return self._settled or self

    def check(self, op: Operation, call: Call) -> None:
        self.check_access(op, call)

    async def open(self) -> None:
        if self._settled is None:
            passthrough = PassthroughProvider(self.config, self.ports)
            is_omp = False
            try:
                is_omp = await passthrough.probe()
            finally:
                if not is_omp:
                    await passthrough.close()
            self._settled = passthrough if is_omp else self._make(self.config, self.ports)
        if not isinstance(self._settled, PassthroughProvider):
            await self._settled.open()

    async def close(self) -> None:
        if self._settled is not None:
            await self._settled.close()
