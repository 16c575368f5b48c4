"""LangChain's standard tests, on the retriever and the tools."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("langchain_tests")

from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from openmem import Memory
from openmem.integrations.langchain import OpenmemRetriever, memory_tools


@pytest.fixture(scope="module", autouse=True)
def memory() -> Memory:
    memory = Memory("memory")
    for kind in ("green", "black", "white", "mint"):
        memory.add(content=f"Maya likes {kind} tea", user_id="maya")
    Example.memory = memory
    return memory


class Example:
    """Where the standard tests find the client."""

    memory: Memory
    number = 0
    arguments: dict[str, Any] = {"fact": "Maya is vegan"}  # noqa: RUF012 - the tests want properties or values


class TestRetriever(RetrieversIntegrationTests):  # type: ignore[misc]
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return OpenmemRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"client": Example.memory, "user_id": "maya"}

    @property
    def retriever_query_example(self) -> str:
        return "tea"


class Tool(Example):
    @property
    def tool_constructor(self) -> BaseTool:
        return memory_tools(Memory("memory"), "maya")[self.number]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return self.arguments


class Recall(Tool):
    number = 1
    arguments = {"query": "tea"}  # noqa: RUF012


class Forget(Tool):
    number = 2
    arguments = {"memory_id": "mem_000000000000000000"}  # noqa: RUF012


class TestRemember(Tool, ToolsUnitTests):  # type: ignore[misc]
    pass


class TestRemembering(Tool, ToolsIntegrationTests):  # type: ignore[misc]
    pass


class TestRecall(Recall, ToolsUnitTests):  # type: ignore[misc]
    pass


class TestRecalling(Recall, ToolsIntegrationTests):  # type: ignore[misc]
    pass


class TestForget(Forget, ToolsUnitTests):  # type: ignore[misc]
    pass


class TestForgetting(Forget, ToolsIntegrationTests):  # type: ignore[misc]
    pass
