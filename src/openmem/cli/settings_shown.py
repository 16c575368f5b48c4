"""The settings that count, as people and programs are shown them."""

from __future__ import annotations

from typing import Any, Final

from .connection import Connection
from .output import Column
from .profiles import SECRETS

HIDDEN: Final = "(not shown)"

SETTINGS_COLUMNS: Final = (
    Column("SETTING", lambda row: row["name"]),
    Column("VALUE", lambda row: row["value"], is_flexible=True),
    Column("FROM", lambda row: row["origin"]),
)


def shown_settings(connection: Connection) -> list[dict[str, Any]]:
    """The settings, each with its ``name``, its ``value`` (a secret's is hidden), and its ``origin``."""
    origins = connection.given.origins
    values: dict[str, Any] = {"provider": connection.provider, **connection.given.values}
    if connection.key_command is not None:
        values["api_key"] = HIDDEN
        origins = {**origins, "api_key": "api_key_command"}
    return [
        {
            "name": name,
            "value": HIDDEN if name in SECRETS else _plain(value),
            "origin": origins.get(name, "default"),
        }
        for name, value in values.items()
    ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | list) else str(value)
