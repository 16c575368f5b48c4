"""The server over standard input and output, for one user and one host."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from .._ids import new_request_id
from ..access import Grants
from ..call import Call
from ..errors import OMPError, ProviderError, origin
from .callers import Caller, RequestContext, name_of_client
from .reading import Requests
from .server import MemoryServer

if TYPE_CHECKING:
    from ..async_memory import AsyncMemory
    from ..models import Capabilities
    from ..operations import Operation

R = TypeVar("R")

logger = logging.getLogger("openmem.mcp")


@dataclass(frozen=True, slots=True, repr=False)
class Backend:
    """Which memory is served. It has no ``repr``, since its settings may be secrets.

    Attributes:
        make: makes the client; called once, when it is needed.
        user_id: whose memories all tools are about.
        grants: what the host may do.
        app: name of the application, for the audit log and the memories' source; by default the host's own.
        explain: an error's message in the words of whoever made the settings.
    """

    make: Callable[[], AsyncMemory]
    user_id: str
    grants: Grants
    app: str | None = None
    explain: Callable[[str], str] = str


class OneUser:
    """Says that every request is of the same user, and opens the backend with the first one that needs it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._memory: AsyncMemory | None = None

    def grants(self, context: RequestContext) -> Grants:
        return self._backend.grants

    def caller(self, context: RequestContext) -> Caller:
        app = self._backend.app or name_of_client(context)

        async def run(op: Operation[R]) -> R:
            call = Call(
                request_id=new_request_id(),
                app=app,
                grants=self._backend.grants,
                users=frozenset({self._backend.user_id}),
            )
            return await self._opened().client.run(op, call)

        async def capabilities() -> Capabilities:
            return await self._opened().capabilities()

        return Caller(self._backend.user_id, self._backend.grants, app, run, capabilities)

    def shown(self, context: RequestContext, error: Exception) -> OMPError:
        if isinstance(error, OMPError):
            if isinstance(error, ProviderError):
                error.message = self._backend.explain(error.message)
            return error
        if isinstance(error, ImportError):
            return OMPError(str(error), code="missing_extra")
        logger.error("internal error: %s", origin(error))
        return OMPError("internal error; the log of this host's server tells more", code="internal_error")

    def _opened(self) -> AsyncMemory:
        if self._memory is None:
            self._memory = self._backend.make()
        return self._memory

    async def close(self) -> None:
        """Release the backend."""
        if self._memory is not None:
            await self._memory.close()


def serve(backend: Backend, *, for_chatgpt: bool = False) -> int:
    """Serve until standard input ends, or the process is told to stop.

    Returns:
        The exit status.
    """
    # What was imported stays, so that no collection need look at it again.
    gc.freeze()
    return asyncio.run(_serve(backend, for_chatgpt))


async def _serve(backend: Backend, for_chatgpt: bool) -> int:
    callers = OneUser(backend)
    server = MemoryServer(callers, for_chatgpt=for_chatgpt).build()
    serving = asyncio.create_task(_answer(server))
    told = asyncio.get_running_loop().create_future()
    with contextlib.suppress(NotImplementedError):  # Windows ends the process without asking
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _tell, told, number)
    try:
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await callers.close()
    if told.done():
        # A thread reads standard input, and cannot be ended while nothing comes. So the signal does what it does.
        signal.signal(told.result(), signal.SIG_DFL)
        signal.raise_signal(told.result())
    await serving
    return 0


async def _answer(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(Requests(incoming, outgoing), outgoing, server.create_initialization_options())


def _tell(told: asyncio.Future[int], number: int) -> None:
    if not told.done():
        told.set_result(number)
