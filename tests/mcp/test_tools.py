"""Each tool, each of its errors, and what a host is told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from mcp import Client, MCPError

from openmem import AsyncMemory
from openmem.access import Grants
from openmem.mcp.callers import Caller
from openmem.mcp.definitions import DEFINITIONS
from openmem.mcp.tools import LIST_TOKENS, MEMORY_TOKENS, TOOLS, list_memories
from openmem.operations import Operation
from openmem.tokens import estimate_tokens

from .hosts import MODES, Mode, answer, in_process, refusal, text_of

Story = Callable[[Client, AsyncMemory], Awaitable[None]]


def tell(story: Story, **options: Any) -> None:
    """Run a story with a host and the memory behind its server."""

    async def main() -> None:
        async with (
            AsyncMemory(provider="memory", embedder="hashing") as memory,
            in_process(memory, **options) as client,
        ):
            await story(client, memory)

    asyncio.run(main())


def test_the_tools_are_those_with_a_definition() -> None:
    assert list(TOOLS) == [definition.tool.name for definition in DEFINITIONS]


@pytest.mark.parametrize("mode", MODES)
def test_what_a_host_is_told(mode: Mode) -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == [
            "search_memories",
            "get_context",
            "list_memories",
            "get_memory",
            "add_memory",
            "update_memory",
            "delete_memory",
        ]
        for tool in tools:
            assert tool.title
            assert tool.description
            assert tool.annotations is not None
            assert tool.annotations.open_world_hint is False
            assert tool.annotations.read_only_hint or tool.annotations.destructive_hint is not None
            assert tool.output_schema is not None
            assert tool.output_schema["type"] == tool.input_schema["type"] == "object"
            assert not {"user", "user_id"} & tool.input_schema["properties"].keys()
            assert "anyOf" not in json.dumps(tool.input_schema)
        assert client.instructions is not None
        assert client.instructions.count(".") == 3

    tell(story, mode=mode)


def test_the_definitions_are_short() -> None:
    told = [
        definition.tool.model_dump(
            by_alias=True, exclude_none=True, mode="json", include={"name", "description", "input_schema"}
        )
        for definition in DEFINITIONS
        if not definition.is_for_chatgpt
    ]
    assert estimate_tokens(json.dumps(told, separators=(",", ":"))) <= 1_500


@pytest.mark.parametrize("mode", MODES)
def test_remembering_finding_replacing_and_erasing(mode: Mode) -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        first = await answer(client, "add_memory", content="Maya lives in Leeds", scope="home", tags=["city"])
        stored = await memory.get(first["id"])
        assert (stored.user_id, stored.scope, stored.tags) == ("maya", "home", ["city"])
        assert stored.source is not None
        assert (stored.source.app, stored.source.type) == ("some host", "explicit")
        second = await answer(
            client, "add_memory", content="Maya lives in Porto", supersedes=[first["id"]], confidence=1
        )
        found = await client.call_tool("search_memories", {"query": "where does Maya live?"})
        [hit] = found.structured_content["memories"]
        assert (hit["id"], hit["content"], hit["app"]) == (second["id"], "Maya lives in Porto", "some host")
        assert 0 < hit["score"] <= 1
        assert f"- [{second['id']}] {hit['score']:.2f}, {hit['created_at'][:10]}, some host: Maya lives" in text_of(
            found
        )
        context = await client.call_tool("get_context", {"query": "where does Maya live?"})
        assert context.structured_content == {"text": text_of(context)}
        assert "Maya lives in Porto" in text_of(context)
        listed = await answer(client, "list_memories")
        assert [item["id"] for item in listed["memories"]] == [second["id"], first["id"]]
        assert "valid_to" in listed["memories"][1]
        chain = await answer(client, "get_memory", id=second["id"])
        assert chain["memory"]["confidence"] == 1
        assert "user_id" not in chain["memory"]
        assert [item["id"] for item in chain["earlier"]] == [first["id"]]
        assert [item["id"] for item in (await answer(client, "get_memory", id=first["id"]))["later"]] == [second["id"]]
        await answer(client, "update_memory", id=second["id"], content="Maya lives in Faro")
        assert (await memory.get(second["id"])).content == "Maya lives in Faro"
        await answer(client, "delete_memory", id=second["id"])
        assert await memory.count("maya") == 1
        assert "there is no memory" in await refusal(client, "get_memory", {"id": second["id"]})

    tell(story, mode=mode)


def test_forgetting_can_be_undone() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        added = await answer(client, "add_memory", content="Maya is vegan")
        forgotten = await client.call_tool("update_memory", {"id": added["id"], "valid_to": "now"})
        assert text_of(forgotten).startswith("Forgotten")
        none = await client.call_tool("search_memories", {"query": "vegan"})
        assert (text_of(none), none.structured_content) == (
            "Nothing is remembered that bears on this.",
            {"memories": []},
        )
        assert len((await answer(client, "list_memories"))["memories"]) == 1
        assert (await answer(client, "update_memory", id=added["id"], valid_to="never"))["valid_to"] is None
        assert len((await answer(client, "search_memories", query="vegan"))["memories"]) == 1

    tell(story)


def test_a_list_goes_on_where_its_text_ended() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        for number in range(60):
            await memory.add(content=f"note {number}: {'about the garden ' * 30}", user_id="maya")
        seen: list[str] = []
        cursor = ""
        while True:
            result = await client.call_tool("list_memories", {"limit": 50, "cursor": cursor})
            assert estimate_tokens(text_of(result)) <= LIST_TOKENS
            data = result.structured_content
            seen += [item["content"].split(":")[0] for item in data["memories"]]
            cursor = data.get("next_cursor", "")
            if not cursor:
                break
            assert cursor in text_of(result)
        assert seen == [f"note {number}" for number in reversed(range(60))]

    tell(story)


def test_a_list_is_right_while_others_write() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        for number in range(20):
            await memory.add(content=f"note {number}: {'about the garden ' * 200}", user_id="maya")

        async def run(op: Operation[Any]) -> Any:
            page = await memory.client.run(op)
            await memory.add(content="written meanwhile", user_id="maya")
            return page

        caller = Caller("maya", Grants(), "host", run, memory.capabilities)
        listed = (await list_memories(caller, {"limit": 20})).data["memories"]
        assert len(listed) < 20
        for item in listed:
            assert (await memory.get(item["id"])).content.startswith(item["content"][:12].strip("\u2026"))

    tell(story)


def test_what_has_no_room_beside_a_memory_is_said() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        old = await memory.add(content="beans " * 8_000, user_id="maya")
        new = await memory.add(content="beans " * 9_000, user_id="maya", supersedes=[old.id])
        huge = await memory.add(content="<beans> " * 8_000, user_id="maya", supersedes=[new.id])
        result = await client.call_tool("get_memory", {"id": huge.id})
        assert text_of(result).endswith("fits here. 2 of what it replaced or what replaced it did not fit.")
        assert estimate_tokens(text_of(result)) <= MEMORY_TOKENS

    tell(story)


@pytest.mark.parametrize("token_budget", [50, 90, 200, 600, 4_000])
def test_a_context_keeps_to_its_budget(token_budget: int) -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        for number in range(40):
            await memory.add(content=f"garden {number}: {'<tomatoes> & beans ' * (number + 1)}", user_id="maya")
        result = await client.call_tool("get_context", {"query": "garden beans", "token_budget": token_budget})
        assert estimate_tokens(text_of(result)) <= token_budget
        assert token_budget < 200 or "<memories>" in text_of(result)

    tell(story)


def test_long_memories_are_quoted_in_part() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        for number in range(10):
            await memory.add(content=f"{number} {'beans and other plants ' * 2_500}", user_id="maya")
        result = await client.call_tool("search_memories", {"query": "beans", "limit": 25})
        assert estimate_tokens(text_of(result)) <= LIST_TOKENS
        memories = result.structured_content["memories"]
        assert 1 < len(memories) < 10
        assert all(item["is_excerpt"] for item in memories)
        assert f"{10 - len(memories)} more did not fit" in text_of(result)
        assert len(json.dumps(result.structured_content)) < 8 * LIST_TOKENS
        one = await client.call_tool("get_memory", {"id": memories[0]["id"]})
        assert estimate_tokens(text_of(one)) <= MEMORY_TOKENS
        assert one.structured_content["memory"]["content"].count("beans") == 2_500

    tell(story)


def test_large_fields_leave_room_for_the_content() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        metadata = {"dump": "1,{}" * 3_900}
        added = await memory.add(content="Maya is vegan", user_id="maya", metadata=metadata, tags=["#!" * 250] * 60)
        result = await client.call_tool("get_memory", {"id": added.id})
        assert estimate_tokens(text_of(result)) <= MEMORY_TOKENS
        assert "Maya is vegan" in text_of(result)
        assert result.structured_content["memory"]["metadata"] == metadata

    tell(story)


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("search_memories", {}, "query: is required"),
        ("search_memories", {"query": " "}, "query: is empty; give some text"),
        ("search_memories", {"query": 5}, "query: 5 is not a string"),
        ("search_memories", {"query": "q", "limit": 26}, "limit: give a whole number from 1 to 25"),
        ("search_memories", {"query": "q", "limit": 0}, "limit: give a whole number from 1 to 25"),
        ("search_memories", {"query": "q", "limit": "many"}, "limit: give a whole number from 1 to 25"),
        ("search_memories", {"query": "q", "min_score": 2}, "min_score: 2.0 is not between 0 and 1"),
        ("search_memories", {"query": "q", "scope": "a//b"}, "scope: "),
        ("search_memories", {"query": "q", "max_results": 10}, "max_results: search_memories has no such argument; it"),
        ("search_memories", {"query": "q", "limits": 3}, "limits: search_memories has no such argument; did you mean"),
        ("search_memories", {"query": "q", "user_id": "root"}, "user_id: search_memories has no such argument; whose"),
        ("get_context", {"query": "q", "token_budget": 49}, "token_budget: give a whole number from 50 to 4000"),
        ("list_memories", {"since": "yesterday"}, "since: 'yesterday' is not a time"),
        ("list_memories", {"cursor": "nonsense"}, "cursor"),
        ("list_memories", {"limit": 51}, "limit: give a whole number from 1 to 50"),
        ("get_memory", {}, "id: is required"),
        ("get_memory", {"id": "mem_none"}, "there is no memory 'mem_none'"),
        ("add_memory", {}, "content: is required"),
        ("add_memory", {"content": ""}, "content: is empty; give some text"),
        ("add_memory", {"content": "c", "confidence": 7}, "confidence: 7.0 is not between 0 and 1"),
        ("add_memory", {"content": "c", "supersedes": ["mem_none"]}, "supersedes: "),
        ("add_memory", {"content": "c", "tags": [1]}, "tags.0: 1 is not a string"),
        ("add_memory", {"content": "c", "metadata": {}}, "metadata: add_memory has no such argument"),
        ("update_memory", {"id": "mem_none"}, "update: give at least one field to change"),
        ("update_memory", {"id": "mem_none", "content": "c"}, "there is no memory 'mem_none'"),
        ("delete_memory", {"id": "mem_none"}, "there is no memory 'mem_none'"),
        ("delete_memory", {"ids": ["a", "b"]}, "ids: delete_memory has no such argument"),
    ],
)
def test_errors_are_sentences(tool: str, arguments: Mapping[str, Any], message: str) -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        assert (await refusal(client, tool, arguments)).startswith(message)

    tell(story)


def test_arguments_as_models_write_them() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        added = await answer(
            client,
            "add_memory",
            content="Maya is vegan",
            tags='["diet", "health"]',
            confidence="0.5",
            scope="",
            valid_to=None,
        )
        record = await memory.get(added["id"])
        assert (record.tags, record.confidence, record.scope, record.valid_to) == (["diet", "health"], 0.5, None, None)
        assert (await memory.get((await answer(client, "add_memory", content="c", tags="one"))["id"])).tags == ["one"]
        added = await answer(client, "add_memory", content="d", tags="null", confidence="null")
        assert ((await memory.get(added["id"])).tags, (await memory.get(added["id"])).confidence) == (None, None)
        found = await answer(client, "search_memories", query="vegan", limit="1", min_score="0.1", scope=None)
        assert len(found["memories"]) == 1
        assert len((await answer(client, "list_memories", limit=1.0, tag="", cursor=""))["memories"]) == 1

    tell(story)


@pytest.mark.parametrize("mode", MODES)
def test_there_is_no_other_tool(mode: Mode) -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        for name in ("delete_all_memories", "search", "fetch"):
            with pytest.raises(MCPError, match="there is no tool"):
                await client.call_tool(name, {})

    tell(story, mode=mode)


@pytest.mark.parametrize(
    ("grants", "hidden"),
    [
        (["read:*"], {"add_memory", "update_memory", "delete_memory"}),
        (["read:*", "write:work/*"], {"delete_memory"}),
        (["write:*"], {"search_memories", "get_context", "list_memories", "get_memory", "delete_memory"}),
        (["read:home/*", "delete:home/*"], {"add_memory", "update_memory"}),
    ],
)
def test_tools_that_the_grants_forbid_are_not_listed(grants: list[str], hidden: set[str]) -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names.isdisjoint(hidden)
        assert len(names) + len(hidden) == 7
        for name in hidden & {"add_memory", "delete_memory"}:
            arguments = {"content": "c"} if name == "add_memory" else {"id": "mem_none"}
            assert "grants do not include" in await refusal(client, name, arguments)
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
        assert ("remember" in prompts) == ("add_memory" in names)
        assert ("recall" in prompts) == ("search_memories" in names)

    tell(story, grants=grants)


def test_what_is_anothers_is_not_there() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        other = await memory.add(content="Bob is vegan", user_id="bob")
        for tool in ("get_memory", "delete_memory"):
            assert "there is no memory" in await refusal(client, tool, {"id": other.id})
        assert "there is no memory" in await refusal(client, "update_memory", {"id": other.id, "content": "c"})
        assert "supersedes" in await refusal(client, "add_memory", {"content": "c", "supersedes": [other.id]})
        for tool in ("search_memories", "get_context"):
            assert "Bob" not in text_of(await client.call_tool(tool, {"query": "who is vegan?"}))
        with pytest.raises(MCPError, match="there is no memory"):
            await client.read_resource(f"memory://{other.id}")
        assert (await memory.get(other.id)).content == "Bob is vegan"

    tell(story)


def test_chatgpt_has_its_pair() -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        added = await memory.add(content="Maya is vegan\nand plays </memories> the cello", user_id="maya")
        found = await client.call_tool("search", {"query": "what does Maya eat?"})
        title = "Maya is vegan and plays </memories> the cello"
        assert found.structured_content == {
            "results": [{"id": added.id, "title": title, "url": f"memory://{added.id}"}]
        }
        assert json.loads(text_of(found)) == found.structured_content
        fetched = await client.call_tool("fetch", {"id": added.id})
        assert json.loads(text_of(fetched)) == fetched.structured_content
        assert fetched.structured_content["text"].count("</memories>") == 1
        assert [tool.name for tool in (await client.list_tools()).tools][-2:] == ["search", "fetch"]

    tell(story, for_chatgpt=True)


@pytest.mark.parametrize("mode", MODES)
def test_resources_and_prompts(mode: Mode) -> None:
    async def story(client: Client, memory: AsyncMemory) -> None:
        added = await memory.add(content="Maya is <vegan>", user_id="maya", metadata={"by": "hand\u200b"})
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert uris == ["memory://recent", "memory://capabilities", "memory://audit"]
        [template] = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "memory://{id}"

        async def read(uri: str) -> str:
            [content] = (await client.read_resource(uri)).contents
            return str(content.model_dump()["text"])

        assert "Maya is &lt;vegan&gt;" in await read("memory://recent")
        record = json.loads(await read(f"memory://{added.id}"))
        assert (record["content"], record["metadata"]) == ("Maya is <vegan>", {"by": "hand[U+200B]"})
        assert json.loads(await read("memory://capabilities"))["provider"] == "memory"
        assert [item["action"] for item in json.loads(await read("memory://audit"))["items"]] == ["get", "list", "add"]
        for uri in ("memory://mem_none", "memory://", "https://example.com/"):
            with pytest.raises(MCPError, match="there is no"):
                await client.read_resource(uri)
        [message] = (await client.get_prompt("recall", {"topic": "food"})).messages
        assert "Maya is &lt;vegan&gt;" in message.content.model_dump()["text"]
        [message] = (await client.get_prompt("remember", {"text": "I am vegan"})).messages
        assert message.content.model_dump()["text"].endswith("\n\nI am vegan")
        with pytest.raises(MCPError, match="topic: the prompt recall needs it"):
            await client.get_prompt("recall", {"topic": " "})
        with pytest.raises(MCPError, match="there is no prompt"):
            await client.get_prompt("forget", {})

    tell(story, mode=mode)
