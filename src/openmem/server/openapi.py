"""The OpenAPI document of a running server, made from the route table and the models.

The protocol's own document is ``spec/omp-0.1.openapi.yaml``, written by hand; the tests hold this one,
and what the server really answers, against it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from ..explanations import EXTENSION, Explanation
from ..models import OMP_VERSION, Capabilities, MemoryRecord, SearchResult, WireModel
from ..operations import Add, AddMany, Audit, Put
from ..wire import CAPABILITIES_PATH, HEALTH_PATH, IDEMPOTENCY_HEADER, REQUEST_ID_HEADER, USER_ID_HEADER
from ..wire.parameters import schema_of
from ..wire.replies import One
from ..wire.route import Route
from ..wire.routes import ROUTES
from .conditions import ETAG_HEADER, IF_MATCH_HEADER, IF_NONE_MATCH_HEADER, takes_condition

_REF: Final = "#/components/schemas/{model}"
_REQUEST_ID: Final = {"name": REQUEST_ID_HEADER, "in": "header", "schema": {"type": "string"}}
_USER_ID: Final = Audit.model_json_schema()["properties"]["user_id"]
_ERROR: Final = {
    "description": "The protocol's error object.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_ERROR_SCHEMA: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "type", "request_id"],
            "properties": {name: {"type": "string"} for name in ("code", "message", "type", "provider", "request_id")},
        }
    },
}
_HEALTH_SCHEMA: Final = {
    "type": "object",
    "required": ["status"],
    "properties": {name: {"type": "string"} for name in ("status", "provider", "omp_version")},
}


@cache
def openapi_document() -> dict[str, Any]:
    """The document, as JSON values. Not to be changed by callers."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    paths[CAPABILITIES_PATH] = {"get": _service("capabilities", _REF.format(model="Capabilities"))}
    paths[HEALTH_PATH] = {"get": _service("health", _REF.format(model="Health"))}
    return {
        "openapi": "3.1.0",
        "info": {"title": "omp-server", "version": OMP_VERSION},
        "security": [{"bearer": []}, {"apiKey": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {**schemas, "Error": _ERROR_SCHEMA, "Health": _HEALTH_SCHEMA},
        },
    }


def _schemas() -> dict[str, Any]:
    replies: set[type[WireModel]] = {model for route in ROUTES for model in route.reply.models}
    replies |= {Capabilities, Explanation}
    _, definitions = models_json_schema(
        [(model, "serialization") for model in sorted(replies, key=lambda model: model.__name__)],
        ref_template=_REF,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    explained = {"explanation": {"$ref": _REF.format(model=Explanation.__name__)}}
    schemas[SearchResult.__name__]["properties"][EXTENSION] = {"type": "object", "properties": explained}
    for item in (item for route in ROUTES for item in route.items.values()):
        schemas[item.operation_type.__name__] = _body(item, item.operation_type.model_json_schema(ref_template=_REF))
    return schemas


def _body(route: Route[Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of what travels as a JSON object."""
    in_path = route.path_parameters
    required = {route.names.get(name, name) for name in schema.get("required", ()) if name not in in_path} - {"user_id"}
    fields = {name: schema["properties"][field] for name, field in route.parameters.items()}
    body: dict[str, Any] = {"type": "object", "properties": fields, "required": sorted(required)}
    if route.extra is None:
        body["additionalProperties"] = False
    return body


def _operation(route: Route[Any]) -> dict[str, Any]:
    schema = route.operation_type.model_json_schema(ref_template=_REF)
    in_path = {name: schema["properties"][name] for name in route.path_parameters}
    parameters: list[dict[str, Any]] = [_REQUEST_ID]
    parameters += [{"name": name, "in": "path", "required": True, "schema": field} for name, field in in_path.items()]
    if not route.operation_type.is_administrative:
        parameters.append({"name": USER_ID_HEADER, "in": "header", "schema": {"type": "string"}})
        if route.location == "body":
            parameters.append({"name": "user_id", "in": "query", "schema": _USER_ID})
    if route.operation_type in (Add, AddMany):
        parameters.append({"name": IDEMPOTENCY_HEADER, "in": "header", "schema": {"type": "string"}})
    if takes_condition(route):
        parameters.append({"name": IF_MATCH_HEADER, "in": "header", "schema": {"type": "string"}})
    if route.operation_type is Put:
        parameters.append({"name": IF_NONE_MATCH_HEADER, "in": "header", "schema": {"const": "*"}})
    operation: dict[str, Any] = {"operationId": route.name or route.verb, "parameters": parameters}
    operation["summary"] = (route.operation_type.__doc__ or "").strip()
    body = _body(route, schema)
    if route.location == "query":
        parameters += [
            {"name": name, "in": "query", "required": name in body["required"], **schema_of(route.kinds[name], field)}
            for name, field in body["properties"].items()
        ]
    else:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    operation["responses"] = {str(route.status): _success(route), "default": _ERROR}
    return operation


def _success(route: Route[Any]) -> dict[str, Any]:
    schema = route.reply.schema(_REF)
    if schema is None:
        return {"description": "Done."}
    reply = {"description": "The result.", "content": {"application/json": {"schema": schema}}}
    if route.reply == One(MemoryRecord):
        reply["headers"] = {ETAG_HEADER: {"schema": {"type": "string"}}}
    return reply


def _service(name: str, ref: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "security": [{}],
        "parameters": [_REQUEST_ID],
        "responses": {
            "200": {"description": "The result.", "content": {"application/json": {"schema": {"$ref": ref}}}},
            "default": _ERROR,
        },
    }
