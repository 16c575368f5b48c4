"""The body of a reply, with a bound in bytes, compressed or not."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any


class ReplyError(Exception):
    """A reply that is refused; the text says why."""


class Body:
    """The body of a reply, as it comes in.

    Args:
        headers: of the reply.
        most: bytes it may have, as they are sent and uncompressed.

    Raises:
        ReplyError: it is too long, or compressed in a way that nobody asked for.
    """

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], most: int) -> None:
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers
        }
        self._most = most
        self._data = bytearray()
        self._received = 0
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise ReplyError("a reply in a content encoding that was not asked for")
        self._is_compressed = coding not in ("identity", "")
        self._decompressor = _gunzip()
        length = self.headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > most:
            raise self._too_long()

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._received += len(chunk)
        if self._received > self._most:
            raise self._too_long()
        if not self._is_compressed:
            self._data += chunk
            return
        while chunk:
            if self._decompressor.eof:
                self._decompressor = _gunzip()
            try:
                self._data += self._decompressor.decompress(chunk, self._most - len(self._data) + 1)
            except zlib.error:
                raise ReplyError("a reply that is not the gzip it says it is") from None
            if len(self._data) > self._most:
                raise self._too_long()
            chunk = self._decompressor.unconsumed_tail or self._decompressor.unused_data

    def finish(self) -> bytes:
        """All of it."""
        if self._is_compressed and self._received and not self._decompressor.eof:
            raise ReplyError("a compressed reply that ends in the middle")
        return bytes(self._data)

    def _too_long(self) -> ReplyError:
        return ReplyError(
            f"a reply of more than {self._most / 2**20:.0f} MiB, which is more than what was asked for can need; "
            "check base_url, or ask for fewer memories at a time"
        )


def _gunzip() -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
