"""HTTP/1.1 on the wire: uvicorn's, which also cuts off clients that only keep a connection busy."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import InvalidRequestError
from ..routes import error_body


class BoundedProtocol(H11Protocol):
    """A connection whose client must go on.

    The head of a request must be complete `head_timeout` seconds after the connection or the request
    began, and some of a reply must be taken within `write_timeout` seconds. uvicorn itself only bounds
    the pause between two requests.
    """

    head_timeout: float = 10.0
    write_timeout: float = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
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

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the protocol's form."""
        body = json.dumps(error_body(InvalidRequestError("the request is not valid HTTP, or its head is too long")))
        try:
            for event in (
                h11.Response(
                    status_code=400,
                    reason=b"Bad Request",
                    headers=[
                        ("content-type", "application/json"),
                        ("content-length", str(len(body))),
                        ("connection", "close"),
                    ],
                ),
                h11.Data(data=body.encode()),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            # A reply is on its way already; closing tells the rest.
            pass
        self.transport.close()

    def _expect_head(self) -> None:
        """Run the timer exactly while the client owes the rest of a request's head."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.transport.is_closing():
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout, self.transport.abort)
