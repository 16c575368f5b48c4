"""Arguments that every client refuses, with what the message says."""

from __future__ import annotations

import pytest

from ...errors import InvalidRequestError
from .. import cases
from ..contract import Contract, requires


class ArgumentsContract(Contract):
    """Calls that are refused for their arguments."""

    @requires()
    @pytest.mark.parametrize("verb", cases.VALID)
    async def test_wrong_arguments_are_refused_before_anything_is_sent(self, verb: str) -> None:
        async with self.no_io_client() as client:
            for name, field, arguments in cases.refused_calls():
                if name == verb:
                    with pytest.raises(InvalidRequestError, match=field) as refusal:
                        await getattr(client, verb)(**arguments)
                    assert (refusal.value.code, refusal.value.type) == ("invalid_request", "invalid")

    @requires()
    async def test_unknown_keywords_are_errors(self) -> None:
        for verb, arguments in cases.VALID.items():
            with pytest.raises(InvalidRequestError if verb in ("add", "put") else TypeError, match="nonsense"):
                await getattr(self.memory, verb)(**arguments, nonsense=1)

    @requires("add", "get", "update")
    async def test_a_memory_that_searches_find_keeps_some_text(self) -> None:
        record = await self.memory.add(content="likes green tea", user_id=self.user)
        for content in ("", " \n"):
            with pytest.raises(InvalidRequestError, match=r"^content: is empty"):
                await self.memory.update(record.id, content=content)
        assert (await self.memory.get(record.id)).content == "likes green tea"

    @requires("add", "get", "max_content_length")
    async def test_content_is_bounded_as_advertised(self) -> None:
        bound = self.capabilities.features.max_content_length
        assert bound is not None
        record = await self.memory.add(content="é" * bound, user_id=self.user)
        assert (await self.memory.get(record.id)).content == "é" * bound
        for verb, arguments in [
            ("add", {"content": "é" * (bound + 1), "user_id": self.user}),
            ("update", {"id": record.id, "content": "é" * (bound + 1)}),
            ("search", {"query": "é" * (bound + 1), "user_id": self.user}),
            ("context", {"query": "é" * (bound + 1), "user_id": self.user}),
        ]:
            if self.offers(verb):
                with pytest.raises(InvalidRequestError, match=r"^(content|query):"):
                    await getattr(self.memory, verb)(**arguments)
