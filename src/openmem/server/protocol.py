"""HTTP/1.1 on the wire: uvicorn's and h11's, stricter where others may read a request differently.

Both are used beyond their documented interfaces, so pyproject.toml allows only versions with which the
tests of this module were run.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, Final, cast

import h11
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import InvalidRequestError
from .errors import error_response
from .middleware import access_log, common_headers, request_id, request_info
from .reading import MAX_HEAD_BYTES

LINGER: Final = 1.0
"""Seconds a refused client has to take in the refusal. Closing at once would reset the connection, and lose it."""

_ABSOLUTE_FORM: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)
_FOLDED_LINE: Final = re.compile(rb"\n[ \t]")


class StrictConnection(h11.Connection):
    """h11's connection without what RFC 9112 lets a server refuse because it has hidden requests in others.

    Attributes:
        refused: the request that was refused, if it could be read, and why.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self.refused: tuple[h11.Request | None, str] = (None, "the request is not valid HTTP")

    def next_event(self) -> Any:
        """h11's, but a request is in origin form, whichever form it came in.

        Raises:
            h11.RemoteProtocolError: the request is not valid or refused; see `refused`.
        """
        unread = b""
        if self.their_state is h11.IDLE:
            self._skip_empty_lines()
            unread = bytes(self._receive_buffer)
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                self.refused = None, f"the head of the request, or of a chunk, is over {MAX_HEAD_BYTES} bytes"
            raise
        if isinstance(event, h11.Request):
            head = unread[: len(unread) - len(self._receive_buffer)]
            if (reason := _reason_to_refuse(event, head)) is not None:
                self.refused = event, reason
                raise h11.RemoteProtocolError(reason)
            return _in_origin_form(event)
        return event

    def _skip_empty_lines(self) -> None:
        """Some clients send an empty line behind a body."""
        buffer = self._receive_buffer
        while buffer and (line := next((end for end in (b"\r\n", b"\n") if buffer._data.startswith(end)), None)):
            buffer.maybe_extract_at_most(len(line))


def _reason_to_refuse(request: h11.Request, head: bytes) -> str | None:
    names = {name for name, _ in request.headers}
    if request.http_version not in (b"1.0", b"1.1"):
        return "this server speaks HTTP/1.1"
    if b"transfer-encoding" in names and b"content-length" in names:
        return "Content-Length: it comes with Transfer-Encoding; send one of them"
    if b"transfer-encoding" in names and request.http_version == b"1.0":
        return "Transfer-Encoding: HTTP/1.0 does not have it; send Content-Length"
    if _FOLDED_LINE.search(head):
        return "a header goes on in the next line; write it into one"
    is_path = request.target.startswith(b"/") or (request.target == b"*" and request.method == b"OPTIONS")
    if not is_path and not _ABSOLUTE_FORM.fullmatch(request.target):
        return "the target of the request is neither a path nor an http URL"
    return None


def _in_origin_form(request: h11.Request) -> h11.Request:
    absolute = _ABSOLUTE_FORM.fullmatch(request.target)
    if absolute is None:
        return request
    host, rest = absolute.groups()
    headers = [(b"host", host), *((name, value) for name, value in request.headers if name != b"host")]
    target = rest if rest.startswith(b"/") else b"/" + rest
    return h11.Request(method=request.method, target=target, headers=headers, http_version=request.http_version)


class BoundedProtocol(H11Protocol):
    """A connection whose client must go on.

    The head of a request must be complete `head_timeout` seconds after the connection or the request
    began, and some of a reply must be taken within `write_timeout` seconds. uvicorn itself only bounds
    the pause between two requests.
    """

    conn: StrictConnection
    head_timeout: float = 10.0
    write_timeout: float = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = StrictConnection()
        self.has_asked = False
        self.waits_since: float | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._write_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._linger_timer is None:
            super().data_received(data)
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def on_response_complete(self) -> None:
        self.has_asked = True
        super().on_response_complete()
        self.waits_since = None if self.is_answering else self.loop.time()

    def close(self) -> None:
        """Close the connection once what was written is sent."""
        self.waits_since = None
        self.transport.close()

    def shutdown(self) -> None:
        if self._linger_timer is None:
            super().shutdown()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as any other request is refused, and close the connection."""
        request, reason = self.conn.refused
        if self.is_answering:
            id = request_info(cast(Scope, self.cycle.scope)).id
            # Whoever works on the request learns that no more of it will come, and that nobody reads the answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            id = request_id(() if request is None else request.headers)
            access_log.log(logging.INFO, "method=- path=- status=400 ms=0.0 request_id=%s", id)
        response = error_response(InvalidRequestError(reason), id)
        headers = [
            *self.server_state.default_headers,
            *response.raw_headers,
            *common_headers(id),
            (b"connection", b"close"),
        ]
        try:
            for event in (
                h11.Response(status_code=400, reason=b"Bad Request", headers=headers),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            # A reply is on its way already; closing tells the rest.
            self.transport.close()
            return
        self._linger_timer = self.loop.call_later(LINGER, self.transport.abort)
        self.transport.write_eof()
        self._stop_head_timer()

    @property
    def is_answering(self) -> bool:
        """Whether a request is being worked on."""
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        """Run the timer exactly while the client owes the rest of a request's head."""
        if self.is_answering or self.transport.is_closing() or self._linger_timer is not None:
            self._stop_head_timer()
        elif self._head_timer is None:
            self.waits_since = self.loop.time()
            self._head_timer = self.loop.call_later(self.head_timeout, self.transport.abort)

    def _stop_head_timer(self) -> None:
        self.waits_since = None
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
