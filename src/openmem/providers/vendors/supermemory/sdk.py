"""Supermemory's SDK: the calls that the provider makes of it, and what its exceptions mean. All of it blocks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import supermemory

from ...._forking import undisturbed
from ...._retrying import retry_after
from ....errors import OMPError, ProviderError
from ..errors import VendorErrors, shorten
from ..http import http_client, timeouts
from .errors import BusyError
from .names import IN_PATH, NAMESPACE


class SupermemoryClient:
    """The hosted API, or a server that speaks like it. Makes no request when it is constructed.

    The SDK puts namespaces and ids into the path as they are, so that a slash or a dot in them would
    lead to another user's; every method refuses what is not plain with `ValueError`.

    Args:
        base_url: the server; None for the one in ``SUPERMEMORY_BASE_URL``, or else the hosted API.
        timeout: seconds to wait for each part of a reply.
    """

    @undisturbed()
    def __init__(self, api_key: str, base_url: str | None, timeout: float) -> None:
        self._http = http_client(base_url or os.environ.get("SUPERMEMORY_BASE_URL"), timeout)
        client: Any = supermemory.Supermemory(
            api_key=api_key, base_url=base_url, timeout=timeouts(timeout), max_retries=0, http_client=self._http
        )
        # Reaching for a method imports its part of the SDK.
        self._add, self._list, self._search = client.add, client.list, client.search
        self._get, self._update, self._delete = client.documents.get, client.documents.update, client.documents.delete
        self._namespaces = client.namespaces.list

    def add(self, namespace: str, id: str, **body: Any) -> Any:
        """Store a document. To one that has this id already, the text would be appended."""
        return self._add(_checked(NAMESPACE, namespace), id=_checked(IN_PATH, id), **body)

    def get(self, namespace: str, id: str) -> Any:
        """One document."""
        return self._get(_checked(NAMESPACE, namespace), _checked(IN_PATH, id))

    def update(self, namespace: str, id: str, **body: Any) -> Any:
        """Change the given fields of a document."""
        return self._update(_checked(NAMESPACE, namespace), _checked(IN_PATH, id), **body)

    def delete(self, namespace: str, ids: Sequence[str]) -> Any:
        """Delete documents; the answer says how many were deleted."""
        return self._delete(_checked(NAMESPACE, namespace), ids=list(ids))

    def list(self, namespace: str, page: int, page_size: int) -> Any:
        """One page of the documents with their texts, oldest first."""
        return self._list(
            _checked(NAMESPACE, namespace),
            "documents",
            page=page,
            limit=page_size,
            sort="createdAt",
            order="asc",
            include={"content": True},
        )

    def search(self, namespace: str, query: str, limit: int, filter: Mapping[str, Any] | None) -> Any:
        """The passages most similar to `query`, however little, with their documents."""
        return self._search(
            _checked(NAMESPACE, namespace),
            query=query,
            search_mode="chunks",
            limit=limit,
            threshold=0.0,
            include={"documents": True},
            **({} if filter is None else {"filter": filter}),
        )

    def ping(self) -> Any:
        """Anything that the service answers only to a valid key."""
        return self._namespaces(page=1, limit=1)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def translate(error: Exception, errors: VendorErrors) -> OMPError:
    """openmem's error for an exception of the SDK."""
    if isinstance(error, supermemory.APIStatusError):
        return _of_status(error, errors)
    if isinstance(error, supermemory.APITimeoutError):
        return errors.timed_out()
    if isinstance(error, supermemory.APIConnectionError):
        return errors.unreachable(str(error.__cause__ or error))
    return errors.malformed(f"what its SDK fails on ({type(error).__name__})")


def _of_status(error: supermemory.APIStatusError, errors: VendorErrors) -> OMPError:
    detail = _detail(error.body)
    if error.status_code == 404 and detail is None:
        return ProviderError(f"Supermemory's API is not at this URL: 404 {shorten(str(error.body))}")
    if error.status_code == 409:
        return BusyError(f"Supermemory answered 409: {shorten(detail or str(error.body))}")
    asked = None if error.response is None else retry_after(error.response.headers.get("retry-after"))
    return errors.from_status(error.status_code, detail or str(error.body), asked)


def _detail(body: object) -> str | None:
    """What the service said of an error; None if these are not its words."""
    if not isinstance(body, Mapping) or not body.get("error"):
        return None
    said, details = body["error"], body.get("details")
    if isinstance(said, list):
        said = "; ".join(str(item.get("message", item)) if isinstance(item, Mapping) else str(item) for item in said)
    return f"{said}: {details}" if details else str(said)


def _checked(pattern: re.Pattern[str], part: str) -> str:
    if not pattern.fullmatch(part):
        raise ValueError(f"{part!r} cannot be part of a path")
    return part
