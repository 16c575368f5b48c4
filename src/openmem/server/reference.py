"""The page ``/docs``: the OpenAPI document for people, in one reply, without scripts and without other hosts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from typing import Any, Final

from .openapi import openapi_document

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h2 { margin: 2.5rem 0 0.25rem; font-size: 1.15rem; border-top: 1px solid #ddd; padding-top: 1rem; }
h3 { margin: 1rem 0 0; font-size: 0.95rem; }
code { font: 0.9em ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #eee; }
nav ul { columns: 2; padding: 0; list-style: none; }
"""
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_BOUNDS: Final = {
    "minimum": "at least",
    "maximum": "at most",
    "maxLength": "characters at most:",
    "maxItems": "items at most:",
    "default": "by default",
}


@cache
def reference_page() -> str:
    """The page, as HTML."""
    document = openapi_document()
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    links = "".join(
        f'<li><a href="#{escape(operation["operationId"])}"><code>{method} {escape(path)}</code></a></li>'
        for method, path, operation in operations
    )
    sections = "".join(_operation(method, path, operation) for method, path, operation in operations)
    schemas = "".join(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>omp-server</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f"<h1>omp-server</h1><p>The Open Memory Protocol {escape(document['info']['version'])}. "
        'The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"<nav><ul>{links}</ul></nav>{sections}{schemas}</main></body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [f'<h2 id="{escape(operation["operationId"])}"><code>{method} {escape(path)}</code></h2>']
    parts.append(f"<p>{escape(operation.get('summary', ''))}</p>")
    parameters = [
        (parameter["name"], parameter["in"], parameter.get("required", False), _schema_of(parameter))
        for parameter in operation["parameters"]
    ]
    parts.append("<h3>Parameters</h3>" + _table(parameters))
    if "requestBody" in operation:
        parts.append("<h3>Body</h3>" + _fields(_json_of(operation["requestBody"]), "body"))
    for status, reply in operation["responses"].items():
        shown = _type(_json_of(reply)) if "content" in reply else "nothing"
        parts.append(f"<h3>{'Error' if status == 'default' else status}</h3><p>{shown}</p>")
    return "".join(parts)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    return f'<h2 id="schema-{escape(name)}"><code>{escape(name)}</code></h2>' + _fields(schema, "")


def _fields(schema: Mapping[str, Any], place: str) -> str:
    required = schema.get("required", ())
    rows = [(name, place, name in required, field) for name, field in schema.get("properties", {}).items()]
    return _table(rows) if rows else f"<p>{_type(schema)}</p>"


def _table(rows: Iterable[tuple[str, str, bool, Mapping[str, Any]]]) -> str:
    shown = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{place}</td><td>{'required' if is_required else ''}</td>"
        f"<td>{_type(schema)}</td></tr>"
        for name, place, is_required, schema in rows
    )
    return f"<table>{shown}</table>"


def _type(schema: Mapping[str, Any]) -> str:
    """What a value is, in words and links."""
    match schema:
        case {"$ref": str(ref)}:
            name = escape(ref.rpartition("/")[2])
            return f'<a href="#schema-{name}"><code>{name}</code></a>'
        case {"anyOf": branches}:
            shown = " or ".join(_type(branch) for branch in branches)
        case {"enum": values}:
            shown = " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
        case {"const": value}:
            shown = f"<code>{escape(json.dumps(value))}</code>"
        case {"type": "array", "items": items}:
            shown = f"list of {_type(items)}"
        case {"type": "object", "properties": fields}:
            shown = "object with " + ", ".join(
                f"<code>{escape(name)}</code>: {_type(field)}" for name, field in fields.items()
            )
        case _:
            shown = escape(str(schema.get("format") or schema.get("type") or "any JSON"))
    bounds = [
        f"{words} {escape(json.dumps(schema[name]))}" for name, words in _BOUNDS.items() if schema.get(name) is not None
    ]
    return f"{shown} ({', '.join(bounds)})" if bounds else shown


def _schema_of(parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = parameter["schema"] if "schema" in parameter else _json_of(parameter)
    return found


def _json_of(described: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = described["content"]["application/json"]["schema"]
    return schema
