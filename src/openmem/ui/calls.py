"""Verbs as code that people copy: for a terminal and for Python."""

from __future__ import annotations

import json
import shlex
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from ..operations import Context, Operation, Search
from ..server.config import OmpServerConfig
from ..wire.route import Route
from ..wire.routes import CONTEXT, SEARCH
from .safety import is_secure
from .visit import Visit

KEY_VARIABLE = "OMP_API_KEY"
SERVED = f"http://127.0.0.1:{OmpServerConfig().port}"
"""Where ``openmem serve`` answers, for the readers of a server that has an API for nobody."""


class Examples(NamedTuple):
    """The calls of a page as code."""

    curl: str
    python: str


def examples_of(visit: Visit, search: Search, context: Context) -> Examples:
    """A search and a context as a reader of the page would make them."""
    base = f"{'https' if is_secure(visit.request) else 'http'}://{visit.request.headers.get('host', 'localhost')}"
    has_keys = visit.site.config.has_keys and visit.site.config.ui_ticket is None
    if visit.site.config.ui_ticket is not None:
        base = SERVED
    curl = "\n".join(_curl(base, route, op, has_keys) for route, op in ((SEARCH, search), (CONTEXT, context)))
    return Examples(curl, _python(base, search, context, has_keys))


def _curl(base: str, route: Route[Any], op: Operation[Any], has_keys: bool) -> str:
    """Of ASCII alone, so that what is copied is what was seen."""
    request = route.request(op)
    key = f' \\\n  -H "Authorization: Bearer ${KEY_VARIABLE}"' if has_keys else ""
    if request.body is not None:
        body = shlex.quote(json.dumps(request.body))
        return f"curl {shlex.quote(base + request.path)}{key} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"
    pairs = [(name, text) for name, texts in request.query.items() for text in texts]
    address = f"{base}{request.path}?{urlencode(pairs, quote_via=quote, safe='')}"
    return f"curl {shlex.quote(address)}{key}"


def _python(base: str, search: Search, context: Context, has_keys: bool) -> str:
    key = f', api_key=os.environ["{KEY_VARIABLE}"]' if has_keys else ""
    lines = [
        *(["import os", ""] if has_keys else []),
        "from openmem import Memory",
        "",
        f"with Memory(base_url={base!r}{key}) as memory:",
        f"    results = memory.search({_arguments(search)})",
        f"    block = memory.context({_arguments(context)})",
        "    print(block.text)",
    ]
    return "\n".join(lines)


def _arguments(op: Operation[Any]) -> str:
    """What was given, as Python; `repr` escapes what cannot be seen."""
    given = {
        name: value
        for name, value in op.model_dump(mode="json", exclude_unset=True, exclude={"query", "user_id"}).items()
        if value is not None and value is not False
    }
    return "".join(
        [repr(vars(op)["query"]), f", user_id={vars(op)['user_id']!r}", *(f", {n}={v!r}" for n, v in given.items())]
    )
