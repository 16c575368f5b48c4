"""What `AsyncMemory` promises beyond `Memory`: the loop runs on, and `open` can be cancelled."""

from __future__ import annotations

import asyncio

import pytest

from openmem import AsyncMemory

from .conftest import Home


def test_the_loop_runs_on_while_the_server_starts_and_stops(home: Home) -> None:
    async def main() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1

        counting = asyncio.create_task(count())
        memory = AsyncMemory("local", path=home.path, embedder="hashing")
        async with memory:
            assert home.is_running
            while_starting, turns = turns, 0
        while_stopping = turns
        counting.cancel()
        assert min(while_starting, while_stopping) >= 10
        assert home.cluster.state() is None

    asyncio.run(main())


@pytest.mark.parametrize("delay", [0.0, 0.1])
def test_a_cancelled_open_leaves_nothing_behind(fresh: Home, delay: float) -> None:
    async def main() -> None:
        memory = AsyncMemory("local", path=fresh.path, embedder="hashing")
        opening = asyncio.create_task(memory.list("u"))
        await asyncio.sleep(delay)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await memory.close()

    asyncio.run(main())
    assert fresh.cluster.state() is None if fresh.path.exists() else True


def test_a_client_whose_open_was_cancelled_still_works(fresh: Home) -> None:
    async def main() -> None:
        memory = AsyncMemory("local", path=fresh.path, embedder="hashing")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await memory.list("u")
        await memory.add(content="after all", user_id="u")
        assert fresh.is_running
        await memory.close()

    asyncio.run(main())
    assert fresh.cluster.state() is None
