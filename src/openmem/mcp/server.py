"""A server of the protocol: its tools, resources and prompts, for whoever its requests come from.

The core is imported with the first request that needs it, so that a host gets its lists at once.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
)

from .. import __version__
from ..errors import NotFoundError, OMPError, ProviderError
from .arguments import arguments_of
from .callers import Callers, RequestContext
from .definitions import BY_NAME, DEFINITIONS, INSTRUCTIONS, Definition
from .logs import keep_texts_out_of_logs

R = TypeVar("R")

SERVER_NAME: Final = "openmem"
SCHEME: Final = "memory://"
CALL_SECONDS: Final = 50.0
"""How long a call may take: most hosts give up after 60 seconds."""
PROGRESS_SECONDS: Final = 2.0
"""How often a host that asks for it is told that a call goes on."""
LISTS_ARE_FRESH_MILLISECONDS: Final = 60_000


class MemoryServer:
    """The handlers.

    Args:
        callers: says whom requests come from.
        for_chatgpt: whether there are also the tools ``search`` and ``fetch``, which ChatGPT asks for by name.
        call_seconds: how long a call may take.
    """

    def __init__(self, callers: Callers, *, for_chatgpt: bool = False, call_seconds: float = CALL_SECONDS) -> None:
        self._callers = callers
        self._for_chatgpt = for_chatgpt
        self._seconds = call_seconds

    def build(self) -> Server[Any]:
        """The server of the SDK, for any of its transports."""
        keep_texts_out_of_logs()
        server: Server[Any] = Server(
            SERVER_NAME,
            version=__version__,
            title="openmem",
            instructions=INSTRUCTIONS,
            get_tool_input_schema=self._input_schema,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_resource_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
        )
        # Spans of a request are made where it arrives.
        server.middleware.clear()
        return server

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        definition = self._definition(name)
        return None if definition is None else definition.tool.input_schema

    def _definition(self, name: str) -> Definition | None:
        definition = BY_NAME.get(name)
        return None if definition is None or (definition.is_for_chatgpt and not self._for_chatgpt) else definition

    async def list_tools(self, context: RequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        """The tools that the caller's grants allow, always in the same order."""
        grants = self._callers.grants(context)
        tools = [
            definition.tool
            for definition in DEFINITIONS
            if grants.allow(definition.access) and (self._for_chatgpt or not definition.is_for_chatgpt)
        ]
        return ListToolsResult(tools=tools, ttl_ms=LISTS_ARE_FRESH_MILLISECONDS)

    async def call_tool(self, context: RequestContext, params: CallToolRequestParams) -> CallToolResult:
        """What a tool answers. A failure is a sentence for the model."""
        definition = self._definition(params.name)
        if definition is None:
            raise MCPError(code=INVALID_PARAMS, message=f"there is no tool {params.name[:80]!r}")

        async def work() -> Any:
            arguments = arguments_of(definition, params.arguments)
            caller = self._callers.caller(context)
            return await _core("tools").TOOLS[params.name](caller, arguments)

        try:
            answer = await self._performed(context, work, is_writing=definition.access != "read")
        except OMPError as error:
            return CallToolResult(content=[TextContent(text=_sentence(error))], is_error=True)
        return CallToolResult(content=[TextContent(text=answer.text)], structured_content=answer.data)

    async def list_resources(
        self, context: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """The addresses that do not depend on what is stored."""
        return ListResourcesResult(resources=list(RESOURCES), ttl_ms=LISTS_ARE_FRESH_MILLISECONDS)

    async def list_resource_templates(
        self, context: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """The address of a memory."""
        return ListResourceTemplatesResult(
            resource_templates=list(RESOURCE_TEMPLATES), ttl_ms=LISTS_ARE_FRESH_MILLISECONDS
        )

    async def read_resource(self, context: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        """What is at an address."""
        uri = str(params.uri)
        name = unquote(uri.removeprefix(SCHEME))
        if not uri.startswith(SCHEME) or not name:
            raise MCPError(code=INVALID_PARAMS, message=f"there is no resource {uri[:80]!r}", data={"uri": uri})

        async def work() -> Any:
            return await _core("resources").read_resource(self._callers.caller(context), name)

        try:
            text, media_type = await self._performed(context, work)
        except OMPError as error:
            code = INVALID_PARAMS if isinstance(error, NotFoundError) else INTERNAL_ERROR
            raise MCPError(code=code, message=_sentence(error), data={"uri": uri}) from None
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, text=text, mime_type=media_type)])

    async def list_prompts(self, context: RequestContext, params: PaginatedRequestParams | None) -> ListPromptsResult:
        """The prompts that a person can choose."""
        grants = self._callers.grants(context)
        prompts = [prompt for prompt in PROMPTS if grants.allow("write" if prompt.name == "remember" else "read")]
        return ListPromptsResult(prompts=prompts, ttl_ms=LISTS_ARE_FRESH_MILLISECONDS)

    async def get_prompt(self, context: RequestContext, params: GetPromptRequestParams) -> GetPromptResult:
        """The text of a prompt."""
        if params.name not in {prompt.name for prompt in PROMPTS}:
            raise MCPError(code=INVALID_PARAMS, message=f"there is no prompt {params.name[:80]!r}")

        async def work() -> Any:
            caller = self._callers.caller(context)
            return await _core("resources").prompt_text(caller, params.name, params.arguments or {})

        try:
            text = await self._performed(context, work)
        except OMPError as error:
            raise MCPError(code=INVALID_PARAMS, message=_sentence(error)) from None
        return GetPromptResult(messages=[PromptMessage(role="user", content=TextContent(text=text))])

    async def _performed(
        self, context: RequestContext, work: Callable[[], Awaitable[R]], *, is_writing: bool = False
    ) -> R:
        """The result of the work, within the time for a call.

        Raises:
            OMPError: as the caller may see it.
        """
        try:
            async with _progress(context), asyncio.timeout(self._seconds):
                return await work()
        except TimeoutError:
            outcome = "; it may have been written all the same, so look before trying again" if is_writing else ""
            raise ProviderError(
                f"the memory did not answer within {self._seconds:g} s{outcome}", code="provider_unavailable"
            ) from None
        except (OMPError, ImportError) as error:
            raise self._callers.shown(context, error) from None
        except Exception as error:  # noqa: BLE001 - the boundary: the SDK would log the error with the texts in it
            raise self._callers.shown(context, error) from None


