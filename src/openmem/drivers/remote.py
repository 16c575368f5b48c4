"""A model behind an HTTP API: its requests in both modes, tried again where that helps, and what its failures become.

Messages name the address, and never the key, the credential of the URL, or a text.
"""

from __future__ import annotations

import base64
import importlib
import json
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from .._forking import PerProcess, undisturbed
from .._network import split_url
from .._retrying import Backoff, retry_after
from ..errors import InvalidRequestError, OMPError, ProviderError, RateLimitedError, UnauthorizedError
from ..ports import run_blocking
from ..ports.http import FIRST_BYTE_TIMEOUT_SECONDS, HttpIO, HttpRequest, HttpResponse, HttpSettings

# It takes longer to import than all else that choosing a model loads, and `Memory` does without it.
if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")

Post: TypeAlias = Callable[[object], Awaitable[HttpResponse]]
"""Sends a body as JSON, and returns the reply, whatever its status."""

MODEL_CONNECT_TIMEOUT_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""How long a service may ask to wait before a request is tried again."""
MAX_CONNECTIONS: Final = 100
MAX_REPLY_BYTES: Final = 256 * 2**20
REASON_CHARACTERS: Final = 300
QUOTE_CHARACTERS: Final = 24
"""A reason that repeats so much of a text is not shown."""


class _Connections:
    """Those of one process: for calls that block, and for each event loop."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocking: HttpIO | None = None
        self.by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, HttpIO] = WeakKeyDictionary()
        self.holders: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[HttpIO]] = WeakKeyDictionary()


