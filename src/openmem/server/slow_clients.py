"""Connections whose clients must go on: uvicorn's protocol with a bound on how slow a client may be.

uvicorn is used beyond its documented interface, so pyproject.toml allows only versions with which
``tests/server/test_private_names.py`` was run.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

import h11
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import InvalidRequestError
from .errors import error_response
from .middleware import access_log, common_headers, request_id, request_info
from .strict_http import StrictConnection

REFUSAL_LINGER_SECONDS: Final = 1.0
"""How long a refused client has to take in the refusal. Closing at once would reset the connection, and lose it."""


class SlowClientProtocol(H11Protocol):
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
            # A reply is on its way already; nothing but closing is left.
            self.transport.close()
            return
        self._linger_timer = self.loop.call_later(REFUSAL_LINGER_SECONDS, self.transport.abort)
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
