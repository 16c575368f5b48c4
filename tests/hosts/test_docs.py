"""The entries on the page about hosts are what is written."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from openmem.mcp.hosts.entries import MARK_HEADER, MARK_VARIABLE, Entry
from openmem.mcp.hosts.install import fragment
from openmem.mcp.hosts.known import HOSTS

from ..docs.pages import blocks

PAGE = "docs/mcp-hosts.md"
PROGRAM = Entry(("/home/maya/.local/bin/openmem", "mcp"), user="maya")
ADDRESS = Entry(url="https://memory.example/mcp")
WITHOUT_KEY = Entry(url="http://127.0.0.1:8080/mcp", user="maya", key_variable=None)
SHOWN = [
    ("claude-desktop", PROGRAM),
    ("claude-code", PROGRAM),
    ("claude-code", ADDRESS),
    ("cursor", PROGRAM),
    ("cursor", ADDRESS),
    ("vscode", PROGRAM),
    ("vscode", ADDRESS),
    ("zed", PROGRAM),
    ("zed", WITHOUT_KEY),
    ("codex", PROGRAM),
    ("codex", ADDRESS),
]
READ = {"json": json.loads, "toml": tomllib.loads}
BLOCKS = [READ[block.language](block.source) for block in blocks(PAGE) if block.language in READ]


@pytest.mark.parametrize(("index", "host", "entry"), [(index, *shown) for index, shown in enumerate(SHOWN)])
def test_an_entry_is_shown_as_it_is_written(index: int, host: str, entry: Entry) -> None:
    known = HOSTS[host]
    written: dict[str, Any] = READ["toml" if known.is_toml else "json"](fragment(known, entry))
    found = written[known.section]["openmem"]
    found.get("env", {}).pop(MARK_VARIABLE, None)
    found.get("headers", {}).pop(MARK_HEADER, None)
    assert BLOCKS[index] == written


def test_nothing_else_is_shown() -> None:
    assert len(BLOCKS) == len(SHOWN)
