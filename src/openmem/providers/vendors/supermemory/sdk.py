"""Supermemory's SDK: the calls that the provider makes of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx
import supermemory

from ...._forking import undisturbed
from ...._network import trusts_environment

CONNECT_TIMEOUT: Final = 5.0

NAMESPACE: Final = re.compile(r"[A-Za-z0-9_:-]{1,100}")
IN_PATH: Final = re.compile(r"(?!\.+\Z)[A-Za-z0-9_:.-]{1,255}")

ConnectionFailure: Final = supermemory.APIConnectionError
Timeout: Final = supermemory.APITimeoutError


class Hosted:
    """The hosted API, or a server that speaks like it. Makes no request when it is constructed.

    The SDK puts namespaces and ids into the path as they are, so that a slash or a dot in them would
    lead to another user's; every method refuses what is not plain with `ValueError`.

    Args:
        base_url: the server; None for the one in ``SUPERMEMORY_BASE_URL``, or else the hosted API.
        timeout: seconds to wait for each part of a reply.
    """

    @undisturbed()
    def __init__(self, api_key: str, base_url: str | None, timeout: float) -> None:
        limits = httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
        url = base_url or os.environ.get("SUPERMEMORY_BASE_URL")
        self._http = httpx.Client(timeout=limits, trust_env=trusts_environment(url), verify=httpx.create_ssl_context())
        client: Any = supermemory.Supermemory(
            api_key=api_key, base_url=base_url, timeout=limits, max_retries=0, http_client=self._http
        )
        # Reaching for a method imports its part of the SDK.
        self._add, self._list, self._search = client.add, client.list, client.search
        self._get, self._update, self._delete = client.documents.get, client.documents.update, client.documents.delete
        self._namespaces = client.namespaces.list

    def add(self, namespace: str, id: str, **body: Any) -> Any:
        return self._add(_checked(NAMESPACE, namespace), id=_checked(IN_PATH, id), **body)

    def get(self, namespace: str, id: str) -> Any:
        return self._get(_checked(NAMESPACE, namespace), _checked(IN_PATH, id))

    def update(self, namespace: str, id: str, **body: Any) -> Any:
        return self._update(_checked(NAMESPACE, namespace), _checked(IN_PATH, id), **body)

    def delete(self, namespace: str, id: str) -> Any:
        return self._delete(_checked(NAMESPACE, namespace), ids=[id])

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
        return self._namespaces(page=1, limit=1)

    def close(self) -> None:
        self._http.close()


def _checked(pattern: re.Pattern[str], part: str) -> str:
    if not pattern.fullmatch(part):
        raise ValueError(f"{part!r} cannot be part of a path")
    return part