def _core(module: str) -> Any:
    """A module of this package that imports the core."""
    return importlib.import_module(f".{module}", __package__)


def _sentence(error: OMPError) -> str:
    return " ".join(error.message.split())


@asynccontextmanager
async def _progress(context: RequestContext) -> AsyncIterator[None]:
    """Within the block, a host that has asked for it is told every now and then that the call goes on."""

    async def tell() -> None:
        done = 0
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            done += 1
            await context.session.report_progress(done, message="the memory is being asked")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


RESOURCES: Final = (
    Resource(
        uri="memory://recent", name="recent", title="Newest memories", mime_type="text/plain",
        description="The newest memories of the user.",
    ),
    Resource(
        uri="memory://capabilities", name="capabilities", title="Capabilities", mime_type="application/json",
        description="What the backend can do.",
    ),
    Resource(
        uri="memory://audit", name="audit", title="Audit log", mime_type="application/json",
        description="Who read or wrote what of the user's memories, newest first.",
    ),
)  # fmt: skip
RESOURCE_TEMPLATES: Final = (
    ResourceTemplate(
        uri_template="memory://{id}", name="memory", title="A memory", mime_type="application/json",
        description="One memory with all its fields.",
    ),
)  # fmt: skip
PROMPTS: Final = (
    Prompt(
        name="recall", title="Recall", description="What is remembered about a topic.",
        arguments=[PromptArgument(name="topic", description="What it is about.", required=True)],
    ),
    Prompt(
        name="remember", title="Remember", description="Remember a text as facts.",
        arguments=[PromptArgument(name="text", description="What to remember.", required=True)],
    ),
)  # fmt: skip
