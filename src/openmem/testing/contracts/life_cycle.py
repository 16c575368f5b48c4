"""Opening and closing a client."""

from __future__ import annotations

import functools

import pytest

from ...errors import ProviderError
from ...providers.base import Provider
from .. import cases
from ..contract import Contract, opening_replaced, requires


class LifeCycleContract(Contract):
    """Constructor, ``with`` block, `close`."""

    @requires()
    async def test_a_client_connects_by_itself(self) -> None:
        client = self.client()
        try:
            if self.offers("list"):
                assert (await client.list(self.user)).items == []
        finally:
            await client.close()

    @requires()
    async def test_calls_that_wait_for_one_failed_connection_have_errors_of_their_own(self) -> None:
        client = self.client()

        async def fail(provider: Provider) -> None:
            await provider.ports.sleep(0.2)
            raise ProviderError("the backend is away", code="provider_unavailable")

        with opening_replaced(fail):
            verbs = [verb for verb in cases.VALID if self.offers(verb)]
            calls = [functools.partial(getattr(client, verb), **cases.VALID[verb]) for verb in verbs]
            errors = await self.mode.at_once(*calls)
            for error in errors:
                assert isinstance(error, ProviderError)
                assert (error.code, error.message) == ("provider_unavailable", "the backend is away")
                assert error.provider
            assert len({error.request_id for error in errors} - {None}) == len(verbs)
        await client.close()

    @requires()
    async def test_a_closed_client_says_so(self) -> None:
        async with self.client() as client:
            await client.capabilities()
        await client.close()
        await client.close()
        for verb, arguments in {**cases.VALID, "capabilities": {}}.items():
            with pytest.raises(RuntimeError, match="Memory is closed"):
                await getattr(client, verb)(**arguments)
        with pytest.raises(RuntimeError, match="Memory is closed"):
            async with client:
                pass

    @requires()
    async def test_a_client_that_was_never_used_can_be_closed(self) -> None:
        client = self.client()
        await client.close()
        await client.close()

    @requires()
    async def test_the_block_of_a_client_lets_errors_through_and_closes(self) -> None:
        client = self.client()
        with pytest.raises(ZeroDivisionError):
            async with client:
                raise ZeroDivisionError
        with pytest.raises(RuntimeError, match="is closed"):
            await client.capabilities()
