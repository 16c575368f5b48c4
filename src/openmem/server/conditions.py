"""Versions of memories in headers: ``ETag`` says which one a reply has, ``If-Match`` which one a write is for."""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.requests import Request

from ..errors import InvalidRequestError
from ..models import MemoryRecord
from ..operations import Put
from ..wire.route import Route

ETAG_HEADER: Final = "ETag"
IF_MATCH_HEADER: Final = "If-Match"
IF_NONE_MATCH_HEADER: Final = "If-None-Match"
FIELD: Final = "if_version"

_VERSION: Final = re.compile(r'"([1-9][0-9]{0,17})"')


def entity_tag(result: object) -> str | None:
    """The ``ETag`` of a reply; None unless it is one memory whose changes are counted."""
    return f'"{result.version}"' if isinstance(result, MemoryRecord) and result.version is not None else None


def takes_condition(route: Route[Any]) -> bool:
    """Whether requests may say which version they are for."""
    return FIELD in route.operation_type.model_fields


def version_condition(route: Route[Any], request: Request) -> int | None:
    """The ``if_version`` that the headers ask for; None if they ask for none.

    Raises:
        InvalidRequestError: they ask for what a memory's version cannot be held against.
    """
    if not takes_condition(route):
        return None
    wanted = _value(request, IF_MATCH_HEADER)
    absent = _value(request, IF_NONE_MATCH_HEADER) if route.operation_type is Put else None
    if absent is not None:
        if absent != "*" or wanted is not None:
            raise InvalidRequestError(
                f"{IF_NONE_MATCH_HEADER}: send '*', to store only if nothing is there, without {IF_MATCH_HEADER}"
            )
        return 0
    if wanted is None:
        return None
    found = _VERSION.fullmatch(wanted)
    if found is None:
        raise InvalidRequestError(f"{IF_MATCH_HEADER}: give one version as the ETag of a reply has it, such as '\"3\"'")
    return int(found[1])


def _value(request: Request, header: str) -> str | None:
    values = request.headers.getlist(header)
    return ", ".join(values).strip() if values else None
