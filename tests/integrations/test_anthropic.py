"""The memory tool of the Claude API beside Anthropic's own, and in the loop of the client, with a scripted API."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("anthropic")

import httpx2
from anthropic import Anthropic, AsyncAnthropic
from anthropic.tools import BetaLocalFilesystemMemoryTool, ToolError

from openmem import InvalidRequestError, ProviderError
from openmem.integrations import MemoryClients
from openmem.integrations.anthropic import AsyncOpenmemMemoryTool, OpenmemMemoryTool

from .conftest import TRIES, Interruption

PATHS = (
    *(
        "/memories",
        "/memories/",
        "/memories/a",
        "/memories/a.txt",
        "/memories/b/c.txt",
        "/memories/b",
        "/memories/b/d/e",
    ),
    *(
        "/memories/b/d/f/g",
        "/memories/.hidden",
        "/memories/b/.x",
        "/memories/%",
        "/memories/sp ace",
        "/memories/b//c.txt",
    ),
    *("/memories/../memories/a", "/memories/../../etc/passwd", "/etc/passwd", "/memories/b/../a", "/memories/*"),
)
TEXTS = ("", "one", "one\ntwo\n", "one\none\n\nthree", "aaa", "\n", "naïve ☕\nline", "x" * 1500)


def command(name: str, **arguments: Any) -> SimpleNamespace:
    return SimpleNamespace(command=name, **arguments)


def view(path: str, view_range: list[int] | None = None) -> SimpleNamespace:
    return command("view", path=path, view_range=view_range)


def random_command(choose: random.Random) -> SimpleNamespace:
    path, other = choose.choice(PATHS), choose.choice(PATHS)
    text = choose.choice(TEXTS)
    match choose.randrange(8):
        case 0 | 1:
            return view(path, choose.choice([None, None, [1, 2], [2, -1], [5, 9], [0, 1]]))
        case 2 | 3:
            return command("create", path=path, file_text=text)
        case 4:
            old = choose.choice(["one", "aa", "two\n", "", "absent"])
            return command("str_replace", path=path, old_str=old, new_str=choose.choice(["", "new", "l1\nl2"]))
        case 5:
            line = choose.choice([-1, 0, 1, 2, 9])
            return command("insert", path=path, insert_line=line, insert_text=choose.choice(["new", "n\n", "p\nq"]))
        case 6:
            return command("delete", path=path)
    return command("rename", old_path=path, new_path=other)


class FileSystem:
    """Anthropic's own tool, without the folders that are left when their last file goes: files make folders here."""

    def __init__(self, base: Path) -> None:
        self._tool = BetaLocalFilesystemMemoryTool(str(base))
        self._root = base / "memories"

    def execute(self, given: Any) -> str:
        try:
            return str(self._tool.execute(given))
        finally:
            for folder in sorted((path for path in self._root.rglob("*") if path.is_dir()), reverse=True):
                if not any(folder.iterdir()):
                    folder.rmdir()


def outcome(tool: Any, given: Any) -> str:
    try:
        return str(tool.execute(given))
    except ToolError as error:
        return f"error: {error}"
    except OSError:
        return "error: of the file system"


@pytest.mark.parametrize("seed", range(12))
def test_it_answers_as_the_tool_over_a_file_system(seed: int, tmp_path: Path, user: str) -> None:
    choose = random.Random(seed)
    files = FileSystem(tmp_path)
    with MemoryClients("memory", embedder="hashing") as clients:
        tool = OpenmemMemoryTool(clients, user)
        for _ in range(120):
            given = random_command(choose)
            expected, got = outcome(files, given), outcome(tool, given)
            if expected != "error: of the file system":
                assert got == expected, given
            else:
                assert got.startswith("error: "), given


def test_on_postgres_in_both_modes(clients: MemoryClients, user: str) -> None:
    tool, twin = OpenmemMemoryTool(clients, user), AsyncOpenmemMemoryTool(clients, user)

    async def main() -> None:
        await twin.execute(command("create", path="/memories/food/diet.md", file_text="Maya is vegan\n"))
        await twin.execute(command("insert", path="/memories/food/diet.md", insert_line=1, insert_text="No eggs"))

    asyncio.run(main())
    assert outcome(tool, view("/memories/food/diet.md")).endswith("     1\tMaya is vegan\n     2\tNo eggs\n     3\t")
    [found] = clients.blocking().search("is she vegan", user)
    assert (found.memory.key, found.memory.scope) == ("food/diet.md", "claude/food")
    versions = clients.blocking().history(found.memory.id)
    assert [version.content for version in versions] == ["Maya is vegan\n", "Maya is vegan\nNo eggs\n"]
    assert outcome(OpenmemMemoryTool(clients, f"{user}-other"), view("/memories/food")).startswith("error: ")

    outcome(tool, command("delete", path="/memories/food/diet.md"))
    assert clients.blocking().count(user) == 0, "with its versions"


