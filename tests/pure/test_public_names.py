"""The names that modules offer to applications and to authors of providers; those of `openmem` are in test_facades."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import openmem

SOURCE = Path(openmem.__file__).parent
PINNED = Path(__file__).with_name("public_names.txt")
FOR_AUTHORS = {
    "openmem.embedders",
    "openmem.operations",
    "openmem.ports",
    "openmem.providers.base",
    "openmem.rerankers",
    "openmem.testing",
}


def modules() -> list[str]:
    """The modules below the package that say what they offer."""
    found = []
    for path in SOURCE.rglob("*.py"):
        if re.search(r"^__all__ = ", path.read_text(encoding="utf-8"), re.MULTILINE):
            parts = path.relative_to(SOURCE.parent).with_suffix("").parts
            found.append(".".join(parts).removesuffix(".__init__"))
    return sorted(set(found) - {"openmem"})


def test_public_names_change_on_purpose() -> None:
    """After a change on purpose, write it into public_names.txt too."""
    told = [f"{name}: {' '.join(sorted(importlib.import_module(name).__all__))}" for name in modules()]
    assert "\n".join(told) == PINNED.read_text().strip()


def test_modules_for_authors_say_what_they_offer() -> None:
    assert set(modules()) >= FOR_AUTHORS
    for name in modules():
        module = importlib.import_module(name)
        assert [name for name in module.__all__ if name.startswith("_") or not hasattr(module, name)] == []
