"""From an operation to a server's answer: the requests of the verbs, and what they may cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import quote

from ...call import Call
from ...errors import OMPError
from ...models import CapabilityFeatures, SearchResult
from ...operations import Operation, RestoredMemory, ScopedQuery, Search, Update
from ...operations.fields import MAX_UNINDEXED_CHARACTERS
from ...ports import Ports
from ...ports.http import HttpRequest, HttpResponse
from ...wire import MAX_BODY_BYTES, REQUEST_ID_HEADER, USER_ID_HEADER, routes
from ...wire.errors import decode_error
from ...wire.responses import decode_reply
from ...wire.route import Route
from .connection import Connection

R = TypeVar("R")

# A character of a memory takes at most 4 bytes in UTF-8, or 6 as an escape (12 for two halves). Beside the texts
# there is room for what else records may hold, and an end to all of it.
CHARACTER_BYTES: Final = 6
USUAL_CONTENT_CHARACTERS: Final = 65_536
SPARE_REPLY_BYTES: Final = 16 * 1024 * 1024
MAX_REPLY_BYTES: Final = 256 * 1024 * 1024
ENVELOPE_BYTES: Final = 64
"""Of a body around its records."""

LONG_QUERY_CHARACTERS: Final = 1000
"""A search with more goes into a body. Proxies take URLs of some thousand bytes, and log them."""

_FILTERS: Final = frozenset(ScopedQuery.model_fields) - {"user_id", "scope"}


class Exchange:
    """Sends the operations of one client, and reads the answers.

    Args:
        redact: takes secrets out of a text.

    Attributes:
        features: what the server says of itself, once it is known.
    """

    def __init__(self, connection: Connection, ports: Ports, redact: Callable[[str], str]) -> None:
        self.features = CapabilityFeatures()
        self._connection = connection
        self._ports = ports
        self._redact = redact

    @property
    def knows_more(self) -> bool:
        """Whether the server says that it knows filters or fields beyond those of OMP 0.1."""
        features = self.features
        return bool(
            features.filters or features.metadata or features.keys or features.versions
            or features.expiry or features.unindexed
        )  # fmt: skip

    def in_time(self, call: Call) -> Call:
        """`call`, whose requests together take no longer than ``timeout``, however many the server makes necessary."""
        return call if call.deadline is not None else replace(call, deadline=self._connection.deadline())

    async def perform(
        self,
        route: Route[R],
        op: Operation,
        call: Call,
        headers: Mapping[str, str] | None = None,
        *,
        may_repeat: bool = True,
    ) -> R:
        """The result of a verb.

        Args:
            may_repeat: whether doing it twice is the same as doing it once.
        """
        return self.decode(route, await self.respond(route, op, call, headers, may_repeat=may_repeat))

    async def perform_large(
        self,
        route: Route[R],
        op: Operation,
        call: Call,
        records: int,
        headers: Mapping[str, str] | None = None,
        *,
        may_repeat: bool,
    ) -> R:
        """The same for a verb with so many records that an event loop would wait for their JSON."""
        request = await self._ports.to_thread(route.request, op)
        all_headers = {REQUEST_ID_HEADER: call.request_id, **(headers or {})}
        most = self._most_reply_bytes(records)
        request = replace(request, headers=all_headers, may_repeat=may_repeat, max_reply_bytes=most)
        response = await self._connection.send(request, call.deadline)
        return await self._ports.to_thread(self.decode, route, response)

    async def respond(
        self,
        route: Route[R],
        op: Operation,
        call: Call,
        headers: Mapping[str, str] | None = None,
        *,
        may_repeat: bool = True,
    ) -> HttpResponse:
        """The server's answer to a verb."""
        all_headers = {REQUEST_ID_HEADER: call.request_id, **(headers or {})}
        user_id = getattr(op, "user_id", None)
        if user_id is not None:
            all_headers[USER_ID_HEADER] = quote(user_id)
        most = self._most_reply_bytes(getattr(op, "limit", 1))
        request = route.request(op)
        if isinstance(op, Update):
            request = _without_user(request)
        request = replace(request, headers=all_headers, max_reply_bytes=most, may_repeat=may_repeat)
        return await self._connection.send(request, call.deadline)

    def search_route(self, op: Search) -> Route[list[SearchResult]]:
        """How a search travels: in the query string, or in a body if it is long and the server takes one."""
        if self.knows_more and (len(op.query) > LONG_QUERY_CHARACTERS or _has_filters(op)):
            return routes.SEARCH_BY_BODY
        return routes.SEARCH

    def decode(self, route: Route[R], response: HttpResponse) -> R:
        """The result in an answer, or the error."""
        if response.status != route.status:
            raise self.error(response)
        return decode_reply(route, response)

    def error(self, response: HttpResponse) -> OMPError:
        """What the server reports, without what it may repeat of our credential."""
        error = decode_error(response)
        error.message = self._redact(error.message)
        error.args = (error.message,)
        return error

    def _most_reply_bytes(self, records: int) -> int:
        """How long a reply with so many records can be."""
        length = max(
            USUAL_CONTENT_CHARACTERS,
            self.features.max_content_length or 0,
            MAX_UNINDEXED_CHARACTERS if self.features.unindexed else 0,
        )
        return min(MAX_REPLY_BYTES, SPARE_REPLY_BYTES + records * length * CHARACTER_BYTES)


def in_bodies(records: Sequence[RestoredMemory]) -> list[tuple[RestoredMemory, ...]]:
    """The records in their order, in as few parts as fit into one body each."""
    parts: list[list[RestoredMemory]] = []
    size = 0
    for record in records:
        body = routes.RESTORED.request(record).body
        bytes_of_record = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()) + 1
        if not parts or size + bytes_of_record > MAX_BODY_BYTES:
            parts.append([])
            size = ENVELOPE_BYTES
        parts[-1].append(record)
        size += bytes_of_record
    return [tuple(part) for part in parts]


def _without_user(request: HttpRequest) -> HttpRequest:
    """The header alone says whose the memory must be: servers of OMP 0.1 take no user for a change of fields."""
    return replace(request, body={name: value for name, value in request.body.items() if name != "user_id"})


def _has_filters(op: Search) -> bool:
    """Whether a search has more than OMP 0.1 knows."""
    return len(op.scopes or ()) > 1 or any(getattr(op, name) is not None for name in _FILTERS)
