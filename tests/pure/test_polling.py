"""How long a provider waits for what is ingested later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from openmem import ProviderError
from openmem.config import ClientConfig
from openmem.drivers.asyncio import AsyncPorts
from openmem.drivers.blocking import BlockingPorts
from openmem.operations import WaitForIngest
from openmem.ports import Ports, run_blocking
from openmem.providers.base import Provider
from openmem.tokens import estimate_tokens

Run = Callable[[Coroutine[Any, Any, None]], None]
MODES = pytest.mark.parametrize(("make", "run"), [(BlockingPorts, run_blocking), (AsyncPorts, asyncio.run)])


class Slow(Provider):
    """A backend that takes its time to say that nothing is ingested yet."""

    name = "slow"
    seconds = 0.0
    asked = 0

    async def is_ingested(self, id: str) -> bool:
        self.asked += 1
        await self.ports.sleep(self.seconds)
        return False


def wait(make: Callable[[], Ports], run: Run, seconds: float, timeout: float) -> tuple[Slow, float, ProviderError]:
    """The provider, how long it waited, and its error, where each question takes some seconds."""

    async def main() -> None:
        provider = Slow(ClientConfig(token_counter=estimate_tokens), make())
        provider.seconds = seconds
        providers.append(provider)
        await provider.poll(WaitForIngest(ids=["a", "b"], user_id="maya", timeout=timeout), provider.is_ingested)

    providers: list[Slow] = []
    begin = time.monotonic()
    with pytest.raises(ProviderError, match="'a' was still queued") as late:
        run(main())
    return providers[0], time.monotonic() - begin, late.value


@MODES
def test_a_question_without_an_answer_does_not_prolong_the_wait(make: Callable[[], Ports], run: Run) -> None:
    _, waited, error = wait(make, run, seconds=6.0, timeout=0.2)
    assert error.code == "ingestion_timeout"
    assert waited < 3


@MODES
def test_the_time_that_answers_take_counts(make: Callable[[], Ports], run: Run) -> None:
    provider, waited, _ = wait(make, run, seconds=0.2, timeout=1.0)
    assert 1 <= waited < 4
    assert provider.asked <= 5


@MODES
def test_without_time_the_backend_is_asked_once(make: Callable[[], Ports], run: Run) -> None:
    provider, _, error = wait(make, run, seconds=0.1, timeout=0)
    assert error.code == "ingestion_timeout"
    assert provider.asked == 1
