"""What is said after a change, on the page that is shown then. Addresses carry the name of a notice, never its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOTICES: Final[Mapping[str, tuple[str, str]]] = {
    "added": ("The memory is stored.", "The memories are stored."),
    "deleted": ("1 memory is deleted for good.", "{n} memories are deleted for good."),
    "forgotten": (
        "1 memory is forgotten: it is not valid any more. Restore makes it valid again.",
        "{n} memories are forgotten: they are not valid any more. Restore makes them valid again.",
    ),
    "replaced": (
        "This memory has replaced the old one, which is in the history below.",
        "This memory has replaced the old ones, which are in the history below.",
    ),
    "restored": ("1 memory is valid again.", "{n} memories are valid again."),
    "revoked": ("The key is revoked.", "The keys are revoked."),
    "unchanged": ("Nothing was changed.", "Nothing was changed."),
    "saved": ("The memory is saved.", "The memory is saved."),
}
"""By name: of one thing, and of several."""

UNDONE_BY: Final[Mapping[str, str]] = {"forgotten": "restore", "restored": "forget"}
"""What undoes it, as an action of the page of memories."""


def notice(name: str | None, number: str | None) -> str | None:
    """The text of a notice; None if there is none of this name."""
    if name is None or name not in NOTICES:
        return None
    count = int(number) if number is not None and number.isdecimal() and len(number) < 7 else 1
    one, several = NOTICES[name]
    return one if count == 1 else several.format(n=f"{count:,}")