def test_edits_at_once_lose_nothing(clients: MemoryClients, user: str) -> None:
    tool = AsyncOpenmemMemoryTool(clients, user)

    async def main() -> str:
        await tool.execute(command("create", path="/memories/list", file_text=""))
        lines = [command("insert", path="/memories/list", insert_line=0, insert_text=f"line {n}") for n in range(6)]
        await asyncio.gather(*map(tool.execute, lines))
        return str(await tool.execute(view("/memories/list")))

    seen = asyncio.run(main())
    assert sorted(line.split("\t")[1] for line in seen.splitlines()[1:-1]) == [f"line {n}" for n in range(6)]


def test_large_and_blank_files_are_kept_and_not_searched(clients: MemoryClients, user: str) -> None:
    tool = OpenmemMemoryTool(clients, user)
    outcome(tool, command("create", path="/memories/large", file_text="eggs " * 20_000))
    outcome(tool, command("create", path="/memories/blank", file_text=" \n"))
    assert outcome(tool, view("/memories")).splitlines()[1:] == [
        "4K\t/memories",
        "2B\t/memories/blank",
        "97.7K\t/memories/large",
    ]
    assert list(clients.blocking().search("eggs", user)) == []
    refused = outcome(tool, command("create", path="/memories/huge", file_text="x" * 600_000))
    assert refused.startswith("error: content")


def test_everything_is_cleared(clients: MemoryClients, user: str) -> None:
    tool = OpenmemMemoryTool(clients, user)
    clients.blocking().add(content="of another application", user_id=user)
    outcome(tool, command("create", path="/memories/a/b", file_text="x"))
    assert tool.clear_all_memory() == "All memory cleared"
    assert [record.content for record in clients.blocking().list(user)] == ["of another application"]


class Claude:
    """An API that answers by a script, and what it was sent."""

    def __init__(self, *commands: dict[str, Any]) -> None:
        self.commands = list(commands)
        self.sent: list[Any] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(json.loads(request.content))
        content: list[Any] = [{"type": "text", "text": "done"}]
        if self.commands:
            content = [{"type": "tool_use", "id": "t", "name": "memory", "input": self.commands.pop(0)}]
        reason = "tool_use" if content[0]["type"] == "tool_use" else "end_turn"
        body = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content}
        return httpx2.Response(
            200, json={**body, "stop_reason": reason, "usage": {"input_tokens": 1, "output_tokens": 1}}
        )

    def results(self) -> list[str]:
        [result] = self.sent[-1]["messages"][-1]["content"]
        content = result["content"]
        return [content if isinstance(content, str) else content[0]["text"]]


ASKED: dict[str, Any] = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "I am vegan"}]}


def test_claude_remembers_in_one_conversation_and_reads_in_the_next(clients: MemoryClients, user: str) -> None:
    first = Claude({"command": "create", "path": "/memories/diet", "file_text": "Maya is vegan"})
    with httpx2.Client(transport=httpx2.MockTransport(first)) as http:
        tools = [OpenmemMemoryTool(clients, user)]
        Anthropic(api_key="x", http_client=http).beta.messages.tool_runner(**ASKED, tools=tools).until_done()
    assert first.sent[0]["tools"] == [{"type": "memory_20250818", "name": "memory"}]
    assert first.results() == ["File created successfully at: /memories/diet"]

    second = Claude({"command": "view", "path": "/memories/diet"})

    async def main() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(second)) as http:
            tools = [AsyncOpenmemMemoryTool(clients, user)]
            await (
                AsyncAnthropic(api_key="x", http_client=http)
                .beta.messages.tool_runner(**ASKED, tools=tools)
                .until_done()
            )

    asyncio.run(main())
    assert "Maya is vegan" in second.results()[0]


def test_a_dead_backend_is_no_error_of_the_model(dead: MemoryClients, user: str) -> None:
    with pytest.raises(ProviderError):
        OpenmemMemoryTool(dead, user).execute(view("/memories"))


def test_wrong_arguments_are_refused_at_once(clients: MemoryClients) -> None:
    with pytest.raises(InvalidRequestError, match="scope"):
        OpenmemMemoryTool(clients, "maya", scope="a//b")


def test_a_cancelled_command_ends_at_once_and_leaves_nothing_half_written(interrupted: Interruption, user: str) -> None:
    tool = AsyncOpenmemMemoryTool(interrupted.clients, user)
    edit = command("str_replace", path="/memories/a", old_str="one", new_str="one one")

    async def main() -> str:
        await tool.execute(command("create", path="/memories/a", file_text="one"))
        await interrupted(lambda: tool.execute(view("/memories")))
        await interrupted(lambda: tool.execute(edit))
        return str(await tool.execute(view("/memories/a")))

    assert asyncio.run(main()).split("\t")[-1] in [" ".join(["one"] * count) for count in range(1, TRIES + 2)]
