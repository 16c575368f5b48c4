"""Writes the table of verbs and features in docs/providers.md from what the providers advertise.

``matrix.py`` rewrites the table; ``matrix.py --check`` fails if it is not current. Nothing is sent
anywhere: the providers know their capabilities without a connection.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from openmem import Capabilities, Memory, operations

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "providers.md"
BEGIN: Final = "<!-- the table below is made by tools/matrix.py -->"
END: Final = "<!-- end of the table -->"
PROVIDERS: Final[dict[str, dict[str, Any]]] = {
    "postgres, local": {"provider": "postgres", "url": "postgresql://localhost/omp", "embedder": "hashing"},
    "memory": {"provider": "memory"},
    "mem0 (hosted)": {"provider": "mem0", "api_key": "m0-none"},
    "mem0 (engine)": {
        "provider": "mem0",
        "config": {"vector_store": {"provider": "qdrant", "config": {"path": ":memory:"}}},
        "embedder": "hashing",
    },
    "supermemory": {"provider": "supermemory", "api_key": "sm-none"},
    "letta": {"provider": "letta", "api_key": "none"},
}
VERBS: Final = tuple(verb.verb for verb in operations.VERBS if verb.is_wire_verb)


def table() -> str:
    """The table in Markdown."""
    columns = {name: _capabilities(arguments) for name, arguments in PROVIDERS.items()}
    rows = [
        ["", *columns],
        ["---"] * (len(columns) + 1),
        *([f"`{verb}`", *(_cell(verb in found.verbs) for found in columns.values())] for verb in VERBS),
        *([f"`{name}`", *(_cell(value) for value in values)] for name, values in _features(columns).items()),
        ["results of a search, at most", *(_cell(found.limits.max_search_results) for found in columns.values())],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _features(columns: dict[str, Capabilities]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for found in columns.values() for name in found.features.model_dump())
    return {name: [getattr(found.features, name, None) for found in columns.values()] for name in names}


def _capabilities(arguments: dict[str, Any]) -> Capabilities:
    memory = Memory(**arguments)
    try:
        return memory.capabilities()
    finally:
        memory.close()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def page(text: str) -> str:
    """The page with a fresh table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    """Rewrite or check the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if the table is not current")
    options = parser.parse_args()
    current = PAGE.read_text(encoding="utf-8")
    fresh = page(current)
    if not options.check:
        PAGE.write_text(fresh, encoding="utf-8")
    elif fresh != current:
        sys.exit(f"{PAGE.name} is not current; run: python tools/matrix.py")


if __name__ == "__main__":
    main()
