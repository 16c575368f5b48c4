"""The protocol over HTTP: one table that both the passthrough client and the server follow.

A route says how an operation travels: method and path, which of its fields are in the path, the query
or the JSON body and under which names, and what its reply looks like. `Route.request` and
`Route.operation` are each other's inverse, as are `Route.encode` and `Route.decode`. Nothing here does
any I/O.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, Generic, Literal, NoReturn, TypeAlias, TypeVar, cast, get_args
from urllib.parse import quote

from ._retrying import retry_after
from ._suggestions import closest
from .errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    ScopeDeniedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
)
from .models import (
    AuditEntries,
    AuditEntry,
    Capabilities,
    ContextBlock,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    SearchResult,
    SearchResults,
    WireModel,
)
from .operations import (
    Add,
    AddMany,
    Audit,
    Context,
    Delete,
    Get,
    InRecord,
    List,
    Operation,
    Search,
    Update,
    check_json,
    read_records,
)
from .ports.http import HttpRequest, HttpResponse

R = TypeVar("R")
Json: TypeAlias = Any

REQUEST_ID_HEADER: Final = "X-Request-Id"
USER_ID_HEADER: Final = "X-User-Id"
APP_HEADER: Final = "X-OMP-App"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_EXTRA_FIELDS: Final = 1024

CAPABILITIES_PATH: Final = "/capabilities"
HEALTH_PATH: Final = "/healthz"

MAX_REPLY_DEPTH: Final = 64
MAX_MESSAGE_LENGTH: Final = 1000
MAX_LABEL_LENGTH: Final = 128
MAX_RETRY_AFTER: Final = 86_400.0
_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Route(Generic[R]):
    """How one verb travels.

    Attributes:
        operation_type: the verb.
        method, path: where it goes; ``{id}`` in the path stands for the operation's id.
        place: whether the fields travel in the query string or as a JSON object.
        status: status code of success.
        encode: from the result to the JSON of the reply; None for an empty reply.
        decode: from the JSON of the reply to the result.
        names: fields that travel under another name.
    """

    operation_type: type[Operation]
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    place: Literal["query", "body"]
    status: int
    encode: Callable[[R], Json] | None
    decode: Callable[[Json], R]
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def verb(self) -> str:
        """The verb's name."""
        return self.operation_type.verb

    def request(self, op: Operation) -> HttpRequest:
        """The request that carries `op`."""
        clears = self.operation_type is Update
        fields = op.model_dump(mode="json", exclude_unset=True, exclude_none=not clears)
        if not fields.get("supersede_ended"):
            fields.pop("supersede_ended", None)  # a server that does not know it would keep it on the memory
        fields |= {name: value.to_wire() for name, value in op if name in fields and isinstance(value, WireModel)}
        path = self.path
        if "{id}" in path:
            path = path.replace("{id}", quote(fields.pop("id"), safe=""))
        wire = {self.names.get(name, name): value for name, value in fields.items()}
        if self.place == "body":
            wire |= wire.pop("extensions", {})
            return HttpRequest(self.method, path, body=wire)
        return HttpRequest(self.method, path, query={name: _in_query(value) for name, value in wire.items()})

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The operation's field behind each parameter of the query string or member of the body, by its name there."""
        return {
            self.names.get(name, name): name
            for name, field in self.operation_type.model_fields.items()
            if name not in ("id", "extensions") and not field.exclude
        }

    def operation(self, id: str | None, query: Mapping[str, str], body: Mapping[str, Json] | None) -> Operation:
        """The operation that a request carries.

        Args:
            id: the ``{id}`` of the path.
            query: parameters of the query string.
            body: the JSON object of the body. Fields that the protocol does not know are kept on the memory
                that `Add` stores, so that newer clients lose nothing.

        Raises:
            InvalidRequestError: a parameter is missing or wrong, or would have no effect.
        """
        fields: dict[str, Any] = {} if id is None else {"id": id}
        if self.place == "query":
            for name, value in query.items():
                if name not in self.parameters:
                    raise self.unknown(name)
                fields[self.parameters[name]] = self._from_query(name, value)
            return self.operation_type(**fields)
        for name in query:
            raise self.unknown(name, in_query=True)
        kept: dict[str, Any] = {}
        for name, value in (body or {}).items():
            if name in self.parameters:
                fields[self.parameters[name]] = value
            elif self.operation_type is not Add or (len(kept) < MAX_EXTRA_FIELDS and _is_refused(name)):
                raise self.unknown(name)
            else:
                kept[name] = value
        op = self.operation_type(**fields)
        return _keep(op, kept) if isinstance(op, Add) else op

    def unknown(self, name: str, *, in_query: bool = False) -> InvalidRequestError:
        """The error for a parameter or field that would have no effect.

        Args:
            in_query: whether it is in the query string of a request with a body.
        """
        label = name if _PLAIN_NAME.fullmatch(name) else repr(name[:80])
        if in_query and name in self.parameters:
            return InvalidRequestError(f"{label}: it belongs in the body of this request, not in the query string")
        if self.operation_type in (Add, Update) and not in_query:
            if name in MemoryRecord.model_fields:
                what = "is set by the server" if name not in Add.model_fields else "cannot be changed"
                return InvalidRequestError(f"{label}: it {what}; leave it out")
            what = f"a field of a memory that {self.verb} can set"
        else:
            what = f"a parameter of {self.verb}"
        return InvalidRequestError(f"{label}: it is not {what}{self._hint(name)}")

    def _hint(self, name: str) -> str:
        spellings = {**_SYNONYMS, **{ours: ours for ours in self.parameters}}
        found = closest(name, [spelling for spelling, ours in spellings.items() if ours in self.parameters])
        meant = None if found is None else spellings[found]
        if meant is not None:
            hint = f"; did you mean {meant!r}?"
        elif self.parameters:
            hint = f"; there are {', '.join(sorted(self.parameters))}."
        else:
            hint = "; leave it out."
        return f"{hint} A field of your own needs a name that begins with 'x-'." if self.operation_type is Add else hint

    @cached_property
    def _numbers(self) -> Mapping[str, type]:
        """Which parameters are numbers, and of which type."""
        types = {
            name: _number_type(self.operation_type.model_fields[of].annotation) for name, of in self.parameters.items()
        }
        return {name: found for name, found in types.items() if found is not None}

    def _from_query(self, name: str, value: str) -> object:
        number = self._numbers.get(name)
        if number is int and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
            return int(value)
        if number is float:
            if not re.fullmatch(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", value, re.ASCII):
                raise InvalidRequestError(f"{name}: {value[:80]!r} is not a number")
            return float(value)
        return value


def _number_type(annotation: object) -> type | None:
    """`int` or `float` if that is what a field holds, however it is annotated."""
    if annotation is int or annotation is float:
        return annotation
    return next((found for part in get_args(annotation) if (found := _number_type(part)) is not None), None)


_PLAIN_NAME = re.compile(r"[a-z_]{1,80}")

_SYNONYMS: Final[Mapping[str, str]] = {
    "after": "since",
    "app": "source",
    "before": "until",
    "k": "limit",
    "max_tokens": "token_budget",
    "offset": "cursor",
    "page": "cursor",
    "page_size": "limit",
    "per_page": "limit",
    "q": "query",
    "query": "q",
    "tag": "tags",
    "tags": "tag",
    "text": "content",
    "threshold": "min_score",
    "top_k": "limit",
    "user": "user_id",
    "valid_until": "valid_to",
}
"""What other interfaces call our parameters."""

_OF_QUERIES: Final = frozenset(
    name for verb in (List, Search, Context, Audit) for name in verb.model_fields if name not in Add.model_fields
) | {"q"}


@lru_cache(maxsize=1024)
def _is_refused(name: str) -> bool:
    """Whether a field of a new memory is none of a newer protocol, but one that the sender wants to have an effect."""
    if name.startswith("x-"):
        return False
    if name in _OF_QUERIES or name in MemoryRecord.model_fields or name == "extensions":
        return True
    return closest(name, (*ADD.parameters, "user", "valid_until")) is not None


def _keep(op: Add, fields: Mapping[str, Json]) -> Add:
    """`op` with its extensions and the fields of newer clients."""
    if len(fields) > MAX_EXTRA_FIELDS:
        raise InvalidRequestError(f"a memory has at most {MAX_EXTRA_FIELDS} fields that the protocol does not know")
    kept: dict[str, Json] = {}
    for name, value in fields.items():
        try:
            kept[name] = check_json(value)
            check_json(name)
        except ValueError as error:
            raise InvalidRequestError(f"{name[:80]!r}: {error}") from None
    return op.model_copy(update={"extensions": kept}) if kept else op


def _in_query(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _dump(value: WireModel) -> Json:
    return value.to_wire()


ADD: Final = Route[MemoryRecord](Add, "POST", "/memories", "body", 201, _dump, MemoryRecord.model_validate)


@dataclass(frozen=True)
class BatchRoute(Route[MemoryRecords]):
    """How `add_many` travels: each record as it does in `add`."""

    def request(self, op: Operation) -> HttpRequest:
        assert isinstance(op, AddMany)
        return HttpRequest(self.method, self.path, body={"records": [ADD.request(add).body for add in op.records]})

    def operation(self, id: str | None, query: Mapping[str, str], body: Mapping[str, Json] | None) -> Operation:
        for name in query:
            raise self.unknown(name, in_query=True)
        for name in body or {}:
            if name != "records":
                raise self.unknown(name)
        if body is None or "records" not in body:
            raise InvalidRequestError("records: is required")
        adds: list[Add] = []
        for number, record in enumerate(read_records(body["records"])):
            with InRecord(number):
                if not isinstance(record, dict):
                    raise InvalidRequestError("is not a JSON object")
                adds.append(cast(Add, ADD.operation(None, {}, record)))
        return AddMany(records=tuple(adds))


ADD_MANY: Final = BatchRoute(
    AddMany,
    "POST",
    "/memories/batch",
    "body",
    201,
    lambda records: {"memories": [record.to_wire() for record in records]},
    lambda reply: [MemoryRecord.model_validate(record) for record in reply["memories"]],
)
LIST: Final = Route[MemoryPage](List, "GET", "/memories", "query", 200, _dump, MemoryPage.model_validate)
SEARCH: Final = Route[SearchResults](
    Search,
    "GET",
    "/memories/search",
    "query",
    200,
    lambda results: {"results": [result.to_wire() for result in results]},
    lambda reply: [SearchResult.model_validate(result) for result in reply["results"]],
    names={"query": "q"},
)
GET: Final = Route[MemoryRecord](Get, "GET", "/memories/{id}", "query", 200, _dump, MemoryRecord.model_validate)
UPDATE: Final = Route[MemoryRecord](Update, "PATCH", "/memories/{id}", "body", 200, _dump, MemoryRecord.model_validate)
DELETE: Final = Route[None](Delete, "DELETE", "/memories/{id}", "query", 204, None, lambda reply: None)
CONTEXT: Final = Route[ContextBlock](Context, "POST", "/context", "body", 200, _dump, ContextBlock.model_validate)
AUDIT: Final = Route[AuditEntries](
    Audit,
    "GET",
    "/audit",
    "query",
    200,
    lambda entries: {"entries": [entry.to_wire() for entry in entries]},
    lambda reply: [AuditEntry.model_validate(entry) for entry in reply["entries"]],
)

ROUTES: Final[tuple[Route[Any], ...]] = (ADD, ADD_MANY, LIST, SEARCH, GET, UPDATE, DELETE, CONTEXT, AUDIT)
"""All routes; a fixed path comes before the ``{id}`` it would match."""


STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "unsupported_capability": 400,
    "unauthorized": 401,
    "scope_denied": 403,
    "not_found": 404,
    "conflict": 409,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "rate_limited": 429,
    "internal_error": 500,
    "provider_error": 502,
    "provider_unavailable": 503,
    "ingestion_timeout": 504,
}

_ERROR_OF_CODE: Final[Mapping[str, type[OMPError]]] = {
    "invalid_request": InvalidRequestError,
    "payload_too_large": InvalidRequestError,
    "unsupported_capability": UnsupportedCapabilityError,
    "unauthorized": UnauthorizedError,
    "scope_denied": ScopeDeniedError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "rate_limited": RateLimitedError,
    "provider_error": ProviderError,
    "provider_unavailable": ProviderError,
    "ingestion_timeout": ProviderError,
}

_CODE_OF_STATUS: Final[Mapping[int, str]] = {
    400: "invalid_request",
    401: "unauthorized",
    403: "scope_denied",
    404: "not_found",
    413: "payload_too_large",
    422: "invalid_request",
    429: "rate_limited",
    503: "provider_unavailable",
    504: "provider_unavailable",
}


def error_body(error: OMPError) -> Json:
    """The JSON envelope of an error."""
    fields = {
        "code": error.code,
        "message": error.message,
        "type": error.type,
        "provider": error.provider,
        "request_id": error.request_id,
    }
    return {"error": {name: value for name, value in fields.items() if value is not None}}


def decode_reply(route: Route[R], response: HttpResponse) -> R:
    """The result in a response.

    Raises:
        OMPError: the error the server reports, as a local provider would raise it, or a
            `ProviderError` for a reply that is not the protocol's.
    """
    if response.status != route.status:
        raise decode_error(response)
    if route.status == 204:
        return cast(R, None)
    try:
        reply = parse_json(response.content)
    except ValueError as error:
        raise _not_omp(response, f"its reply {error}") from None
    try:
        return route.decode(reply)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise _not_omp(response, f"its reply to {route.method} {route.path} has the wrong shape") from None


def decode_error(response: HttpResponse) -> OMPError:
    """The exception for a response that is not a success.

    What the server says of it is trusted as little as the rest: the code is one of the protocol's, texts have a
    bounded length and no control characters.
    """
    try:
        envelope = parse_json(response.content)["error"]
        code, message = envelope["code"], _plain(envelope["message"], MAX_MESSAGE_LENGTH)
        if code not in _ERROR_OF_CODE or not message:
            code, message = "provider_error", message or _unexplained(response)
    except (ValueError, KeyError, TypeError):
        envelope = {}
        code, message = _CODE_OF_STATUS.get(response.status, "provider_error"), _unexplained(response)
        if code in ("invalid_request", "not_found"):
            code = "provider_error"
    error = _ERROR_OF_CODE[code](
        message,
        code=code,
        provider=_plain(envelope.get("provider"), MAX_LABEL_LENGTH),
        request_id=_plain(envelope.get("request_id") or response.headers.get("x-request-id"), MAX_LABEL_LENGTH),
    )
    if isinstance(error, RateLimitedError):
        error.retry_after = asked_to_wait(response)
    return error


def asked_to_wait(response: HttpResponse) -> float | None:
    """Seconds that the server asks to wait before the next try, at most a day; None if it does not ask."""
    seconds = retry_after(response.headers.get("retry-after"))
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER)


