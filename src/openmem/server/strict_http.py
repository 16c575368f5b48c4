"""HTTP/1.1 as h11 reads it, stricter where another program on the way may read a request differently.

h11 is used beyond its documented interface, so pyproject.toml allows only versions with which
``tests/server/test_private_names.py`` was run.
"""

from __future__ import annotations

import re
from typing import Any, Final

import h11

from .request_parsing import MAX_HEAD_BYTES

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
