"""A WSGI application whose client was used before gunicorn forks its workers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from openmem import Memory

USERS = 8

memory = Memory(**json.loads(os.environ["PREFORK_SETTINGS"]))
for number in range(USERS):
    memory.add(content=f"secret of user{number}", user_id=f"user{number}")
assert memory.list("user0").items


def application(environment: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """What the user has whose name is the path."""
    contents = [record.content for record in memory.list(environment["PATH_INFO"][1:]).items]
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), contents]).encode()]
