"""Searches by words alone, in many languages: alike with every provider that ranks by `openmem.analysis`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from openmem import AsyncMemory, Memory

FACTS = {
    "Lena ist allergisch gegen Erdnüsse": ("Erdnuss", "ERDNUSS", "Lena"),
    "Meine Krankenversicherung hat die Rechnung bezahlt": ("Versicherung", "Wie heißt die Versicherung?"),
    "Ich fahre immer mit dem Zug": ("Züge", "ich fahre Zug"),
    "Ma fille est allergique aux cacahuètes": ("cacahuete", "filles"),
    "Trabajo de enfermero en Málaga": ("enfermera", "malaga"),
    "Мою кошку зовут Мисо": ("кошка", "Как зовут кошку?"),
    "أشرب قهوتي بدون سكر": ("قهوة", "القهوة"),
    "나는 항상 기차를 탄다": ("기차", "기차가"),
    "我在上海的一家软件公司做后端工程师": ("上海", "软件公司"),
    "海上日出很美": ("日出", "海上日出"),
    "娘のレナはピーナッツアレルギーがある。": ("ピーナッツ", "ﾋﾟｰﾅｯﾂ"),
    "ลูกสาวของฉันชื่อลีนาแพ้ถั่วลิสง": ("ถั่วลิสง",),
    "The deploy fails with ERR-1042 on db01.example.com": ("err 1042", "ERR-1042", "db01", "example.com"),
    "getUserName is in src/auth/user_store.py": ("user name", "user_store.py", "getUserName"),
    "The train leaves at 09:30": ("9.30", "09.30", "9:30", "9:30am"),
    "El autobús sale a las 17.45": ("17:45",),
    "Maya is allergic to hazelnuts": ("allergies", "her allergy"),
    "Economy class is full": ("economic", "economically"),
}
QUERIES = [(query, fact) for fact, queries in FACTS.items() for query in queries]


class Nothing:
    """Vectors of zeros, which are like nothing, so that only words are compared."""

    model, dim = "nothing", 4

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[0.0] * self.dim for _ in texts]


@pytest.fixture(params=["postgres", "memory"])
def place(request: pytest.FixtureRequest, url: str) -> tuple[str, str | None]:
    """The name of a provider, and the URL that it needs."""
    return request.param, url if request.param == "postgres" else None


def test_words_of_every_language_are_found(place: tuple[str, str | None]) -> None:
    provider, url = place
    user = uuid.uuid4().hex
    with Memory(provider, url=url, embedder=Nothing()) as memory:
        for fact in FACTS:
            memory.add(content=fact, user_id=user)
        for query, fact in QUERIES:
            assert memory.search(query, user, limit=1)[0].memory.content == fact, query


def test_asynchronous_searches_have_the_language_of_the_client(place: tuple[str, str | None]) -> None:
    provider, url = place
    user = uuid.uuid4().hex

    async def run() -> list[tuple[str | None, float]]:
        async with AsyncMemory(provider, url=url, embedder=Nothing(), language="de") as memory:
            for word in ("Katzen", "Hunde"):
                await memory.add(content=word, user_id=user)
            return [(hit.memory.content, round(hit.score, 2)) for hit in await memory.search("die Katze", user)]

    assert asyncio.run(run()) == [("Katzen", 1.0)]
