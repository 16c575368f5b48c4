"""How one verb travels over HTTP, in both directions. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote

from .._suggestions import closest
from ..errors import InvalidRequestError
from ..models import MemoryRecord, WireModel
from ..operations import Add, Audit, Context, InRecord, List, Operation, Search, check_json, read_records
from ..ports.http import HttpRequest
from .parameters import Kind, decode, encode, kind_of
from .replies import NoContent, One, Reply

R = TypeVar("R")
Json: TypeAlias = Any

MAX_EXTRA_FIELDS: Final = 1024

_PLAIN_NAME: Final = re.compile(r"[a-z_]{1,80}")
_IN_PATH: Final = re.compile(r"{(\w+)}")

_SYNONYMS: Final[Mapping[str, str]] = {
    "after": "since",
    "all": "everything",
    "app": "source",
    "as_at": "as_of",
    "at": "as_of",
    "before": "until",
    "categories": "tags",
    "custom_id": "key",
    "etag": "if_version",
    "expected_version": "if_version",
    "expiration_date": "expires_at",
    "expires": "expires_at",
    "field": "by",
    "filter": "where",
    "filters": "where",
    "group_by": "by",
    "k": "limit",
    "labels": "tags",
    "max_tokens": "token_budget",
    "memory_ids": "ids",
    "metadata": "where",
    "namespace": "scope",
    "offset": "cursor",
    "order_by": "order",
    "page": "cursor",
    "page_size": "limit",
    "per_page": "limit",
    "q": "query",
    "query": "q",
    "scopes": "scope",
    "sort": "order",
    "sort_by": "order",
    "tag": "tags",
    "tags": "tag",
    "text": "content",
    "threshold": "min_score",
    "top_k": "limit",
    "user": "user_id",
    "valid_at": "as_of",
    "valid_until": "valid_to",
}
"""What other interfaces call our parameters."""

_OF_QUERIES: Final = frozenset(
    name for verb in (List, Search, Context, Audit) for name in verb.model_fields if name not in Add.model_fields
) | {"q"}


@dataclass(frozen=True, eq=False)
class Route(Generic[R]):
    """How one verb travels. `request` and `operation` are each other's inverse.

    Attributes:
        operation_type: the verb.
        method, path: where it goes; a field's name in braces in the path stands for its value.
        location: whether the other fields travel in the query string or as a JSON object.
        reply: what a success looks like.
        status: status code of success.
        names: fields that travel under another name, and that name.
        items: fields that are lists of operations, and the route whose body each of these has.
        null_clears: fields that are sent also when they are None, which means something else than one left out.
        extra: the field that holds what a body has beyond the other fields, so that what newer clients send is kept.
        ignored: members of a body that have no effect, since they are of a record and the backend finds them out anew.
        name: of the route, where the verb has another one as well.
    """

    operation_type: type[Operation[R]]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    location: Literal["query", "body"]
    reply: Reply[R]
    status: int = 200
    names: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[str, Route[Any]] = field(default_factory=dict)
    null_clears: frozenset[str] = frozenset()
    extra: str | None = None
    ignored: frozenset[str] = frozenset()
    name: str = ""

    @property
    def verb(self) -> str:
        """The verb's name."""
        return self.operation_type.verb

    @property
    def is_empty(self) -> bool:
        """Whether the reply has no content."""
        return isinstance(self.reply, NoContent)

    @cached_property
    def path_parameters(self) -> tuple[str, ...]:
        """The fields that travel in the path."""
        return tuple(_IN_PATH.findall(self.path))

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The operation's field behind each parameter of the query string or member of the body, by its name there."""
        return {
            self.names.get(name, name): name
            for name, field in self.operation_type.model_fields.items()
            if name not in self.path_parameters and name != self.extra and not field.exclude
        }

    def request(self, op: Operation[R]) -> HttpRequest:
        """The request that carries `op`."""
        given = op.model_dump(mode="json", exclude_unset=True, exclude=self._items_and_extra)
        fields = {name: value for name, value in given.items() if value is not None or name in self.null_clears}
        for name in self._switches:
            if fields.get(name) == self.operation_type.model_fields[name].default:
                del fields[name]  # a server that does not know it would refuse it, or keep it on the memory
        fields |= {name: value.to_wire() for name, value in op if name in fields and isinstance(value, WireModel)}
        path = self.path
        for name in self.path_parameters:
            path = path.replace(f"{{{name}}}", quote(fields.pop(name), safe=""))
        wire = {self.names.get(name, name): value for name, value in fields.items()}
        if self.location == "query":
            return HttpRequest(self.method, path, query={name: encode(value) for name, value in wire.items()})
        for name, route in self.items.items():
            wire[name] = [route.request(item).body for item in getattr(op, name)]
        if self.extra is not None:
            wire |= getattr(op, self.extra)
        return HttpRequest(self.method, path, body=wire)

    def operation(
        self, path: Mapping[str, str], query: Mapping[str, Sequence[str]], body: Mapping[str, Json] | None
    ) -> Operation[R]:
        """The operation that a request carries.

        Args:
            path: parameters of the path.
            query: parameters of the query string by name, each with all its values.
            body: the JSON object of the body.

        Raises:
            InvalidRequestError: a parameter is missing or wrong, or would have no effect.
        """
        fields: dict[str, Any] = dict(path)
        if self.location == "query":
            for name, texts in query.items():
                if name not in self.parameters:
                    raise self.unknown(name)
                fields[self.parameters[name]] = decode(name, self.kinds[name], texts)
            return self.operation_type(**fields)
        for name in query:
            raise self.unknown(name, in_query=True)
        kept: dict[str, Any] = {}
        for name, value in (body or {}).items():
            if name in self.items:
                fields[self.parameters[name]] = self._items_of(name, value)
            elif name in self.parameters:
                fields[self.parameters[name]] = value
            elif name in self.ignored:
                continue
            elif self.extra is None or (len(kept) < MAX_EXTRA_FIELDS and _would_mean_something(name, self)):
                raise self.unknown(name)
            else:
                kept[name] = value
        op = self.operation_type(**fields)
        # Not validated as the field is: names of newer clients need no 'x-'.
        return op.model_copy(update={self.extra: _checked_extra(kept)}) if self.extra is not None and kept else op

    def unknown(self, name: str, *, in_query: bool = False) -> InvalidRequestError:
        """The error for a parameter or field that would have no effect.

        Args:
            in_query: whether it is in the query string of a request with a body.
        """
        label = _label(name)
        if in_query and name in self.parameters:
            return InvalidRequestError(f"{label}: it belongs in the body of this request, not in the query string")
        if self._writes_a_memory and not in_query:
            if name in MemoryRecord.model_fields:
                what = "is set by the server" if name not in Add.model_fields else "cannot be changed"
                return InvalidRequestError(f"{label}: it {what}; leave it out")
            what = f"a field of a memory that {self.verb} can set"
        else:
            what = f"a parameter of {self.verb}"
        return InvalidRequestError(f"{label}: it is not {what}{self._hint(name)}")

    @cached_property
    def _writes_a_memory(self) -> bool:
        """Whether the body has the fields of the memory in the reply."""
        return self.location == "body" and self.reply == One(MemoryRecord)

    @cached_property
    def _items_and_extra(self) -> set[str]:
        """The fields that are not sent as they are."""
        return {*self.items, *([] if self.extra is None else [self.extra])}

    @cached_property
    def _switches(self) -> tuple[str, ...]:
        """The fields that are on or off, or one of several words."""
        return tuple(
            name
            for name, field in self.operation_type.model_fields.items()
            if isinstance(field.default, bool | str) and name not in self.null_clears
        )

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
        return hint if self.extra is None else f"{hint} A field of your own needs a name that begins with 'x-'."

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """How each parameter is written in a query string."""
        return {name: kind_of(self.operation_type.model_fields[of].annotation) for name, of in self.parameters.items()}

    def _items_of(self, name: str, values: Json) -> tuple[Operation, ...]:
        """The operations in a list of bodies."""
        operations: list[Operation] = []
        for number, value in enumerate(read_records(values)):
            with InRecord(number):
                if not isinstance(value, dict):
                    raise InvalidRequestError("is not a JSON object")
                operations.append(self.items[name].operation({}, {}, value))
        return tuple(operations)


def _label(name: str) -> str:
    """A name as messages have it."""
    return name if _PLAIN_NAME.fullmatch(name) else repr(name[:80])


@lru_cache(maxsize=1024)
def _would_mean_something(name: str, route: Route[Any]) -> bool:
    """Whether an unknown field is none of a newer protocol, but one that the sender wants to have an effect."""
    if name.startswith("x-"):
        return False
    if name in _OF_QUERIES or name in MemoryRecord.model_fields or name == route.extra:
        return True
    return closest(name, (*route.parameters, "user", "valid_until")) is not None


def _checked_extra(fields: Mapping[str, Json]) -> dict[str, Json]:
    """The fields of a body that the protocol does not know, as they are kept."""
    if len(fields) > MAX_EXTRA_FIELDS:
        raise InvalidRequestError(f"a memory has at most {MAX_EXTRA_FIELDS} fields that the protocol does not know")
    kept: dict[str, Json] = {}
    for name, value in fields.items():
        try:
            kept[name] = check_json(value)
            check_json(name)
        except ValueError as error:
            raise InvalidRequestError(f"{name[:80]!r}: {error}") from None
    return kept
