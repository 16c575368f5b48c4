"""``openmem mcp`` with hosts that send what no host should, and end when they like."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .test_stdio import INITIALIZE, INITIALIZED, lines, started

PING = {"jsonrpc": "2.0", "id": 9, "method": "ping"}
JUNK = ["hello", "{", "[]", "null", "", "\x00", '"x"', '{"jsonrpc":"2.0"}', "[" * 50_000, '{"id":' * 1_000]
SEARCH = {
    "jsonrpc": "2.0",
    "id": 3,
    "method": "tools/call",
    "params": {"name": "search_memories", "arguments": {"query": "food"}},
}


def add(id: int, content: str) -> dict[str, Any]:
    call = {"name": "add_memory", "arguments": {"content": content}}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call}


def talk(text: str, answers: int, process: subprocess.Popen[str]) -> dict[Any, dict[str, Any]]:
    """The answers to what is sent, by id; the process must then end well, and say nothing else."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(text)
        process.stdin.flush()
        found = [json.loads(process.stdout.readline()) for _ in range(answers)]
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")
    return {answer["id"]: answer for answer in found}


def test_junk_is_skipped_and_large_messages_are_answered() -> None:
    cut = json.dumps(add(4, "Maya likes \ud83d"))
    text = lines(INITIALIZE, INITIALIZED) + "".join(f"{junk}\n" for junk in JUNK) + cut + "\r\n"
    answers = talk(text + lines(add(5, "x" * 5_000_000), SEARCH, PING), 5, started("--provider", "memory"))
    assert "half of a character" in answers[4]["error"]["message"]
    assert answers[5]["result"]["isError"]
    assert "5000000 characters" in answers[5]["result"]["content"][0]["text"]
    assert not answers[3]["result"]["isError"]
    assert answers[9]["result"] == {}


@pytest.mark.parametrize("kept", [0, 150, 330])
def test_a_host_may_end_at_any_moment(kept: int) -> None:
    process = started("--provider", "memory")
    text = lines(INITIALIZE, INITIALIZED, add(4, "Maya is vegan"), SEARCH)
    _, errors = process.communicate(text[:kept], timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_a_directory_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    process = started("--path", str(tmp_path / "file" / "data"))
    answers = talk(lines(INITIALIZE, INITIALIZED, SEARCH), 2, process)
    assert answers[3]["result"]["isError"]
    assert "cannot hold the database" in answers[3]["result"]["content"][0]["text"]


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no directory that is in use")
def test_a_host_without_home_whose_directory_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    gone = tmp_path / "gone"
    gone.mkdir()
    process = started("--provider", "memory", before=["sh", "-c", f'cd "{gone}"; rmdir "{gone}"; exec "$@"', "sh"])
    assert not talk(lines(INITIALIZE, INITIALIZED, SEARCH), 2, process)[3]["result"]["isError"]
