"""`Memory` and `AsyncMemory` have the same surface, and the package exports what it says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import openmem
from openmem import AsyncMemory, Memory
from openmem.operations import VERBS, Unset

VERB_NAMES = [*(verb.verb for verb in VERBS), "capabilities", "close"]
ITERATED = "iterate"
SELECTION = "scope=None, tags=None, any_tags=None, where=None, since=None, until=None, app=None, as_of=None"
LIFE_CYCLE = {"__enter__": "__aenter__", "__exit__": "__aexit__"}


def public(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def shape(function: Callable[..., Any]) -> list[tuple[str, object, object, object]]:
    return [
        (parameter.name, parameter.kind, parameter.default, parameter.annotation)
        for parameter in inspect.signature(function).parameters.values()
    ]


def test_both_have_the_verbs_and_nothing_else() -> None:
    assert public(Memory) == public(AsyncMemory) == {*VERB_NAMES, ITERATED}


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_a_verb_reads_the_same(verb: str) -> None:
    blocking, asynchronous = getattr(Memory, verb), getattr(AsyncMemory, verb)
    assert shape(blocking) == shape(asynchronous)
    assert inspect.signature(blocking).return_annotation == inspect.signature(asynchronous).return_annotation
    assert inspect.iscoroutinefunction(asynchronous)
    assert not inspect.iscoroutinefunction(blocking)


@pytest.mark.parametrize("verb", [verb for verb in VERB_NAMES if verb != "close"])
def test_a_verb_is_documented_the_same(verb: str) -> None:
    assert inspect.getdoc(getattr(Memory, verb)) == inspect.getdoc(getattr(AsyncMemory, verb))


def test_iterate_reads_the_same() -> None:
    assert shape(Memory.iterate) == shape(AsyncMemory.iterate)
    assert inspect.getdoc(Memory.iterate) == inspect.getdoc(AsyncMemory.iterate)
    assert inspect.isgeneratorfunction(Memory.iterate)
    assert inspect.isasyncgenfunction(AsyncMemory.iterate)


def test_constructors_read_the_same() -> None:
    assert shape(Memory.__init__) == shape(AsyncMemory.__init__)


def test_constructors_are_documented_the_same() -> None:
    def arguments(cls: type) -> str:
        return (inspect.getdoc(cls) or "").partition("Args:")[2]

    assert arguments(Memory) == arguments(AsyncMemory) != ""


def test_every_parameter_is_documented() -> None:
    for function in [Memory, *(getattr(Memory, verb) for verb in VERB_NAMES)]:
        documentation = inspect.getdoc(function) or ""
        documented = re.findall(r"^    (\w+(?:,\s+\w+)*): ", documentation, re.MULTILINE)
        names = {name for several in documented for name in re.split(r",\s+", several)}
        assert {*inspect.signature(function).parameters} - {"self", "id", "dsn"} <= names, function


@pytest.mark.parametrize(("blocking", "asynchronous"), LIFE_CYCLE.items())
def test_blocks_read_the_same(blocking: str, asynchronous: str) -> None:
    assert shape(getattr(Memory, blocking)) == shape(getattr(AsyncMemory, asynchronous))


def test_parameters_follow_the_protocol() -> None:
    """Names, order, kinds and defaults, as the protocol's Python binding gives them."""
    promised = {
        "add": "*, content, user_id, scope=None, tags=None, source=None, confidence=None, valid_from=None, "
        "valid_to=None, supersedes=None, supersede_ended=False, metadata=None, key=None, expires_at=None, "
        "indexed=True, idempotency_key=None, **extensions",
        "put": "*, key, content, user_id, scope=None, tags=None, source=None, confidence=None, valid_from=None, "
        "valid_to=None, supersedes=None, supersede_ended=False, metadata=None, expires_at=None, indexed=True, "
        "if_version=None, keep_history=False, **extensions",
        "add_many": "records, *, progress=None, idempotency_key=None",
        "get": "id, *, user_id=None",
        "get_by_key": "key, user_id, *, scope=None",
        "update": "id, *, content=<unset>, scope=<unset>, tags=<unset>, confidence=<unset>, valid_from=<unset>, "
        "valid_to=<unset>, supersedes=<unset>, supersede_ended=False, metadata=<unset>, expires_at=<unset>, "
        "user_id=None, if_version=None",
        "delete": "id, *, user_id=None, if_version=None",
        "delete_many": f"user_id, *, {SELECTION}, ids=None, keys=None, everything=False, dry_run=False",
        "list": "user_id, *, scope=None, tag=None, tags=None, any_tags=None, where=None, since=None, until=None, "
        "app=None, as_of=None, order='newest', limit=50, cursor=None",
        "iterate": f"user_id, *, {SELECTION}, order='newest'",
        "search": f"query, user_id, *, {SELECTION}, limit=10, min_score=None, timezone=None, recency=None, "
        "explain=False",
        "context": f"query, user_id, *, {SELECTION}, token_budget=500, timezone=None, recency=None",
        "count": f"user_id, *, {SELECTION}",
        "facets": f"user_id, *, by, {SELECTION}, limit=100",
        "history": "id, *, user_id=None",
        "audit": "user_id, *, app=None, since=None, limit=100, cursor=None",
        "users": "*, prefix=None, limit=100, cursor=None",
        "forget_user": "user_id",
        "restore": "records, *, progress=None",
        "purge": "*, ended_before=None, audit_before=None, progress=None",
        "capabilities": "",
        "wait_for_ingest": "ids, user_id, *, timeout=None",
        "close": "",
    }
    for verb, parameters in promised.items():
        signature = inspect.signature(getattr(Memory, verb))
        bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
        text = str(signature.replace(parameters=bare[1:], return_annotation=signature.empty))
        assert text == f"({parameters})"


def test_unset_shows_itself() -> None:
    assert repr(Unset()) == "<unset>"


def test_exported_members() -> None:
    assert openmem.__all__ == sorted(openmem.__all__, key=lambda name: (name == "__version__", name))
    assert set(openmem.__all__) == {
        "AsyncMemory",
        "AuditEntry",
        "Capabilities",
        "CapabilityFeatures",
        "CapabilityLimits",
        "Citation",
        "ConflictError",
        "ContextBlock",
        "Embedder",
        "Erased",
        "ExplainedTerm",
        "Explanation",
        "Facet",
        "InvalidRequestError",
        "Memory",
        "MemoryInput",
        "MemoryPage",
        "MemoryRecord",
        "MemorySource",
        "NotFoundError",
        "OMPError",
        "OmittedMemory",
        "ProviderError",
        "Purged",
        "RateLimitedError",
        "Reranker",
        "ScopeDeniedError",
        "SearchResult",
        "UnauthorizedError",
        "UnsupportedCapabilityError",
        "UnsupportedProviderError",
        "UserPage",
        "UserSummary",
        "__version__",
    }
    for name in openmem.__all__:
        assert getattr(openmem, name) is not None
    assert set(openmem.__all__) <= set(dir(openmem))


def test_an_unknown_name_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Memori'"):
        _ = openmem.Memori
