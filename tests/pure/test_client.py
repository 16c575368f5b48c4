"""The core that edges use: operations with a call of their own, and what it tells of the backend."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openmem import AsyncMemory, Memory
from openmem.access import Grants
from openmem.call import Call
from openmem.client import Client
from openmem.config import ClientConfig
from openmem.drivers.blocking import BlockingPorts
from openmem.errors import InvalidRequestError, NotFoundError, ScopeDeniedError, UnsupportedCapabilityError
from openmem.operations import Add, Get, List
from openmem.ports import run_blocking


def test_an_operation_with_a_call_of_its_own() -> None:
    with Memory("memory") as memory:
        client = memory.client
        add = Add(content="tea", user_id="u", scope="food")
        record = run_blocking(client.run(add, Call("r1", app="edge")))
        assert memory.get(record.id) == record
        only_work = Call("r2", grants=Grants.parse(["read:work/*"]))
        with pytest.raises(ScopeDeniedError) as denied:
            run_blocking(client.run(Get(id=record.id), only_work))
        assert denied.value.request_id == "r2"
        with pytest.raises(NotFoundError) as missing:
            run_blocking(client.run(Get(id=record.id), Call("r3", users=frozenset({"v"}))))
        assert (missing.value.request_id, missing.value.provider) == ("r3", "memory")


def test_an_idempotency_key_that_the_backend_would_forget_is_refused() -> None:
    with Memory("letta", host="http://127.0.0.1:9") as memory:
        for write in (
            lambda: memory.add(content="tea", user_id="u", idempotency_key="k"),
            lambda: memory.add_many([{"content": "tea", "user_id": "u"}], idempotency_key="k"),
        ):
            with pytest.raises(UnsupportedCapabilityError):
                write()
    with Memory("memory") as memory:
        first, again = (memory.add(content="tea", user_id="u", idempotency_key="k") for _ in range(2))
        assert first.id == again.id
        for wrong in ("", " ", "a\0b", "\ud800", "x" * 513, 5):
            with pytest.raises(InvalidRequestError, match=r"^idempotency_key: "):
                memory.add_many([{"content": "tea", "user_id": "u"}], idempotency_key=wrong)  # type: ignore[arg-type]
        assert len(memory.list("u")) == 1


def test_a_client_shows_its_provider_and_no_setting() -> None:
    memory = Memory("letta", host="http://127.0.0.1:9", api_key="a-secret-key")
    assert repr(memory) == "<Memory, provider 'letta'>"
    memory.close()
    assert repr(memory) == "<Memory, provider 'letta', closed>"
    assert repr(AsyncMemory("memory")) == "<AsyncMemory, provider 'memory'>"


def test_what_it_tells_of_the_backend() -> None:
    with Memory("memory") as memory:
        client = memory.client
        run_blocking(client.ping())
        assert client.remembers_keys
        assert client.pool_usage() is None
        assert run_blocking(client.capabilities()) is memory.capabilities()
        assert client.provider.name == "memory"


def test_a_client_without_a_facade() -> None:
    config = ClientConfig(token_counter=len)
    client = Client("memory", config, BlockingPorts, "the edge")
    assert run_blocking(client.run(List(user_id="u"))).items == []
    run_blocking(client.close())
    run_blocking(client.close())
    for use in (lambda: client.run(List(user_id="u")), client.ping, client.open, client.capabilities):
        call: Any = use
        with pytest.raises(RuntimeError, match="the edge is closed"):
            call()


def test_a_client_belongs_to_its_loop() -> None:
    memory = AsyncMemory("memory")
    record = asyncio.run(_added(memory))

    async def another() -> None:
        with pytest.raises(RuntimeError, match="different event loop"):
            await memory.client.run(Get(id=record))

    asyncio.run(another())


async def _added(memory: AsyncMemory) -> str:
    return (await memory.client.run(Add(content="tea", user_id="u"))).id
