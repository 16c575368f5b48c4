"""From templates and values to HTML. Everything is escaped; what is from memory is also shown in full view."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from ..delimited import parts_of
from .charts import columns, score_bar
from .static_files import PREFIX, path_of

EXCERPT_CHARACTERS: Final = 400
"""Of a memory in a list."""


@cache
def templates() -> Environment:
    """The templates of all pages."""
    environment = Environment(
        loader=PackageLoader("openmem.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "visible": visible,
        "visible_text": visible_text,
        "time": shown_time,
        "local": local_time,
        "excerpt": excerpt,
        "has_hidden": has_hidden,
        "pretty_json": pretty_json,
        "number": lambda value: f"{value:,}",
    }
    environment.globals |= {
        "url": url,
        "static": path_of,
        "changed": changed,
        "score_bar": score_bar,
        "columns": columns,
    }
    return environment


def url(page: str, **query: Any) -> str:
    """The address of a page.

    Args:
        query: what it is about; a list is one parameter for each of its values, and None is left out.
    """
    pairs = [
        (name, text)
        for name, value in query.items()
        if value is not None
        for text in ([value] if isinstance(value, str | int | float) else value)
    ]
    return f"{PREFIX}/{page}" + (f"?{urlencode(pairs)}" if pairs else "")


def changed(query: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A query with other values; None takes one out."""
    return {name: value for name, value in {**query, **changes}.items() if value is not None}


def visible(text: object) -> Markup:
    """Text from memory for the content of an element: escaped, with what cannot be seen as marked code points."""
    parts = [
        escape(part) if shown is None else Markup('<span class="hidden-characters">{}</span>').format(shown)
        for part, shown in parts_of(str(text))
    ]
    return parts[0] if len(parts) == 1 else Markup("").join(parts)


def visible_text(text: str) -> str:
    """The same for what has no elements in it, such as a name in a picture and an option of a list."""
    return "".join(part if shown is None else shown for part, shown in parts_of(text))


def has_hidden(text: str) -> bool:
    """Whether there is something in a text that cannot be seen."""
    return any(shown is not None for _, shown in parts_of(text))


def excerpt(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= EXCERPT_CHARACTERS else f"{text[:EXCERPT_CHARACTERS]}…"


def pretty_json(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


@pass_context
def shown_time(context: Context, moment: datetime) -> Markup:
    """A time to the minute, in the reader's zone."""
    zone: tzinfo = context["zone"]
    shown = _in_zone(moment, zone).replace(tzinfo=None).isoformat(" ", "minutes")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), shown)


@pass_context
def local_time(context: Context, moment: datetime | None) -> str:
    """A time as a form field has it, in the reader's zone; empty for none."""
    return local_text(moment, context["zone"])


def local_text(moment: datetime | None, zone: tzinfo) -> str:
    """A time as a form field has it; empty for none."""
    return "" if moment is None else _in_zone(moment, zone).replace(tzinfo=None).isoformat(timespec="seconds")


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def render(name: str, values: Mapping[str, Any]) -> str:
    """The HTML of a page."""
    return templates().get_template(name).render(values)
