"""Listing a user's memories, page by page."""

from __future__ import annotations

from datetime import datetime

import pytest

from ...errors import InvalidRequestError
from ..contract import Contract, requires


class ListContract(Contract):
    """`list`."""

    @requires("add", "list")
    async def test_list_shows_no_other_user(self) -> None:
        mine = await self.two_users()
        assert [item.id for item in (await self.memory.list(self.user)).items] == [mine.id]
        assert (await self.memory.list(f"{self.user}%")).items == []

    @requires("add", "list")
    async def test_since_and_until_are_about_creation(self) -> None:
        records = [await self.memory.add(content=f"tea {n}", user_id=self.user) for n in range(4)]
        since, until = records[1].created_at, records[3].created_at
        for start, end in [(since, until), (since, None), (None, until), (until, since)]:
            for convert in (lambda moment: moment, lambda moment: moment.replace(tzinfo=None), datetime.isoformat):
                page = await self.memory.list(self.user, since=start and convert(start), until=end and convert(end))
                expected = {
                    record.id
                    for record in records
                    if (start is None or record.created_at >= start) and (end is None or record.created_at < end)
                }
                assert {item.id for item in page.items} == expected

    @requires("add", "list")
    async def test_list_is_newest_first_and_pages_agree_with_the_whole(self) -> None:
        added = [await self.memory.add(content=f"tea {n}", user_id=self.user) for n in range(7)]
        whole = await self.memory.list(self.user, limit=500)
        assert whole.next_cursor is None
        assert {item.id for item in whole.items} == {record.id for record in added}
        times = [item.created_at for item in whole.items]
        assert times == sorted(times, reverse=True)
        for limit in (1, 3, 7):
            pages = [await self.memory.list(self.user, limit=limit)]
            while pages[-1].next_cursor is not None:
                assert len(pages) < 7
                pages.append(await self.memory.list(self.user, limit=limit, cursor=pages[-1].next_cursor))
            assert [len(page.items) for page in pages[:-1]] == [limit] * (len(pages) - 1)
            assert [item for page in pages for item in page.items] == whole.items

    @requires("add", "delete", "list")
    async def test_a_walk_survives_inserts_and_deletes(self) -> None:
        added = [(await self.memory.add(content=f"tea {n}", user_id=self.user)).id for n in range(9)]
        first = await self.memory.list(self.user, limit=3)
        seen = [item.id for item in first.items]
        assert seen == added[:5:-1]
        await self.memory.add(content="tea, new", user_id=self.user)
        await self.memory.delete(seen[-1])
        await self.memory.delete(added[4])
        cursor = first.next_cursor
        while cursor is not None:
            page = await self.memory.list(self.user, limit=3, cursor=cursor)
            seen += [item.id for item in page.items]
            cursor = page.next_cursor
            assert len(seen) <= 8
        assert seen == [added[n] for n in (8, 7, 6, 5, 3, 2, 1, 0)]

    @requires("add", "list")
    async def test_a_tag_selects(self) -> None:
        tags = {"plain": ["work"], "both": ["work", "home"], "like": ["w_rk%"], "none": [], "case": ["Work"]}
        ids = {
            name: (await self.memory.add(content=name, user_id=self.user, tags=value)).id
            for name, value in tags.items()
        }
        for tag, expected in {"work": {"plain", "both"}, "home": {"both"}, "w_rk%": {"like"}, "%": set()}.items():
            found = (await self.memory.list(self.user, tag=tag)).items
            assert {item.id for item in found} == {ids[name] for name in expected}

    @requires("add", "list")
    async def test_a_cursor_that_is_malformed_or_foreign_is_refused(self) -> None:
        for user in (self.user, self.other):
            for n in range(3):
                await self.memory.add(content=f"tea {n}", user_id=user, tags=["t"])
        cursor = (await self.memory.list(self.user, limit=1)).next_cursor
        assert cursor is not None
        damaged = [cursor[:-3], cursor[3:], cursor + "AAAA", cursor.swapcase()]
        for bad in ["", "x", "a\0b", "\ud800", "é", "null", "e30", "W10", "A" * 9999, *damaged]:
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.list(self.user, limit=1, cursor=bad)
        for user, tag in ((self.other, None), (self.user, "t")):
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.list(user, tag=tag, limit=1, cursor=cursor)
