"""Who uses LangGraph's stores: LangMem's tools and deepagents' files, on `OpenmemStore`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytest.importorskip("langmem")
pytest.importorskip("deepagents")

import deepagents.backends
import langmem

from openmem.integrations import MemoryClients
from openmem.integrations.langgraph import OpenmemStore

FILES = 230
"""More than two pages of those that deepagents reads."""


def for_user(user: str) -> dict[str, Any]:
    return {"configurable": {"user": user}}


@pytest.mark.parametrize("suspends", [False, True], ids=["invoke", "ainvoke"])
def test_the_tools_of_langmem(clients: MemoryClients, user: str, suspends: bool) -> None:
    store = OpenmemStore(clients, user_label=1)
    namespace = ("memories", "{user}")
    manage = langmem.create_manage_memory_tool(namespace, store=store)
    search = langmem.create_search_memory_tool(namespace, store=store)

    def use(tool: Any, whose: str = user, **arguments: Any) -> Any:
        if suspends:
            return asyncio.run(tool.ainvoke(arguments, for_user(whose)))
        return tool.invoke(arguments, for_user(whose))

    for content in ("Maya is vegan", "Maya plays the cello"):
        use(manage, content=content, action="create")
    found = json.loads(use(search, query="what does she eat? vegan", limit=1))
    assert [item["value"]["content"] for item in found] == ["Maya is vegan"]
    assert json.loads(use(search, whose=f"{user}-other", query="vegan")) == []
    use(manage, content="Maya eats fish", action="update", id=found[0]["key"])
    use(manage, action="delete", id=json.loads(use(search, query="cello", limit=1))[0]["key"])
    assert [item["value"]["content"] for item in json.loads(use(search, query="food"))] == ["Maya eats fish"]
    assert [memory.metadata for memory in clients.blocking().list(user)] == [{"content": "Maya eats fish"}]


def test_the_files_of_deepagents(clients: MemoryClients, user: str) -> None:
    store = OpenmemStore(clients, user_id=user)
    files = deepagents.backends.StoreBackend(store=store, namespace=lambda run: ("files", "maya@example"))
    other = deepagents.backends.StoreBackend(store=store, namespace=lambda run: ("files", "ben"))
    assert files.write("/notes/diet.md", "Maya is vegan\nand eats no eggs\n").error is None
    assert files.edit("/notes/diet.md", "no eggs", "no nuts").error is None
    assert "no nuts" in str(files.read("/notes/diet.md").file_data)
    assert [match["path"] for match in files.grep("nuts").matches] == ["/notes/diet.md"]
    for number in range(FILES):
        asyncio.run(files.awrite(f"/many/{number}.txt", f"file {number}"))
    assert len(files.ls("/many").entries) == FILES
    assert len(files.glob("/many/*.txt").matches) == FILES
    assert other.ls("/").entries == []
    assert files.delete("/notes/diet.md").error is None
    assert files.read("/notes/diet.md").error is not None
