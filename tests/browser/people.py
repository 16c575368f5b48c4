"""A small store of a few people, for flows and for pictures of pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from openmem import Memory
from openmem._ids import memory_id_of

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)

MAYA: Final[tuple[tuple[int, str, str, tuple[str, ...]], ...]] = (
    (200, "Maya is vegetarian", "food", ("diet",)),
    (180, "Maya works as a nurse at the children's hospital", "work", ()),
    (171, "Her sister Lena lives in Hamburg", "family", ("people",)),
    (160, "Maya is allergic to walnuts", "food/allergies", ("diet", "health")),
    (150, "She plays the cello on Tuesday evenings", "leisure/music", ("music",)),
    (131, "Maya drinks her coffee with oat milk", "food", ("diet",)),
    (120, "Her night shifts are in the last week of the month", "work/shifts", ("calendar",)),
    (96, "The dog is called Pixel, and is afraid of thunder", "family", ("pets",)),
    (90, "Maya is learning Portuguese for a trip to Porto", "leisure/travel", ("travel",)),
    (71, "She prefers trains to planes", "leisure/travel", ("travel",)),
    (60, "Maya moved to Leipzig in June", "home", ("places",)),
    (44, "Her landlord is Mr Brandt, best reached in the morning", "home", ("people",)),
    (31, "Maya wants to run ten kilometres in spring", "health", ("goals",)),
    (22, "Pixel has to see the vet in December", "family/pets", ("pets", "calendar")),
    (9, "She reads crime novels, the Icelandic ones most of all", "leisure", ("books",)),
    (3, "Maya's cello teacher is ill until Christmas", "leisure/music", ("music", "calendar")),
)
"""Days before `NOON`, the text, the scope and the tags."""

OTHERS: Final = {
    "noor": ("Noor takes the night train to Vienna on Friday", "Noor's budget for the kitchen is 9,000 euros"),
    "ליאור": ("ליאור גר בתל אביב", "הוא אוהב קפה שחור ללא סוכר"),
    "太郎": ("太郎は京都に住んでいます",),
    "wei": ("Wei is the contact for invoices", "Wei is on leave in August"),
}


def fill(memory: Memory, *, maya: str = "maya") -> None:
    """Store all of it.

    Args:
        maya: the name of the user whose memories are `MAYA`.
    """
    memory.restore([_record(maya, number, *row) for number, row in enumerate(MAYA)])
    memory.put(
        key="diet", content="Maya is vegan", user_id=maya, scope="food", tags=["diet"],
        source={"app": "chat", "type": "explicit", "ref": "turn 81"}, confidence=0.95, metadata={"topic": "diet"},
    )  # fmt: skip
    memory.put(
        key="diet", content="Maya is vegan, but eats honey", user_id=maya, scope="food", tags=["diet"],
        source={"app": "chat", "type": "explicit", "ref": "turn 93"}, confidence=0.97, metadata={"topic": "diet"},
        keep_history=True,
    )  # fmt: skip


def fill_others(memory: Memory) -> None:
    """Store what there is of the others."""
    for user_id, texts in OTHERS.items():
        for text in texts:
            memory.add(content=text, user_id=user_id, scope="notes")


def _record(user_id: str, number: int, days: int, content: str, scope: str, tags: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id": memory_id_of(user_id, str(number)),
        "content": content,
        "user_id": user_id,
        "created_at": NOON - timedelta(days=days, minutes=37 * number),
        "scope": scope,
        "tags": list(tags),
        "source": {"app": ("chat", "calendar")[number % 3 == 1], "type": "extracted", "ref": f"turn {number * 7}"},
        "confidence": 0.9,
    }
