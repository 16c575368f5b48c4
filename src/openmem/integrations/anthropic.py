"""The memory tool of the Claude API, whose files are memories of one user.

Install ``openmem[anthropic]``::

    tool = OpenmemMemoryTool(memory, user_id="maya")
    client.beta.messages.tool_runner(model=…, max_tokens=…, messages=[…], tools=[tool]).until_done()

Commands and their texts are those of the tool ``memory_20250818``, which Claude has learned. A file is a memory whose
key is its path, and its folder is a scope, so that `openmem.Memory.search` finds what Claude wrote. Each edit
supersedes the version before it, which `openmem.Memory.history` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from posixpath import normpath
from typing import Any, Final

from .._extras import require_extra
from ..errors import ConflictError, InvalidRequestError, NotFoundError
from ..models import MemoryRecord, MemorySource
from ..operations import Count, DeleteMany, GetByKey, List, Put
from ..ports import run_blocking
from .clients import AnyClient, runner_of
from .performing import Perform, blocking
from .segments import encoded
from .versions import erase_with_versions

require_extra("OpenmemMemoryTool", "anthropic", ("anthropic",))

from anthropic.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool, ToolError

__all__ = ["AsyncOpenmemMemoryTool", "OpenmemMemoryTool"]

ROOT: Final = "/memories"
FOLDER_SIZE: Final = "4K"
"""What a listing says of the size of a folder, which has none here."""
NUMBER_WIDTH: Final = 6
LEVELS: Final = 2
MOST_INDEXED: Final = 65_536
"""Characters of a text that searches find."""
TRIES: Final = 10
"""How often an edit begins anew because another one came first."""
NOT_THERE: Final = "does not exist. Please provide a valid path."
NO_FILE: Final = "is not a file."


@dataclass(frozen=True, slots=True)
class Place:
    """A path below the root, as segments; the root itself has none."""

    segments: tuple[str, ...]

    @classmethod
    def of(cls, path: str) -> Place:
        """The place that a path of the model names.

        Raises:
            ToolError: it is not below the root.
        """
        if not path.startswith(ROOT):
            raise ToolError(f"Path must start with {ROOT}, got: {path}")
        base = f"/files{ROOT}"
        full = normpath(f"{base}/{path.removeprefix(ROOT).lstrip('/')}")
        if full != base and not full.startswith(f"{base}/"):
            raise ToolError(f"Path {path} would escape {ROOT} directory")
        return cls(tuple(full.removeprefix(base).strip("/").split("/")) if full != base else ())

    @property
    def key(self) -> str:
        """The key of the file at this place."""
        return "/".join(self.segments)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one user, as memories in one scope and below.

    Attributes:
        perform: performs an operation; blocks or suspends, as its tool does.
        user_id: whose files.
        scope: of the root.
        app: in `source.app` of what is written.
    """

    perform: Perform
    user_id: str
    scope: str
    app: str

    async def view(self, path: str, view_range: list[int] | None) -> str:
        """The lines of a file with their numbers, or what is in a folder."""
        place = Place.of(path)
        file = await self._file(place)
        if file is None:
            return await self._listing(place, path)
        lines = file.content.split("\n")
        first = 1
        if view_range and len(view_range) == 2:
            first = max(1, view_range[0])
            lines = lines[first - 1 : len(lines) if view_range[1] == -1 else view_range[1]]
        return f"Here's the content of {path} with line numbers:\n{_numbered(lines, first)}"

    async def create(self, path: str, text: str) -> str:
        """Write a new file."""
        place = Place.of(path)
        if not place.segments or await self._is_folder(place):
            raise ToolError(f"File {path} already exists")
        await self._check_folder_of(place, path)
        try:
            await self._write(place, text, if_version=0)
        except ConflictError:
            raise ToolError(f"File {path} already exists") from None
        return f"File created successfully at: {path}"

    async def str_replace(self, path: str, old: str, new: str) -> str:
        """Replace a text that stands once in a file."""

        def edit(content: str) -> tuple[str, str]:
            places = list(_places(content, old))
            if not places:
                raise ToolError(f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}.")
            lines = [content.count("\n", 0, place) + 1 for place in places]
            if content.count(old) > 1:
                raise ToolError(
                    f"No replacement was performed. Multiple occurrences of old_str `{old}` in lines: "
                    f"{', '.join(map(str, lines))}. Please ensure it is unique"
                )
            edited = content.replace(old, new)
            first = max(1, lines[0] - 2)
            around = edited.split("\n")[first - 1 : lines[0] + 2]
            said = "The memory file has been edited. Here is the snippet showing the change (with line numbers):"
            return edited, f"{said}\n{_numbered(around, first)}"

        return await self._edit(path, edit)

    async def insert(self, path: str, line: int, text: str) -> str:
        """Insert text behind a line."""

        def edit(content: str) -> tuple[str, str]:
            lines = content.removesuffix("\n").split("\n") if content else []
            if not 0 <= line <= len(lines):
                raise ToolError(
                    f"Invalid `insert_line` parameter: {line}. It should be within the range [0, {len(lines)}]."
                )
            edited = "\n".join((*lines[:line], text.rstrip("\n"), *lines[line:]))
            return edited if edited.endswith("\n") else f"{edited}\n", f"The file {path} has been edited."

        return await self._edit(path, edit)

    async def delete(self, path: str) -> str:
        """Erase a file with its earlier versions, or a folder with all that is in it."""
        place = Place.of(path)
        if not place.segments:
            raise ToolError(f"Cannot delete the {ROOT} directory itself")
        file = await self._file(place)
        if file is not None:
            await erase_with_versions(file, self.perform)
        elif not await self.perform(DeleteMany(user_id=self.user_id, scope=[self._below(place)])):
            raise ToolError(f"The path {path} does not exist")
        return f"Successfully deleted {path}"

    async def rename(self, path: str, new_path: str) -> str:
        """Move a file, or each file of a folder."""
        old, new = Place.of(path), Place.of(new_path)
        if not old.segments:
            raise ToolError(f"Cannot rename the {ROOT} directory itself")
        if not new.segments or await self._file(new) is not None or await self._is_folder(new):
            raise ToolError(f"The destination {new_path} already exists")
        file = await self._file(old)
        files = [file] if file is not None else await self._files(old)
        if not files:
            raise ToolError(f"The path {path} does not exist")
        if new.segments[: len(old.segments)] == old.segments:
            raise ToolError(f"The destination {new_path} is in {path}")
        await self._check_folder_of(new, new_path)
        for moved in files:
            inner = Place.of(f"{ROOT}/{moved.key}").segments[len(old.segments) :]
            await self._write(Place((*new.segments, *inner)), moved.content, if_version=0)
            await erase_with_versions(moved, self.perform)
        return f"Successfully renamed {path} to {new_path}"

    async def clear(self) -> str:
        """Erase everything."""
        await self.perform(DeleteMany(user_id=self.user_id, scope=[f"{self.scope}/**"]))
        return "All memory cleared"

    async def _edit(self, path: str, edit: Callable[[str], tuple[str, str]]) -> str:
        """Write what `edit` makes of a file, anew if another edit came first."""
        place = Place.of(path)
        for _ in range(TRIES):
            file = await self._file(place)
            if file is None:
                is_there = not place.segments or await self._is_folder(place)
                raise ToolError(f"The path {path} {NO_FILE if is_there else NOT_THERE}")
            edited, said = edit(file.content)
            try:
                await self._write(place, edited, if_version=file.version)
            except ConflictError:
                continue
            return said
        raise ToolError(f"The file {path} is being changed by others; view it and try again.")

    async def _check_folder_of(self, place: Place, path: str) -> None:
        for length in range(1, len(place.segments)):
            folder = Place(place.segments[:length])
            if await self._file(folder) is not None:
                raise ToolError(f"{ROOT}/{folder.key} is a file, so there can be no {path}")

    async def _file(self, place: Place) -> MemoryRecord | None:
        if not place.segments:
            return None
        try:
            return await self.perform(GetByKey(key=place.key, user_id=self.user_id, scope=self._scope_of(place)))
        except NotFoundError:
            return None

    async def _is_folder(self, place: Place) -> bool:
        return bool(await self.perform(Count(user_id=self.user_id, scope=[self._below(place)])))

    async def _files(self, place: Place) -> list[MemoryRecord]:
        """The files in a folder and below, without their earlier versions, which have no key."""
        op = List(user_id=self.user_id, scope=[self._below(place)], limit=500)
        found: list[MemoryRecord] = []
        while True:
            page = await self.perform(op)
            found += [record for record in page.items if record.key is not None]
            if page.next_cursor is None:
                return found
            op = op.model_copy(update={"cursor": page.next_cursor})

    async def _write(self, place: Place, text: str, *, if_version: int | None) -> None:
        await self.perform(
            Put(
                key=place.key,
                content=text,
                user_id=self.user_id,
                scope=self._scope_of(place),
                indexed=bool(text.strip()) and len(text) <= MOST_INDEXED,
                source=MemorySource(app=self.app, type="explicit"),
                if_version=if_version,
                keep_history=True,
            )
        )

    async def _listing(self, place: Place, path: str) -> str:
        files = await self._files(place)
        if not files and place.segments:
            raise ToolError(f"The path {path} {NOT_THERE}")
        tree: dict[str, Any] = {}
        for file in files:
            *folders, name = Place.of(f"{ROOT}/{file.key}").segments[len(place.segments) :]
            folder = tree
            for segment in folders:
                folder = folder.setdefault(segment, {})
            folder[name] = _size(len(file.content.encode()))
        lines = (f"{size}\t{path}/{name}" for size, name in _entries(tree, "", 1))
        head = f"Here're the files and directories up to {LEVELS} levels deep in {path}, excluding hidden items:"
        return "\n".join((head, f"{FOLDER_SIZE}\t{path}", *lines))

    def _scope_of(self, place: Place) -> str:
        """The scope of a file's folder."""
        return "/".join((self.scope, *map(encoded, place.segments[:-1])))

    def _below(self, place: Place) -> str:
        """The pattern of what is in a folder and below."""
        return "/".join((self.scope, *map(encoded, place.segments), "**"))