def parse_json(content: bytes) -> Json:
    """The JSON of a reply.

    Raises:
        ValueError: it is no JSON, or none that could be sent on: nested too deeply, with text that UTF-8 cannot
            hold, or numbers beyond those of JSON.
    """
    try:
        parsed = json.loads(content.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError:
        raise ValueError("is not JSON") from None
    if not _is_shallow(parsed, MAX_REPLY_DEPTH):
        raise ValueError("is nested too deeply")
    if _ESCAPED_SURROGATE.search(content):
        try:
            json.dumps(parsed, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("holds a lone surrogate") from None
    return parsed


def decode_capabilities(response: HttpResponse) -> Capabilities | None:
    """The capabilities in a reply; None if it is not the reply of an OMP server."""
    try:
        reply = parse_json(response.content)
        if response.status == 200 and "omp_version" in reply:
            return Capabilities.model_validate(reply)
    except (ValueError, TypeError, OverflowError):
        pass
    return None


def _finite(literal: str) -> float:
    number = float(literal)
    return number if math.isfinite(number) else _no_number(literal)


def _no_number(literal: str) -> NoReturn:
    raise ValueError(literal)


def _is_shallow(value: Json, levels: int) -> bool:
    """Whether objects and lists are nested in at most so many levels."""
    match value:
        case dict():
            items: Iterable[Json] = value.values()
        case list():
            items = value
        case _:
            return True
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items if isinstance(item, dict | list))


def _plain(text: object, length: int) -> str | None:
    """A text of the server's, on one line and of at most `length` characters; None if it is none."""
    if not isinstance(text, str):
        return None
    line = " ".join("".join(character if character.isprintable() else " " for character in text[:length]).split())
    return line if len(text) <= length else f"{line}…"


def _unexplained(response: HttpResponse) -> str:
    message = f"the server answered {response.status} without the protocol's error object"
    if 300 <= response.status < 400:
        message += "; redirects are not followed, so give the final address as base_url"
    return message


def _not_omp(response: HttpResponse, what: str) -> ProviderError:
    return ProviderError(
        f"this is no OMP server, or a proxy answered for it: {what} (status {response.status}); check base_url"
    )
