"""Whom a request comes from, and how an operation is performed for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from mcp.server.context import ServerRequestContext

from ..access import Grants
from ..errors import OMPError

if TYPE_CHECKING:
    from ..models import Capabilities
    from ..operations import Operation

R = TypeVar("R")

RequestContext: TypeAlias = ServerRequestContext[Any, Any]
"""What the SDK knows of a request."""


class Run(Protocol):
    """Performs an operation on the caller's behalf; raises `OMPError`."""

    def __call__(self, op: Operation[R], /) -> Awaitable[R]: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request comes from.

    Attributes:
        user_id: whose memories all tools are about.
        grants: what the caller may do; tools that need more are not listed.
        app: name of the application, for the memories that it adds.
        run: performs an operation on the caller's behalf.
        capabilities: asks what the backend can do.
    """

    user_id: str
    grants: Grants
    app: str
    run: Run
    capabilities: Callable[[], Awaitable[Capabilities]]


class Callers(Protocol):
    """Says whom requests come from."""

    def caller(self, context: RequestContext) -> Caller:
        """Whom a request comes from.

        Raises:
            OMPError: nothing says whose memories it is about.
        """

    def grants(self, context: RequestContext) -> Grants:
        """What whoever sent the request may do, whether or not anything says for whom."""

    def shown(self, context: RequestContext, error: Exception) -> OMPError:
        """An error as whoever sent the request may see it."""


def name_of_client(context: RequestContext) -> str:
    """What the host calls itself, as the name of an application; ``mcp`` if the request does not say."""
    client = context.session.client_params
    name = "" if client is None else " ".join(client.client_info.name.split())
    return name[:64] if name and name.isprintable() else "mcp"
