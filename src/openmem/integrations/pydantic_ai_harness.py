"""The notebook of agents of the Pydantic AI Harness, as a store of its capability ``Memory``.

Install ``openmem[pydantic-ai-harness]``::

    clients = MemoryClients()
    memory = Memory(store_resolver=lambda run: OpenmemStore(clients, user_id=run.deps))
    agent = Agent(model, deps_type=str, capabilities=[memory])

A file is a memory whose key is its path, and its folder is a scope, so that `openmem.Memory.search` finds what an agent
wrote. Each write supersedes the version before it, which `openmem.Memory.history` shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from .._extras import require_extra
from ..errors import ConflictError, NotFoundError
from ..models import MemoryRecord, MemorySource
from ..operations import DeleteMany, GetByKey, History, List, Put, Search, Update
from .clients import AnyClient, runner_of
from .rules import as_query
from .segments import encoded, field_name

require_extra("OpenmemStore", "pydantic-ai-harness", ("pydantic_ai_harness",))

from pydantic_ai_harness.memory import (
    MemoryConflictError,
    MemoryFile,
    MemoryMutation,
    MemoryOperation,
    MemoryOperationConflictError,
    MemorySearchMatch,
    MemorySearchResult,
)

__all__ = ["OpenmemStore"]

WRITE: Final = "_write"
"""Where metadata says which write a version is from: its operation, and whether the file was there before it."""
MOST_INDEXED: Final = 65_536
"""Characters of a text that searches find."""
MAX_RANKED: Final = 100
MOST_RECEIPTS: Final = 40
"""Operations on a deleted file that are known not to be done again, the latest ones."""
PAGE: Final = 500
SEGMENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class OpenmemStore:
    """The files of one user. Writes and deletions compare versions, and none is made twice.

    Search ranks by words and meaning. Works on any event loop that `client` serves.

    Args:
        client: an `openmem.integrations.MemoryClients`, which serves ``run_sync`` and any event loop; or an
            `openmem.AsyncMemory` or `openmem.Memory`.
        user_id: whose files. With ``store_resolver`` the run says whose.
        scope: where they are.
        app: name of the agent in `source.app` of what is written.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    def __init__(self, client: AnyClient, user_id: str, scope: str = "harness", *, app: str = "pydantic-ai") -> None:
        self._runner = runner_of(client)
        self._user_id = user_id
        self._scope = scope
        self._source = MemorySource(app=app, type="explicit")
        List(user_id=user_id, scope=f"{scope}/**")

    async def read(self, path: str, *, max_chars: int) -> MemoryFile | None:
        """The file at a path; None if there is none."""
        if max_chars <= 0:
            raise ValueError(f"max_chars: {max_chars} is not positive")
        record = await self._record(path)
        if record is None or _is_deleted(record):
            return None
        return MemoryFile(
            content=record.content[:max_chars],
            version=record.id,
            operation_id=_written(record).get("operation"),
            truncated=len(record.content) > max_chars,
            metadata={name: value for name, value in (record.metadata or {}).items() if name != WRITE} or None,
        )

    async def get_operation(self, operation: MemoryOperation) -> MemoryMutation | None:
        """What an operation has done; None if it was not performed yet.

        Raises:
            MemoryOperationConflictError: its id was used with other arguments.
        """
        where: dict[str, Any] = {
            "$or": [
                {f"{WRITE}.operation": operation.id},
                {f"{WRITE}.receipts.{field_name(operation.id)}": {"$exists": True}},
            ]
        }
        page = await self._runner.arun(List(user_id=self._user_id, scope=f"{self._scope}/**", where=where, limit=1))
        if not page.items:
            return None
        [record] = page.items
        receipt = _receipts(record)[operation.id]
        if receipt["fingerprint"] != operation.fingerprint:
            raise MemoryOperationConflictError(f"operation {operation.id!r} was used with other arguments")
        return MemoryMutation(version=receipt["version"], replayed=True, existed=receipt["existed"])

    async def write(
        self, path: str, content: str, *, expected_version: str | None, operation: MemoryOperation | None = None
    ) -> MemoryMutation:
        """Create or replace a file, if its version is the expected one.

        Raises:
            MemoryConflictError: it is at another version.
            MemoryOperationConflictError: the id of the operation was used with other arguments.
        """
        return await self.write_with_metadata(
            path, content, expected_version=expected_version, metadata=None, operation=operation
        )

    async def write_with_metadata(
        self,
        path: str,
        content: str,
        *,
        expected_version: str | None,
        metadata: Mapping[str, str] | None,
        operation: MemoryOperation | None = None,
    ) -> MemoryMutation:
        """`write`, with what the write says about itself."""
        return await self._change(path, content, expected_version, dict(metadata or {}), operation)

    async def delete(
        self, path: str, *, expected_version: str | None, operation: MemoryOperation | None = None
    ) -> MemoryMutation:
        """Erase a file with its earlier versions, if its version is the expected one.

        Raises:
            MemoryConflictError: it is at another version.
            MemoryOperationConflictError: the id of the operation was used with other arguments.
        """
        done = await self._change(path, None, expected_version, {}, operation)
        record = await self._record(path)
        if record is not None and _is_deleted(record):
            await self._erase_before(record)
        return done

    async def list_paths(self, prefix: str = "", *, limit: int) -> list[str]:
        """The paths that begin with a text, in their order."""
        if limit <= 0:
            raise ValueError(f"limit: {limit} is not positive")
        folder = prefix.rpartition("/")[0]
        op = List(
            user_id=self._user_id,
            scope=f"{self._folder(folder)}/**",
            where={f"{WRITE}.deleted": {"$exists": False}},
            limit=PAGE,
        )
        paths: list[str] = []
        while True:
            page = await self._runner.arun(op)
            paths += [record.key for record in page.items if record.key is not None and record.key.startswith(prefix)]
            if page.next_cursor is None:
                return sorted(paths)[:limit]
            op = op.model_copy(update={"cursor": page.next_cursor})

    async def search(
        self, prefix: str, query: str, *, limit: int, max_files: int, max_chars: int, max_file_chars: int
    ) -> MemorySearchResult:
        """The files of a folder that best answer a query, best first, each with the part where it begins to.

        Args:
            prefix: the folder, with a slash at its end.
            query: what is looked for.
            limit: files at most.
            max_files: of these files at most; all are ranked, whatever it says.
            max_chars: of all paths and parts together.
            max_file_chars: of the text of a file that a part is taken from.
        """
        if not query.strip() or min(limit, max_files, max_chars, max_file_chars) <= 0:
            return MemorySearchResult(matches=[], scanned=0, truncated=False)
        found = await self._runner.arun(
            Search(
                query=as_query(query),
                user_id=self._user_id,
                scope=self._folder(prefix.rpartition("/")[0]),
                limit=min(limit + 1, MAX_RANKED),
            )
        )
        results = [result for result in found if (result.memory.key or "").startswith(prefix)]
        matches: list[MemorySearchMatch] = []
        for result in results[:limit]:
            path = result.memory.key or ""
            max_chars -= len(path.removeprefix(prefix))
            if max_chars <= 0:
                break
            part = _part(result.memory.content[:max_file_chars], query, max_chars)
            max_chars -= len(part)
            matches.append(MemorySearchMatch(path=path, snippet=part, score=result.score))
        is_cut = any(len(result.memory.content) > max_file_chars for result in results[:limit])
        return MemorySearchResult(
            matches=matches, scanned=len(results), truncated=is_cut or len(results) > len(matches)
        )

    async def _change(
        self,
        path: str,
        content: str | None,
        expected_version: str | None,
        metadata: dict[str, Any],
        operation: MemoryOperation | None,
    ) -> MemoryMutation:
        """Write a file, or what says that it was deleted."""
        if operation is not None and (done := await self.get_operation(operation)) is not None:
            return done
        current = await self._record(path)
        existed = current is not None and not _is_deleted(current)
        if (current.id if current is not None and existed else None) != expected_version:
            return await self._done_meanwhile(path, operation)
        if content is None and not existed and operation is None:
            return MemoryMutation(version=None, replayed=False, existed=False)
        written: dict[str, Any] = {"existed": existed, **({"deleted": True} if content is None else {})}
        if operation is not None:
            written |= {"operation": operation.id, "fingerprint": operation.fingerprint}
        text = content or ""
        put = Put(
            key=path,
            content=text,
            user_id=self._user_id,
            scope=self._folder(path.rpartition("/")[0]),
            indexed=bool(text.strip()) and len(text) <= MOST_INDEXED,
            source=self._source,
            metadata={**metadata, WRITE: written},
            if_version=0 if current is None else current.version,
            keep_history=True,
        )
        try:
            record = await self._runner.arun(put)
        except ConflictError:
            return await self._done_meanwhile(path, operation)
        return _mutation(record)

    async def _erase_before(self, deletion: MemoryRecord) -> None:
        """Erase the versions before a deletion, whose operations it remembers from then on.

        A file that was written after it has a later version, which stays.
        """
        versions = await self._runner.arun(History(id=deletion.id, user_id=self._user_id))
        ids = [version.id for version in versions]
        earlier = versions[: ids.index(deletion.id)]
        if not earlier:
            return
        receipts = {name: receipt for version in earlier for name, receipt in _receipts(version).items()}
        if receipts:
            latest = dict(list(receipts.items())[-MOST_RECEIPTS:])
            metadata = {**(deletion.metadata or {}), WRITE: {**_written(deletion), "receipts": latest}}
            await self._runner.arun(Update(id=deletion.id, user_id=self._user_id, metadata=metadata))
        await self._runner.arun(DeleteMany(user_id=self._user_id, ids=[version.id for version in earlier]))

    async def _done_meanwhile(self, path: str, operation: MemoryOperation | None) -> MemoryMutation:
        """What the same operation did in another process or task, where the file is at another version.

        Raises:
            MemoryConflictError: something else changed the file.
        """
        done = None if operation is None else await self.get_operation(operation)
        if done is None:
            raise MemoryConflictError(f"{path!r} is at another version")
        return done

    async def _record(self, path: str) -> MemoryRecord | None:
        """The memory at a path, also one that says that the file was deleted."""
        scope = self._folder(path.rpartition("/")[0])
        _checked(path)
        try:
            return await self._runner.arun(GetByKey(key=path, user_id=self._user_id, scope=scope))
        except NotFoundError:
            return None

    def _folder(self, path: str) -> str:
        """The scope of a folder."""
        return "/".join((self._scope, *(map(encoded, _checked(path).split("/")) if path else ())))