class OpenmemMemoryTool(BetaAbstractMemoryTool):
    """The memory tool for ``Anthropic``.

    The model is told of what it asked wrongly; every other error is raised.

    Args:
        client: an `openmem.Memory` or `openmem.integrations.MemoryClients`.
        user_id: whose files.
        scope: where they are.
        app: in `source.app` of what is written.
        cache_control: as in Anthropic's own tools.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    def __init__(
        self, client: AnyClient, user_id: str, *, scope: str = "claude", app: str = "claude", cache_control: Any = None
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._files = _checked(Files(blocking(runner_of(client)), user_id, scope, app))

    def _execute(self, command: Any) -> str:
        return run_blocking(_told(_started(self._files, command)))

    view = create = str_replace = insert = delete = rename = _execute

    def clear_all_memory(self) -> str:
        """Erase all files of the user."""
        return run_blocking(_told(self._files.clear()))


class AsyncOpenmemMemoryTool(BetaAsyncAbstractMemoryTool):
    """The memory tool for ``AsyncAnthropic``.

    The model is told of what it asked wrongly; every other error is raised.

    Args:
        client: an `openmem.AsyncMemory` or `openmem.integrations.MemoryClients`.
        user_id: whose files.
        scope: where they are.
        app: in `source.app` of what is written.
        cache_control: as in Anthropic's own tools.

    Raises:
        InvalidRequestError: an argument is invalid.
        TypeError: `client` is no client.
    """

    def __init__(
        self, client: AnyClient, user_id: str, *, scope: str = "claude", app: str = "claude", cache_control: Any = None
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._files = _checked(Files(runner_of(client).arun, user_id, scope, app))

    async def _execute(self, command: Any) -> str:
        return await _told(_started(self._files, command))

    view = create = str_replace = insert = delete = rename = _execute

    async def clear_all_memory(self) -> str:
        """Erase all files of the user."""
        return await _told(self._files.clear())


def _checked(files: Files) -> Files:
    """The files, if the user and the scope are valid ones."""
    List(user_id=files.user_id, scope=f"{files.scope}/**")
    return files


def _started(files: Files, command: Any) -> Coroutine[Any, Any, str]:
    """A command of the model on files."""
    match command.command:
        case "view":
            return files.view(command.path, command.view_range)
        case "create":
            return files.create(command.path, command.file_text)
        case "str_replace":
            return files.str_replace(command.path, command.old_str, command.new_str)
        case "insert":
            return files.insert(command.path, command.insert_line, command.insert_text)
        case "delete":
            return files.delete(command.path)
    return files.rename(command.old_path, command.new_path)


async def _told(command: Coroutine[Any, Any, str]) -> str:
    """The text of a command; what the model asked wrongly is an error that the model is told of."""
    try:
        return await command
    except InvalidRequestError as error:
        raise ToolError(error.message) from None


def _places(text: str, part: str) -> Iterator[int]:
    """Where a part begins in a text, also where it overlaps itself."""
    place = text.find(part)
    while place != -1:
        yield place
        place = text.find(part, place + 1)


def _numbered(lines: Sequence[str], first: int) -> str:
    return "\n".join(f"{number:>{NUMBER_WIDTH}}\t{line}" for number, line in enumerate(lines, first))


def _entries(tree: dict[str, Any], path: str, level: int) -> Iterator[tuple[str, str]]:
    """The sizes and paths of what is in a folder, by name, without what is hidden."""
    for name in sorted(tree):
        if name.startswith("."):
            continue
        if isinstance(tree[name], str):
            yield tree[name], f"{path}{name}"
            continue
        yield FOLDER_SIZE, f"{path}{name}/"
        if level < LEVELS:
            yield from _entries(tree[name], f"{path}{name}/", level + 1)


def _size(count: int) -> str:
    """A number of bytes in the largest unit of which it has one."""
    power = min(max(count.bit_length() - 1, 0) // 10, 3)
    value = count / 1024**power
    return f"{value:.0f}{'BKMG'[power]}" if value == int(value) else f"{value:.1f}{'BKMG'[power]}"
