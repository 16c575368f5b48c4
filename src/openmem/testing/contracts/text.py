"""Text that backends are known to change: quotes, wildcards, control characters, surrogates."""

from __future__ import annotations

from typing import Any

import pytest

from ...errors import NotFoundError
from .. import cases
from ..contract import Contract, requires

LONGEST_TEXT_CHARACTERS = 100_000


class TextContract(Contract):
    """Awkward text in every field and every selection."""

    @requires("add", "get")
    @pytest.mark.parametrize("text", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_text_comes_back_from_every_field(self, text: str) -> None:
        extensions: dict[str, Any] = {"x-app": {text: [text, {"nested": text}]}}
        record = await self.memory.add(
            content=text,
            user_id=self.user + text[:400],
            tags=[text],
            source={"app": text, "ref": text},
            **extensions,
        )
        again = await self.memory.get(record.id)
        assert again == record
        assert (again.content, again.user_id, again.tags) == (text, self.user + text[:400], [text])
        assert again.source is not None
        assert (again.source.app, again.source.ref) == (text, text)
        assert again.extensions == extensions

    @requires("add", "get", "list", "search", "context", "scopes")
    async def test_two_halves_of_a_character_are_one(self) -> None:
        halves, whole = cases.HALVES, cases.WHOLE
        user = self.user + halves
        arguments: dict[str, Any] = {
            "content": f"likes {halves} tea",
            "scope": f"{halves}/x",
            "tags": [halves],
            "source": {"app": halves, "ref": halves, halves: halves},
            "x-app": {halves: [halves, {halves: halves}]},
        }
        added = [await self.memory.add(user_id=user, **arguments)]
        if self.offers("add_many"):
            added += await self.memory.add_many([{"user_id": user, **arguments}])
        for record in added:
            assert (record.content, record.user_id, record.scope) == (
                f"likes {whole} tea",
                self.user + whole,
                f"{whole}/x",
            )
            assert record.tags == [whole]
            assert record.source is not None
            assert record.source.to_wire() == {"app": whole, "ref": whole, whole: whole}
            assert record.extensions == {"x-app": {whole: [whole, {whole: whole}]}}
            assert await self.memory.get(record.id) == record
        selections: list[dict[str, Any]] = [{"scope": f"{halves}/*"}, {"tag": halves}]
        for filters in selections:
            assert len((await self.memory.list(user, **filters)).items) == len(added)
        assert len(await self.memory.search(f"{halves} tea", user, scope=f"{halves}/x")) == len(added)
        assert f"likes {whole} tea" in (await self.memory.context(f"{halves} tea", user, scope=halves)).text
        async with self.client(app=halves, grants=[f"read:{halves}/*"]) as client:
            assert len((await client.list(user)).items) == len(added)

    @requires("add", "get", "update")
    async def test_two_halves_of_a_character_are_one_in_an_update(self) -> None:
        added = await self.memory.add(content="tea", user_id=self.user)
        updated = await self.memory.update(added.id, content=f"{cases.HALVES} tea", tags=[cases.HALVES])
        assert (updated.content, updated.tags) == (f"{cases.WHOLE} tea", [cases.WHOLE])
        assert await self.memory.get(added.id) == updated

    @requires("add", "list", "search", "context", "scopes")
    @pytest.mark.parametrize("text", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_text_selects_as_it_stands(self, text: str) -> None:
        scope = "/".join(filter(str.strip, text.replace("*", "").split("/")))
        user = self.user + text[:400]
        added = await self.memory.add(content=text, user_id=user, scope=f"{scope}/x", tags=[text])
        await self.memory.add(content="tea", user_id=user, scope="other", tags=["other"])
        selections: list[dict[str, Any]] = [{"scope": f"{scope}/x"}, {"scope": f"{scope}/*"}, {"tag": text}]
        for filters in selections:
            assert [item.id for item in (await self.memory.list(user, **filters)).items] == [added.id]
        for hit in await self.memory.search(text, user, scope=f"{scope}/*"):
            assert hit.memory.id == added.id
        for citation in (await self.memory.context(text, user, scope=scope)).citations:
            assert citation.memory_id == added.id

    @requires("add", "audit", "supports_audit")
    @pytest.mark.parametrize("app", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_text_selects_audit_entries_as_it_stands(self, app: str) -> None:
        added = [
            await self.memory.add(content="tea", user_id=self.user, source={"app": name}) for name in (app, "other")
        ]
        assert [entry.memory_id for entry in await self.memory.audit(self.user, app=app)] == [added[0].id]

    @requires("add", "get", "update", "delete")
    @pytest.mark.parametrize("text", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_ids_name_nothing(self, text: str) -> None:
        stays = await self.memory.add(content="tea", user_id=self.user)
        for verb, arguments in [("get", {}), ("update", {"content": "x"}), ("delete", {})]:
            with pytest.raises(NotFoundError):
                await getattr(self.memory, verb)(id=text, **arguments)
        assert await self.memory.get(stays.id) == stays

    @requires("add", "get", "search")
    @pytest.mark.parametrize("unit", ["слово ", "🫠", "x", "a-b_c.d@e "], ids=ascii)
    async def test_long_content_comes_back(self, unit: str) -> None:
        bound = self.capabilities.features.max_content_length or LONGEST_TEXT_CHARACTERS
        length = min(bound, LONGEST_TEXT_CHARACTERS)
        content = (unit * length)[:length].strip() + "."
        record = await self.memory.add(content=content[-length:], user_id=self.user)
        assert (await self.memory.get(record.id)).content == content[-length:]
        assert all(hit.memory.id == record.id for hit in await self.memory.search(unit.strip(), self.user))
