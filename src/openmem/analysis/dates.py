"""Dates as words."""

from __future__ import annotations

from datetime import datetime
from typing import Final

MONTHS: Final = (
    "januari", "februari", "march", "april", "may", "june", "juli", "august", "septemb", "octob", "novemb", "decemb",
)  # fmt: skip


def lexemes_of_date(moment: datetime) -> list[str]:
    """The day, the month and the year, as the words of a text that names them."""
    return [str(moment.day), MONTHS[moment.month - 1], str(moment.year)]
