"""Files that are sent to a page. They are written to the disk as they come, and only this user may read them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from ..errors import InvalidRequestError
from ..server.errors import ClientDisconnectedError, PayloadTooLargeError
from .forms import Values

MAX_UPLOAD_BYTES: Final = 1024**3
MAX_FIELDS: Final = 20
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_SHOWN_NAME: Final = 200


@dataclass(slots=True, repr=False)
class Upload:
    """A file that was sent.

    Attributes:
        path: where it is.
        name: what the sender calls it.
        size: in bytes.
    """

    path: Path
    name: str
    size: int
    folder: tempfile.TemporaryDirectory[str]

    def close(self) -> None:
        """Remove the file."""
        self.folder.cleanup()


async def read_upload(request: Request, field: str, timeout: float) -> tuple[Values, Upload]:
    """The fields of a form, and the file in one of them.

    Args:
        field: the file's name in the form.
        timeout: seconds that each part of the body may take to come.

    Raises:
        InvalidRequestError: it is no such form, there is no file in it, or it did not come to its end.
        PayloadTooLargeError: it is over `MAX_UPLOAD_BYTES`.
        ClientDisconnectedError: the browser went away before all had come.
    """
    body = _Bounded(request, timeout)
    try:
        form = await Request(request.scope, body.receive).form(
            max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
    except HTTPException as error:
        raise body.error or InvalidRequestError(f"the form cannot be read: {error.detail}") from None
    except MultiPartException as error:
        raise body.error or InvalidRequestError(f"the form cannot be read: {error.message}") from None
    try:
        file = form.get(field)
        if not isinstance(file, UploadFile) or not file.filename:
            raise InvalidRequestError(f"{field}: no file is chosen")
        return _fields(form), await asyncio.to_thread(_kept, file)
    finally:
        await form.close()


class _Bounded:
    """The body of a request, up to the limits. Where it ends too early, the parser learns it as an error of the form:
    those are what it puts away the files for that it has begun to write.

    Attributes:
        error: why the body ended too early; None if it did not.
    """

    def __init__(self, request: Request, timeout: float) -> None:
        self._request = request
        self._timeout = timeout
        self._total = 0
        self.error: InvalidRequestError | ClientDisconnectedError | None = None
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > MAX_UPLOAD_BYTES:
            raise self._too_large()

    async def receive(self) -> Message:
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._request.receive()
        except TimeoutError:
            raise self._ended(
                InvalidRequestError(f"no more of the file came for {self._timeout:g} s; send it again")
            ) from None
        if message["type"] == "http.disconnect":
            raise self._ended(ClientDisconnectedError())
        self._total += len(message.get("body", b""))
        if self._total > MAX_UPLOAD_BYTES:
            raise self._ended(self._too_large())
        return message

    def _ended(self, error: InvalidRequestError | ClientDisconnectedError) -> MultiPartException:
        self.error = error
        return MultiPartException("the body ended too early")

    @staticmethod
    def _too_large() -> PayloadTooLargeError:
        gigabytes = MAX_UPLOAD_BYTES // 1024**3
        return PayloadTooLargeError(f"file: is over {gigabytes} GiB; use 'openmem import', which has no such limit")


def _fields(form: FormData) -> Values:
    texts: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            texts.setdefault(name, []).append(value)
    return Values(texts)


def _kept(file: UploadFile) -> Upload:
    folder = tempfile.TemporaryDirectory(prefix="openmem-upload-")
    try:
        path = Path(folder.name, "file")
        file.file.seek(0)
        with path.open("wb") as copy:
            shutil.copyfileobj(file.file, copy)
        name = (file.filename or "")[-MAX_SHOWN_NAME:]
        return Upload(path, name, path.stat().st_size, folder)
    except BaseException:
        folder.cleanup()
        raise