class RemoteModel:
    """One endpoint of a model's service. Thread-safe; nothing is connected before the first request.

    Args:
        name: what messages call the model, as in ``"embedder 'openai:m'"``.
        url: the service's base URL. A user name and a password in it are sent in place of the key.
        url_setting: where the URL comes from, for messages.
        path: of the endpoint, below the base URL.
        key: sent as a bearer token, unless it is empty.
        key_setting: where the key comes from, for messages.
        headers: sent with every request.
        timeout: seconds a request may take in all.
        max_retries: how often a request is sent again after a failure that may pass. Between two tries passes as long
            as the service asks for, or longer from try to try.
        is_final: whether a reply with a status that others use for failures that may pass is not to be tried again.

    Raises:
        InvalidRequestError: the URL or a setting is wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str,
        url_setting: str,
        path: str,
        key: str,
        key_setting: str,
        headers: Mapping[str, str],
        timeout: float,
        max_retries: int,
        is_final: Callable[[HttpResponse], bool] = lambda reply: False,
    ) -> None:
        if not isinstance(max_retries, int) or max_retries < 0:
            raise InvalidRequestError(f"{name}: max_retries must be a whole number from 0, not {max_retries!r}")
        if not isinstance(timeout, int | float) or not timeout > 0:
            raise InvalidRequestError(f"{name}: timeout must be a number of seconds above 0, not {timeout!r}")
        self.name = name
        self.url, user, password = split_url(url_setting, url)
        self._url_setting = url_setting
        self._path = path
        self._key_setting = key_setting
        self._secrets = [secret for secret in (key, password) if secret]
        credential = f"Bearer {key}" if key else ""
        if user is not None:
            basic = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._secrets.append(basic)
            credential = f"Basic {basic}"
        self._settings = HttpSettings(
            base_url=self.url,
            headers={
                "User-Agent": "openmem-python",
                **headers,
                **({"Authorization": credential} if credential else {}),
            },
            timeout=timeout,
            connect_timeout=min(MODEL_CONNECT_TIMEOUT_SECONDS, timeout),
            max_connections=MAX_CONNECTIONS,
            # A model may think for long, and a request that is sent again costs as much. One that is not sent again
            # has all its time.
            first_byte_timeout=max(FIRST_BYTE_TIMEOUT_SECONDS, timeout / 4) if max_retries else timeout,
        )
        self._max_retries = max_retries
        self._is_final = is_final
        self._connections = PerProcess(_Connections, contents=lambda own: [*own.by_loop.items(), *own.holders.items()])

    def load(self) -> None:
        """Import what requests need."""
        importlib.import_module("openmem.drivers.http.httpcore")

    def call(self, use: Callable[[Post], Coroutine[Any, Any, R]]) -> R:
        """The result of some requests, which block."""
        return run_blocking(use(partial(self._post, self._blocking_http(), _blocking_sleep)))

    async def acall(self, use: Callable[[Post], Coroutine[Any, Any, R]]) -> R:
        """The result of some requests, which suspend."""
        import asyncio  # noqa: PLC0415 - for the async mode alone, see above

        return await use(partial(self._post, await self._async_http(), asyncio.sleep))

    def close(self) -> None:
        """Close the connections of `call`. Idempotent; a later request opens new ones."""
        own = self._connections.get()
        with own.lock:
            http, own.blocking = own.blocking, None
        if http is not None:
            run_blocking(_close(http))

    async def aclose(self) -> None:
        """Close the connections of `call`, and those of `acall` on this event loop. Idempotent."""
        import asyncio  # noqa: PLC0415 - for the async mode alone, see above

        self.close()
        own = self._connections.get()
        loop = asyncio.get_running_loop()
        with own.lock:
            http = own.by_loop.pop(loop, None)
        holder = own.holders.pop(loop, None)
        if holder is not None:
            await holder.aclose()
        elif http is not None:
            await http.close()

    @undisturbed()
    def _blocking_http(self) -> HttpIO:
        own = self._connections.get()
        with own.lock:
            if own.blocking is None:
                driver = importlib.import_module("openmem.drivers.http.httpcore")
                own.blocking = driver.BlockingHttpcoreIO(self._settings)
            return own.blocking

    async def _async_http(self) -> HttpIO:
        """The connections of the running loop, which cannot be used on another one, and are closed with it.

        They are made in a thread, since reading the certificates takes long.
        """
        import asyncio  # noqa: PLC0415 - for the async mode alone, see above

        from .sharing import held  # noqa: PLC0415 - the same

        loop, own = asyncio.get_running_loop(), self._connections.get()
        http = own.by_loop.get(loop)
        if http is None:
            http = await asyncio.to_thread(self._async_http_of, loop)
        if loop not in own.holders:
            own.holders[loop] = held(http)
            await anext(own.holders[loop])
        return http

    @undisturbed()
    def _async_http_of(self, loop: asyncio.AbstractEventLoop) -> HttpIO:
        own = self._connections.get()
        with own.lock:
            if loop not in own.by_loop:
                driver = importlib.import_module("openmem.drivers.http.httpcore")
                own.by_loop[loop] = driver.HttpcoreIO(self._settings)
            return own.by_loop[loop]

    async def _post(self, http: HttpIO, sleep: Callable[[float], Awaitable[None]], body: object) -> HttpResponse:
        request = HttpRequest("POST", self._path, body=body, max_reply_bytes=MAX_REPLY_BYTES)
        backoff = Backoff(1 + self._max_retries, longest_delay=LONGEST_PAUSE_SECONDS)
        while True:
            try:
                reply = await http.send(request)
            except ProviderError as error:
                pause = backoff.next_delay() if error.code == "provider_unavailable" else None
                if pause is None:
                    raise ProviderError(f"{self.name}: {error.message}", code=error.code) from error.__cause__
            else:
                pause = backoff.next_delay(_asked_to_wait(reply)) if self._may_pass(reply) else None
                if pause is None:
                    return reply
            await sleep(pause)

    def _may_pass(self, reply: HttpResponse) -> bool:
        """Whether the same request may fare better later. Some services say so."""
        if is_good(reply) or self._is_final(reply):
            return False
        said = reply.headers.get("x-should-retry")
        return said == "true" or (said != "false" and (reply.status >= 500 or reply.status in (408, 409, 429)))

    def failure(self, reply: HttpResponse, texts: Iterable[str]) -> OMPError:
        """The error for a reply that is not good.

        Args:
            texts: what was sent, which the message does not repeat.
        """
        status = reply.status
        if status in (401, 403):
            return UnauthorizedError(
                f"{self.name}: the service at {self.url} refused the key ({status}); check {self._key_setting}"
            )
        if status == 429:
            code = _field(reply, "code")
            return RateLimitedError(
                f"{self.name}: the service at {self.url} asks to slow down{f' ({code})' if code else ''}",
                retry_after=_asked_to_wait(reply),
            )
        if (status >= 500 and not self._is_final(reply)) or status in (408, 409):
            return ProviderError(
                f"{self.name}: the service at {self.url} failed with status {status}", code="provider_unavailable"
            )
        shown = reason(reply) if status >= 400 else f"it redirects elsewhere; correct the address, {self._url_setting}"
        for secret in self._secrets:
            shown = shown.replace(secret, "***")
        if any(text[:QUOTE_CHARACTERS] in shown for text in texts if len(text) > 3):
            shown = "its message repeats the text"
        shown = " ".join(shown.split()) or "it does not say why"
        return ProviderError(
            f"{self.name}: the service at {self.url} refused the request ({status}): {shown[:REASON_CHARACTERS]}"
        )

    def nonsense(self, what: str = "makes no sense") -> ProviderError:
        """The error for a good reply that does not answer the request."""
        return ProviderError(f"{self.name}: the answer of the service at {self.url} {what}")


def is_good(reply: HttpResponse) -> bool:
    """Whether the request was performed."""
    return 200 <= reply.status < 300


def reason(reply: HttpResponse) -> str:
    """The message of a refusal: as OpenAI has it, or as others do; without the request, which some repeat.

    A body that is no JSON is the message itself.
    """
    try:
        found: object = json.loads(reply.content)
    except (ValueError, RecursionError):
        found = reply.content.decode(errors="replace")
    where = ""
    for name in ("error", "message", "detail", "msg"):
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict) and found.get(name):
            # Servers made with FastAPI name the field beside the message.
            where = "encoding_format: " if name == "msg" and "encoding_format" in (found.get("loc") or ()) else where
            found = found[name]
    return f"{where}{found.strip()}" if isinstance(found, str) else ""


def check_key(kind: str, key: str, setting: str, missing: str) -> str:
    """A key without the blanks around it.

    Args:
        kind: whose it is, for messages.
        setting: where it comes from.
        missing: what to say where there is none.
    """
    if not isinstance(key, str):
        raise InvalidRequestError(f"{kind}: {setting} must be text, not of type {type(key).__name__}")
    key = key.strip()
    if not key:
        raise InvalidRequestError(f"{kind}: {missing}")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidRequestError(f"{kind}: {setting} has characters that no key has")
    return key


def _field(reply: HttpResponse, name: str) -> str | None:
    """A field of the error in a reply, if it is a plain word."""
    try:
        found: object = json.loads(reply.content)
    except (ValueError, RecursionError):
        return None
    error = found.get("error") if isinstance(found, dict) else None
    value = error.get(name) if isinstance(error, dict) else None
    return value if isinstance(value, str) and value.isascii() and value.replace("_", "").isalnum() else None


def _asked_to_wait(reply: HttpResponse) -> float | None:
    """The seconds the service asks to wait, in OpenAI's own header or the standard one."""
    milliseconds = retry_after(reply.headers.get("retry-after-ms"))
    return retry_after(reply.headers.get("retry-after")) if milliseconds is None else milliseconds / 1000


async def _blocking_sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - blocks on purpose, see `openmem.ports`


async def _close(http: HttpIO) -> None:
    await http.close()
