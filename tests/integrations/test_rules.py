"""The rules that all integrations share."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any, cast

import pytest

from openmem import (
    InvalidRequestError,
    OMPError,
    ProviderError,
    RateLimitedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
)
from openmem.integrations import MemoryClients
from openmem.integrations.agents import AgentMemory
from openmem.integrations.rules import (
    MAX_CONTENT_CHARACTERS,
    MAX_QUERY_CHARACTERS,
    as_query,
    checked_on_error,
    latest_user_text,
    reading,
    turn_as_contents,
    user_of,
)
from openmem.operations import Operation


@pytest.mark.parametrize("error", [ProviderError("Maya's secret"), RateLimitedError("x"), UnauthorizedError("x")])
def test_a_failed_read_is_logged_without_texts_or_raised(error: OMPError, caplog: pytest.LogCaptureFixture) -> None:
    error.request_id = "r1"

    def fail() -> None:
        raise error

    with reading("warn", "recall"):
        fail()
    [record] = caplog.records
    assert (record.name, record.levelno) == ("openmem", logging.WARNING)
    assert record.getMessage() == (
        f"recall failed, and the run goes on without memories: code={error.code} request_id=r1"
    )
    with pytest.raises(type(error)), reading("raise", "recall"):
        raise error


@pytest.mark.parametrize("error", [InvalidRequestError("query: is empty"), RuntimeError("Memory is closed")])
def test_mistakes_of_the_application_are_always_raised(error: Exception) -> None:
    with pytest.raises(type(error)), reading("warn", "recall"):
        raise error


def test_on_error_is_one_of_two() -> None:
    assert [checked_on_error(value) for value in ("warn", "raise")] == ["warn", "raise"]
    with pytest.raises(InvalidRequestError, match="'ignore' is neither 'warn' nor 'raise'"):
        checked_on_error("ignore")


def test_the_query_is_the_latest_text_of_the_user() -> None:
    said = [("system", "be kind"), ("user", "tea?"), ("human", "coffee?"), ("user", " "), ("assistant", "yes")]
    assert latest_user_text(said) == "coffee?"
    assert latest_user_text([("assistant", "hello"), ("user", "\n")]) is None


def test_a_long_text_is_searched_with_its_beginning_and_its_end() -> None:
    text = "What is this?" + "x" * MAX_QUERY_CHARACTERS + "Tell me!"
    query = as_query(text)
    assert query.startswith("What is this?")
    assert query.endswith("Tell me!")
    assert len(query) == MAX_QUERY_CHARACTERS


@pytest.mark.parametrize(
    ("module", "framework"),
    [
        ("agent_framework", "agent_framework"),
        ("anthropic", "anthropic"),
        ("crewai", "crewai"),
        ("google_adk", "google.adk"),
        ("langchain", "langchain"),
        ("langgraph", "langgraph"),
        ("llama_index", "llama_index.core"),
        ("openai_agents", "agents"),
        ("pydantic_ai", "pydantic_ai"),
        ("pydantic_ai_harness", "pydantic_ai_harness"),
        ("strands", "strands"),
    ],
)
def test_a_missing_framework_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, module: str, framework: str
) -> None:
    monkeypatch.setitem(sys.modules, framework, None)
    monkeypatch.delitem(sys.modules, f"openmem.integrations.{module}", raising=False)
    needed = rf"needs {framework}, which is not installed: pip install 'openmem\[{module.replace('_', '-')}\]'$"
    with pytest.raises(ImportError, match=needed):
        importlib.import_module(f"openmem.integrations.{module}")


@pytest.mark.parametrize("odd", ["tea\0?", "tea\ud800?"])
def test_what_no_text_may_hold_ends_no_run(odd: str) -> None:
    assert as_query(odd) == "tea\ufffd?"
    assert latest_user_text([("user", odd)]) == "tea\ufffd?"
    assert turn_as_contents(odd) == ["tea\ufffd?"]
    assert as_query("\ud83c\udf75") == "\U0001f375"
    assert len(as_query("\ud83c\udf75" * MAX_QUERY_CHARACTERS).encode()) > MAX_QUERY_CHARACTERS


def test_a_long_turn_becomes_several_contents_that_are_the_turn_together() -> None:
    turn = " ".join(f"word{number}" for number in range(30_000))
    contents = turn_as_contents(turn)
    assert "".join(contents) == turn
    assert all(len(content) <= MAX_CONTENT_CHARACTERS for content in contents)
    assert all(content.endswith(" ") for content in contents[:-1])
    assert [len(content) for content in turn_as_contents("x" * 70_000)] == [MAX_CONTENT_CHARACTERS, 4_464]
    assert turn_as_contents(" \n") == []


def test_the_user_is_that_of_the_run() -> None:
    assert user_of("maya", {}) == "maya"
    assert user_of(lambda run: run["user"], {"user": "ben"}) == "ben"
    for nobody in (None, "", " "):
        with pytest.raises(InvalidRequestError, match="this run has no user"):
            user_of(lambda run: run["user"], {"user": nobody})


def test_what_is_no_user_says_why() -> None:
    async def find(run: object) -> str:
        return "maya"

    with pytest.raises(InvalidRequestError, match="is a coroutine function"):
        user_of(cast("Any", find), {})
    with pytest.raises(InvalidRequestError, match="a text, and this is of type int"):
        user_of(cast("Any", lambda run: 5), {})


def test_a_fact_is_stored_where_the_backend_remembers_no_keys() -> None:
    with MemoryClients("memory") as clients:
        stored = clients.run

        def keyless(op: Operation[Any], *, idempotency_key: str | None = None) -> Any:
            if idempotency_key is not None:
                raise UnsupportedCapabilityError("idempotency_key: this provider does not remember keys")
            return stored(op)

        memory = AgentMemory.of(clients, scope=None, app="a", token_budget=9, on_error="warn")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clients, "run", keyless)
            memory.perform(lambda: memory.remember("maya", "Maya sings", call="1"))
        assert [record.content for record in clients.blocking().list("maya")] == ["Maya sings"]
