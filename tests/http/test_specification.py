"""The server's own OpenAPI document against the protocol's, written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import validate

from openmem.server.openapi import openapi_document

SPECIFICATION = Path(__file__).parents[2] / "spec" / "omp-0.1.openapi.yaml"
BOUNDS = ("minimum", "maximum", "maxItems", "format", "default")


def resolved(document: dict[str, Any], value: Any) -> Any:
    """`value` with its references followed."""
    if isinstance(value, dict):
        if "$ref" in value:
            target: Any = document
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            return resolved(document, target)
        return {name: resolved(document, item) for name, item in value.items()}
    if isinstance(value, list):
        return [resolved(document, item) for item in value]
    return value


def branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    alternatives: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return alternatives


def kinds(schema: dict[str, Any]) -> set[str]:
    """The JSON types a schema allows."""
    found: set[str] = set()
    for branch in branches(schema):
        if "const" in branch or "enum" in branch:
            values = branch.get("enum", [branch.get("const")])
            found |= {"null" if value is None else "string" for value in values}
        else:
            types = branch.get("type", [])
            found |= {types} if isinstance(types, str) else set(types)
    return found


def bounds(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        name: branch[name]
        for branch in branches(schema)
        for name in BOUNDS
        if name in branch and branch[name] not in (None, "")
    } | ({"default": schema["default"]} if schema.get("default") else {})


def schema_of(parameter: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, which may be JSON in text."""
    schema: dict[str, Any] = parameter.get("schema") or parameter["content"]["application/json"]["schema"]
    return schema


def outline(document: dict[str, Any]) -> dict[str, Any]:
    """What a client must know of every operation, without prose."""
    operations: dict[str, Any] = {}
    for path, item in document["paths"].items():
        for method in {"get", "post", "put", "patch", "delete"} & set(item):
            operation = resolved(document, item[method])
            shared = resolved(document, item.get("parameters", []))
            parameters = {
                (parameter["in"], parameter["name"]): (
                    parameter.get("required", False),
                    "content" in parameter,
                    kinds(schema_of(parameter)),
                )
                for parameter in [*shared, *operation.get("parameters", [])]
            }
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            [(status, reply)] = [pair for pair in operation["responses"].items() if pair[0] != "default"]
            schema = reply.get("content", {}).get("application/json", {}).get("schema", {})
            operations[f"{method} {path}"] = {
                "name": operation["operationId"],
                "parameters": parameters,
                "body": {name: kinds(field) for name, field in body.get("properties", {}).items()},
                "required": set(body.get("required", ())),
                "status": status,
                "headers": set(reply.get("headers", {})) - {"X-Request-Id"},
                "reply": set(schema.get("properties", {})),
                "reply required": set(schema.get("required", ())),
            }
    return operations


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
    return document


def test_both_documents_are_valid(specification: dict[str, Any]) -> None:
    validate(specification)
    validate(openapi_document())


def test_the_length_of_a_list_is_in_items() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert not ({"maxLength", "minLength"} & set(value) and value.get("type") == "array"), value
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(part)

    check(openapi_document())


def test_they_describe_the_same_operations(specification: dict[str, Any]) -> None:
    assert outline(openapi_document()) == outline(specification)


def test_they_agree_on_the_bounds_of_query_parameters(specification: dict[str, Any]) -> None:
    def query_bounds(document: dict[str, Any]) -> dict[str, Any]:
        return {
            f"{path} {parameter['name']}": bounds(schema_of(parameter))
            for path, item in document["paths"].items()
            for parameter in resolved(
                document, [*item.get("parameters", []), *item.get("get", {}).get("parameters", [])]
            )
            if parameter["in"] == "query" and parameter["name"] != "min_score"
        }

    assert query_bounds(openapi_document()) == query_bounds(specification)
