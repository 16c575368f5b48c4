"""Letta's SDK: the calls that the provider makes of it, and what its exceptions mean. All of it blocks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import letta_client

from ...._forking import undisturbed
from ...._retrying import retry_after
from ....errors import OMPError, ProviderError
from ..errors import VendorErrors
from ..http import http_client, timeouts


class LettaClient:
    """A Letta server. Makes no request when it is constructed.

    Args:
        api_key: None for a server that wants none.
        timeout: seconds to wait for each part of a reply.
    """

    @undisturbed()
    def __init__(self, api_key: str | None, url: str, timeout: float) -> None:
        self._http = http_client(url, timeout, follow_redirects=True)
        client: Any = letta_client.Letta(
            api_key=api_key, base_url=url, timeout=timeouts(timeout), max_retries=0, http_client=self._http
        )
        # The SDK takes a blank variable for a key.
        client.api_key = api_key
        # Reaching for a resource imports its part of the SDK.
        self._health, self._archives, self._passages = client.health, client.archives, client.passages
        self._archive_passages = client.archives.passages

    def ping(self) -> Any:
        """Whether the server is well."""
        return self._health()

    def list_archives(self, name: str, limit: int, **after: str) -> Any:
        """The first archives of this name, the oldest first, or those behind the one whose id is `after`."""
        return self._archives.list(name=name, order="asc", limit=limit, **after)

    def get_archive(self, id: str) -> Any:
        """One archive."""
        return self._archives.retrieve(id)

    def create_archive(self, name: str, **model: Any) -> Any:
        """Make an archive, with this embedding model or else the server's."""
        return self._archives.create(name=name, **model)

    def create_passage(
        self, archive_id: str, text: str, created_at: datetime, metadata: Mapping[str, Any], tags: Sequence[str]
    ) -> Any:
        """Store a text in an archive."""
        return self._archive_passages.create(
            archive_id, text=text, created_at=created_at.isoformat(), metadata=metadata, tags=tags
        )

    def delete_passage(self, archive_id: str, id: str) -> Any:
        """Delete a passage of an archive."""
        return self._archive_passages.delete(id, archive_id=archive_id)

    def list_passages(self, archive_id: str, since: datetime | None, until: datetime | None, limit: int) -> Any:
        """The first passages of an archive by the time they were made at, from `since` up to and with `until`."""
        return self._passages.search(archive_id=archive_id, start_date=since, end_date=until, limit=limit)

    def search(self, archive_id: str, query: str, limit: int) -> Any:
        """The passages of an archive that answer `query` best."""
        return self._passages.search(query=query, archive_id=archive_id, limit=limit)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def translate(error: Exception, errors: VendorErrors) -> OMPError:
    """openmem's error for an exception of the SDK."""
    if isinstance(error, letta_client.APIStatusError):
        # What it says can hold SQL, and names of others.
        asked = retry_after(error.response.headers.get("retry-after"))
        return errors.from_status(error.status_code, "its own words are in the __cause__", asked)
    if isinstance(error, letta_client.APITimeoutError):
        return errors.timed_out()
    if isinstance(error, letta_client.APIConnectionError):
        return errors.unreachable(str(error.__cause__ or error))
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return errors.malformed("something that is not JSON")
    return ProviderError(f"Letta's SDK failed with {type(error).__name__}")
