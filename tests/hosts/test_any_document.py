"""Whatever a configuration looks like: what is put in can be taken out, and nothing else changes."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmem.mcp.hosts import json_config, json_text, toml_config
from openmem.mcp.hosts.entries import Entry
from openmem.mcp.hosts.errors import HostConfigError
from openmem.mcp.hosts.known import HOSTS

from .documents import HTTP, STDIO, documents, toml_documents

IN_JSON = ["cursor", "vscode"]
CODEX = HOSTS["codex"]


@pytest.mark.parametrize("name", IN_JSON)
@given(text=documents(), entry=st.sampled_from([STDIO, HTTP]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_json_is_as_it_was(name: str, text: str, entry: Entry) -> None:
    host = HOSTS[name]
    changed = json_config.put(text, host, entry)
    root = json_text.parse(changed)
    assert root is not None
    written = json_text.plain(changed, root, numbers_as_text=True)[host.section]["openmem"]
    assert {**written, **host.entry(entry), "env": 0, "headers": 0} == {**written, "env": 0, "headers": 0}
    assert json_config.put(changed, host, entry) == changed
    assert json_config.take_out(changed, host, "openmem") == text
    other = HTTP if entry is STDIO else STDIO
    updated = json_config.put(changed, host, other)
    assert json_config.put(updated, host, entry) == changed or host.input(HTTP) is not None
    assert json_config.take_out(updated, host, "openmem") == text


@given(text=toml_documents(), entry=st.sampled_from([STDIO, HTTP]))
@settings(max_examples=60, deadline=None)
def test_toml_is_as_it_was(text: str, entry: Entry) -> None:
    tomllib.loads(text)
    changed = toml_config.put(text, CODEX, entry)
    assert changed.startswith(text)
    assert toml_config.put(changed, CODEX, entry) == changed
    assert toml_config.take_out(changed, CODEX, "openmem") == text
    other = HTTP if entry is STDIO else STDIO
    updated = toml_config.put(changed, CODEX, other)
    assert toml_config.put(updated, CODEX, entry) == changed
    assert toml_config.take_out(updated, CODEX, "openmem") == text


@pytest.mark.parametrize("name", IN_JSON)
def test_a_file_that_was_made_is_gone(name: str) -> None:
    for entry in (STDIO, HTTP):
        changed = json_config.put(None, HOSTS[name], entry)
        assert json_config.take_out(changed, HOSTS[name], "openmem") is None


def test_a_toml_file_that_was_made_is_gone() -> None:
    assert toml_config.take_out(toml_config.put(None, CODEX, STDIO), CODEX, "openmem") is None


@given(text=st.text(st.sampled_from('{}[]:,"/*\n \\at1e-.'), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_text_is_json_or_refused(text: str) -> None:
    try:
        changed = json_config.put(text, HOSTS["cursor"], STDIO)
    except HostConfigError:
        return
    assert json_config.take_out(changed, HOSTS["cursor"], "openmem") == text
