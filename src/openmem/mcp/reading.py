"""What a host sends over standard input, with an answer to requests that are not JSON."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError


class Requests:
    """The messages of a host. The SDK drops a line that it cannot parse, and the host would wait for its answer.

    Such lines come of text that was cut within a character, as ``"\\ud83d"``.

    Args:
        incoming: messages, or errors in their place.
        outgoing: where answers go.
    """

    def __init__(self, incoming: Any, outgoing: Any) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @property
    def last_context(self) -> Any:
        """The context variables of the last message's sender."""
        return getattr(self._incoming, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        while True:
            message: SessionMessage | Exception = await self._incoming.receive()
            refusal = _refusal(message) if isinstance(message, ValidationError) else None
            if refusal is None:
                return message
            await self._outgoing.send(refusal)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._incoming.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _refusal(error: ValidationError) -> SessionMessage | None:
    """The answer to a line that cannot be parsed; None if it cannot be told which request it is."""
    line = error.errors(include_url=False)[0].get("input")
    try:
        request = json.loads(line) if isinstance(line, str) else None
    except (ValueError, RecursionError):
        return None
    id = request.get("id") if isinstance(request, dict) and "method" in request else None
    if not isinstance(id, int | str) or isinstance(id, bool):
        return None
    data = ErrorData(
        code=PARSE_ERROR,
        message="the request is not JSON, or has half of a character such as '\\ud83d'; send it without",
    )
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=id, error=data))
