"""What a page is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import Response

from .navigation import Link
from .visit import Visit

Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        path: behind ``/ui/``; fixed, without parameters.
        get: answers a request that only reads; None if there is none.
        post: answers a form that changes something; None if there is none.
        link: its place in the navigation; None if it has none.
        takes_upload: whether `post` reads the body of the request itself, as `openmem.ui.uploads` does.
    """

    path: str
    get: Handler | None = None
    post: Handler | None = None
    link: Link | None = None
    takes_upload: bool = False
