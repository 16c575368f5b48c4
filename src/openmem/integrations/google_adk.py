"""Memory for agents of Google's Agent Development Kit, as its memory service.

Install ``openmem[google-adk]``::

    runner = Runner(app_name="cook", agent=agent, session_service=sessions, memory_service=OpenmemMemoryService())

For ``adk web --memory_service_uri=openmem://local``, write in ``services.yaml``::

    services:
      - scheme: openmem
        type: memory
        class: openmem.integrations.google_adk.OpenmemMemoryService
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .._extras import require_extra
from ..delimited import escaped
from ..errors import InvalidRequestError, NotFoundError
from ..models import MemoryRecord, MemorySource
from ..operations import Add, Context, DeleteMany, GetByKey, List, Put, Search
from .clients import AnyClient, MemoryClients, runner_of
from .rules import RECALL_TOKENS, as_query, as_reference, turn_as_contents, within_budget
from .segments import encoded

require_extra("OpenmemMemoryService", "google-adk", ("google.adk",))

from google.adk.events.event import Event
from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions.session import Session
from google.genai import types

__all__ = ["OpenmemMemoryService"]


class OpenmemMemoryService(BaseMemoryService):
    """Stores the turns of sessions and what is added explicitly, and finds what answers a query.

    An application is a scope, so that applications of one user do not see each other's memories. A turn is stored once,
    however often its session is added, and one that was deleted is not stored again.

    ADK logs a search that fails, and goes on without memories. A write that fails is raised.

    Args:
        client: an `openmem.MemoryClients`, which serves ``Runner.run`` and any event loop; or an `openmem.AsyncMemory`
            or `openmem.Memory`. By default clients of the provider that `uri` names.
        uri: ``openmem://PROVIDER``, with settings of `openmem.Memory` as a query, such as
            ``openmem://local?embedder=hashing``. Other settings, and secrets, come from the environment.
        max_results: memories of a search, 1 to 100.
        token_budget: tokens of their texts at most; a long text is an excerpt that answers the query.
        agents_dir: what ADK passes besides; not used.

    Raises:
        InvalidRequestError: an argument or a setting is invalid.
        TypeError: `client` is no client.
    """

    def __init__(
        self,
        client: AnyClient | None = None,
        *,
        uri: str | None = None,
        max_results: int = 10,
        token_budget: int = RECALL_TOKENS,
        agents_dir: str | None = None,
    ) -> None:
        self._runner = runner_of(_clients_of(uri or "openmem://postgres") if client is None else client)
        self._max_results = max_results
        self._token_budget = token_budget
        Search(query="-", user_id="-", limit=max_results)
        Context(query="-", user_id="-", token_budget=token_budget)

    async def add_session_to_memory(self, session: Session) -> None:
        """Store the turns of a session that have text and are not stored yet."""
        await self.add_events_to_memory(
            app_name=session.app_name, user_id=session.user_id, events=session.events, session_id=session.id
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store turns that have text and are not stored yet."""
        session_id = as_reference(session_id)
        stored = await self._keys_of(app_name, user_id, session_id)
        metadata = {**(custom_metadata or {}), **({} if session_id is None else {"session": session_id})}
        for event in events:
            if event.id in stored:
                continue
            # The first part has the event's id and comes last, so that it says that all are stored.
            for number, text in reversed(list(enumerate(turn_as_contents(_text_of(event.content)), 1))):
                put = Put(
                    key=event.id if number == 1 else f"{event.id}#{number}",
                    content=text,
                    user_id=user_id,
                    scope=_scope_of(app_name),
                    metadata={**metadata, **({"author": event.author} if event.author else {})},
                    source=MemorySource(app=app_name, type="explicit", ref=session_id),
                    valid_from=datetime.fromtimestamp(event.timestamp, UTC),
                )
                await self._runner.arun(put)

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store memories that have text. One with an id that is stored already is replaced."""
        for entry in memories:
            text = _text_of(entry.content)
            if not text.strip():
                continue
            fields: dict[str, Any] = {
                "content": text,
                "user_id": user_id,
                "scope": _scope_of(app_name),
                "metadata": {
                    **(custom_metadata or {}),
                    **entry.custom_metadata,
                    **({"author": entry.author} if entry.author else {}),
                }
                or None,
                "source": MemorySource(app=app_name, type="explicit"),
                **({"valid_from": entry.timestamp} if entry.timestamp else {}),
            }
            await self._runner.arun(Put(key=entry.id, **fields) if entry.id else Add(**fields))

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        """What answers a query best, best first. Nothing of it can end the delimiter that ADK puts around it."""
        if not query.strip():
            return SearchMemoryResponse()
        op = Search(query=as_query(query), user_id=user_id, scope=_scope_of(app_name), limit=self._max_results)
        results = await self._runner.arun(op)
        found = within_budget(results, query, self._token_budget)
        return SearchMemoryResponse(memories=[_entry(memory, text) for memory, _, text in found])

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        """Erase the text of a memory. Its id stays known, so that its session does not bring it back.

        Raises:
            InvalidRequestError: no memory is named.
        """
        if not memory_id:
            raise InvalidRequestError("memory_id: name the memory to delete, by the id that search_memory returns")
        scope = _scope_of(app_name)
        try:
            await self._runner.arun(GetByKey(key=memory_id, user_id=user_id, scope=scope))
        except NotFoundError:
            await self._runner.arun(DeleteMany(user_id=user_id, scope=[scope], ids=[memory_id]))
        else:
            await self._runner.arun(Put(key=memory_id, content="", user_id=user_id, scope=scope, indexed=False))

    async def close(self) -> None:
        """Close the clients that the service made itself."""
        await self._runner.aclose()

    async def _keys_of(self, app_name: str, user_id: str, session_id: str | None) -> set[str]:
        """The keys of the turns of a session that are stored; None for those that belong to no session."""
        where = {"session": {"$exists": False} if session_id is None else session_id}
        op = List(user_id=user_id, scope=_scope_of(app_name), where=where, limit=500)
        keys: set[str] = set()
        while True:
            page = await self._runner.arun(op)
            keys.update(record.key for record in page.items if record.key is not None)
            if page.next_cursor is None:
                return keys
            op = op.model_copy(update={"cursor": page.next_cursor})


def _clients_of(uri: str) -> MemoryClients:
    parts = urlsplit(uri)
    if parts.scheme != "openmem" or parts.path not in ("", "/") or "@" in parts.netloc:
        raise InvalidRequestError("uri: give it as openmem://PROVIDER, such as openmem://local or openmem://postgres")
    try:
        settings = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        return MemoryClients(parts.netloc or "postgres", **settings)
    except (TypeError, ValueError):
        raise InvalidRequestError(
            "uri: what follows the question mark is settings of openmem.Memory, such as openmem://local?embedder=hashing"
        ) from None


def _scope_of(app_name: str) -> str:
    """The scope of an application: its name as one segment."""
    return encoded(app_name)


def _text_of(content: types.Content | None) -> str:
    parts = [] if content is None else content.parts or []
    return " ".join(part.text for part in parts if part.text and not part.thought)


def _entry(record: MemoryRecord, text: str) -> MemoryEntry:
    metadata = dict(record.metadata or {})
    author = metadata.pop("author", None)
    return MemoryEntry(
        id=record.key or record.id,
        content=types.Content(role="user", parts=[types.Part(text=escaped(text))]),
        author=escaped(" ".join(author.split())) if isinstance(author, str) else None,
        timestamp=(record.valid_from or record.created_at).isoformat(),
        custom_metadata=metadata,
    )
