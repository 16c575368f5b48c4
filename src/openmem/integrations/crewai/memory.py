"""`OpenmemMemory`: the memory of CrewAI on openmem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory
from crewai.memory.utils import join_scope_paths
from pydantic import Field, PrivateAttr

from ...delimited import Note, delimit_notes
from ...models import SearchResult, SearchResults
from ...operations import Search
from ...ports import run_blocking
from ..performing import Perform, blocking
from ..rules import OnError, checked_on_error, reading
from .records import Records, record_of

MATCH_TOKENS: Final = 500
"""Of what the model is shown of one memory, at most."""

NOT_RESTORED: Final = {"openmem": "a restored crew is given its OpenmemMemory again"}
"""What stands for the storage in a checkpoint."""


class OpenmemMatch(MemoryMatch):
    """A memory that was found. The model reads it as data: delimited, on one line, without anything like a tag.

    Of a long one it reads an excerpt that answers the query.
    """

    note: Note = Field(exclude=True, repr=False)
    query: str = Field(default="", exclude=True, repr=False)

    def format(self) -> str:
        """The memory as the model is shown it."""
        return delimit_notes([self.note], query=self.query, token_budget=MATCH_TOKENS).text


class OpenmemMemory(Memory):
    """The memories of a user, for crews, agents, flows and their tools.

    ``recall`` ranks by words and meaning, and asks no model. Nothing is stored that nobody asked to store: an agent has
    the tools of CrewAI to save and search memories, and with ``extraction=True`` a model of CrewAI distils facts from
    the results of tasks, too. Facts are stored as they are told.

    Give the arguments by name.

    Attributes:
        client: an `openmem.integrations.MemoryClients`, which serves every thread and event loop; or an
            `openmem.Memory` or `openmem.AsyncMemory`.
        user_id: whose memories: an id, or a function without arguments that finds the user of the run, such as the
            ``get`` of a context variable.
        root_scope: the scope below which all is stored and read, such as ``/kitchen``; None for all.
        app: name of the application in `source.app` of what is stored.
        extraction: whether facts are taken from the results of tasks by `llm`, as CrewAI does.
        llm: a model of CrewAI; only with `extraction`.
        on_error: what becomes of a run when memories cannot be read: ``warn`` logs it and goes on without, ``raise``
            raises, which CrewAI reports as an event. A write that fails raises in any case.
        read_only: whether nothing is stored.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    client: Any = Field(exclude=True, repr=False)
    user_id: str | Callable[[], str | None]
    app: str = "crewai"
    extraction: bool = False
    on_error: OnError = "warn"
    _records: Records = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check the arguments."""
        checked_on_error(self.on_error)
        self._records = Records(self.client, self.user_id, self.app)
        self._records.check(self.root_scope)
        # CrewAI would otherwise open a database of its own, and a model for vectors.
        self.__dict__.update(storage=self._records, embedder=_no_vectors)
        super().model_post_init(context)
        # Of a text in a checkpoint CrewAI would make the path of a database.
        self.__dict__.update(storage=dict(NOT_RESTORED), embedder=None)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> OpenmemMemory:
        """A copy for a copy of a crew, with the same client."""
        return self.model_copy()

    def extract_memories(self, content: str) -> list[str]:
        """The facts in a text, by the model of CrewAI, if `extraction` is on; else none."""
        return super().extract_memories(content) if self.extraction else []

    def remember(
        self,
        content: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> MemoryRecord | None:
        """Store a fact; None if the memory may only be read.

        Raises:
            OMPError: the fact was refused, or the backend failed.
        """
        if self.read_only:
            return None
        path = self._below(scope, root_scope)
        op = self._records.add(content, path, categories, metadata, importance, source, private)
        return record_of(self._records.runner.run(op))

    def remember_many(
        self,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> list[MemoryRecord]:
        """Store facts, all or none, and return when they are stored.

        Raises:
            OMPError: one was refused, or the backend failed.
        """
        if self.read_only or not contents:
            return []
        path = self._below(scope, root_scope)
        op = self._records.add_many(contents, path, categories, metadata, importance, source, private)
        return list(map(record_of, self._records.runner.run(op)))

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Literal["shallow", "deep"] = "deep",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        """The memories that best answer a query, best first; `depth` changes nothing, since no model is asked.

        Raises:
            OMPError: the backend failed, and `on_error` is ``raise``; or an argument is invalid.
        """
        op = self._records.search(query, self._below(scope), categories, limit, source, include_private)
        return run_blocking(self._found(op, blocking(self._records.runner)))

    async def aremember(
        self,
        content: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
    ) -> MemoryRecord | None:
        """`remember` as a coroutine."""
        if self.read_only:
            return None
        op = self._records.add(content, self._below(scope), categories, metadata, importance, source, private)
        return record_of(await self._records.runner.arun(op))

    async def aremember_many(
        self,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
    ) -> list[MemoryRecord]:
        """`remember_many` as a coroutine."""
        if self.read_only or not contents:
            return []
        op = self._records.add_many(contents, self._below(scope), categories, metadata, importance, source, private)
        return list(map(record_of, await self._records.runner.arun(op)))

    async def arecall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Literal["shallow", "deep"] = "deep",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        """`recall` as a coroutine."""
        op = self._records.search(query, self._below(scope), categories, limit, source, include_private)
        return await self._found(op, self._records.runner.arun)

    async def _found(self, op: Search | None, perform: Perform) -> list[MemoryMatch]:
        """What a search finds; nothing where there is nothing to look for."""
        found: SearchResults = []
        if op is not None:
            with reading(self.on_error, "recalling memories"):
                found = await perform(op)
        return [] if op is None else [_match_of(result, op.query) for result in found]

    def _below(self, scope: str | None, root_scope: str | None = None) -> str:
        return join_scope_paths(self.root_scope if root_scope is None else root_scope, scope)


def _no_vectors(texts: Any) -> list[Any]:
    """In place of an embedder: openmem makes the vectors."""
    return []


def _match_of(result: SearchResult, query: str) -> MemoryMatch:
    note = Note.of(result.memory, result.score)
    return OpenmemMatch(record=record_of(result.memory), score=result.score, note=note, query=query)