def _checked(path: str) -> str:
    """A path, if its segments are of the characters that the harness allows.

    Raises:
        ValueError: they are not.
    """
    for segment in path.split("/"):
        if not SEGMENT.fullmatch(segment) or segment == "." or ".." in segment:
            raise ValueError(f"path: {path!r} is not of segments of letters, digits, dots, dashes and underscores")
    return path


def _written(record: MemoryRecord) -> dict[str, Any]:
    found = (record.metadata or {}).get(WRITE)
    return found if isinstance(found, dict) else {}


def _is_deleted(record: MemoryRecord) -> bool:
    return bool(_written(record).get("deleted"))


def _mutation(record: MemoryRecord) -> MemoryMutation:
    return MemoryMutation(version=_version(record), replayed=False, existed=bool(_written(record).get("existed")))


def _version(record: MemoryRecord) -> str | None:
    return None if _is_deleted(record) else record.id


def _receipts(record: MemoryRecord) -> dict[str, dict[str, Any]]:
    """What the operations have done that a version is from, or that a deletion remembers, the latest last."""
    written = _written(record)
    receipts: dict[str, dict[str, Any]] = dict(written.get("receipts") or {})
    if "operation" in written:
        receipts[written["operation"]] = {
            "fingerprint": written["fingerprint"],
            "version": _version(record),
            "existed": bool(written.get("existed")),
        }
    return receipts


def _part(text: str, query: str, size: int) -> str:
    """A part of a text around the first word of a query that is in it, with an ellipsis where it was cut."""
    if len(text) <= size:
        return text
    lower = text.lower()
    places = [place for word in query.lower().split() if (place := lower.find(word)) >= 0]
    begin = max(0, min(min(places, default=0) - size // 3, len(text) - size))
    part = text[begin : begin + size]
    if begin:
        part = f"\u2026{part[1:]}"
    return part if begin + size >= len(text) else f"{part[:-1]}\u2026"
