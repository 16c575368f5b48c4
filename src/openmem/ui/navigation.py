"""How pages are found: the links at the top of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Place: TypeAlias = Literal["site", "user"]


@dataclass(frozen=True, slots=True)
class Link:
    """The place of a page in the navigation.

    Attributes:
        label: its name there.
        place: whether it is a page of the site, or of a user.
        is_administrative: whether it is only for those who may see and change everything.
    """

    label: str
    place: Place = "site"
    is_administrative: bool = False
