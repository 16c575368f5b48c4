"""From PostgreSQL over HTTP and the embedded server to mem0's engine and back: what is lost is what is told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from openmem import Memory, transfer
from openmem.server import OmpServerConfig
from openmem.transfer import Choice

from ..server.harness import running
from ..servers import Server

MEMORIES: Final = int(os.environ.get("OPENMEM_MOVED_MEMORIES", "28"))
"""Memories of the test; ten thousand take it minutes, most of them in mem0's engine."""
USERS: Final = [f"user {number}" for number in range(2)]
FAR: Final = datetime(2099, 1, 1, tzinfo=UTC)


def drafts(count: int) -> Iterator[dict[str, Any]]:
    """Memories of which each field is there in some."""
    for number in range(count):
        draft: dict[str, Any] = {"content": f"fact {number}: tea, 茶", "user_id": USERS[number % len(USERS)]}
        if number % 2:
            draft |= {"scope": "food/drinks", "tags": ["a", "b"]}
        if number % 3 == 0:
            draft |= {"metadata": {"n": number, "deep": [{"x": None}]}, "confidence": 0.25, "x-any": {"v": 1e23}}
        if number % 5 == 0:
            draft |= {"key": f"key {number}", "source": {"app": "notes", "type": "explicit", "ref": str(number)}}
        if number % 7 == 0:
            draft["valid_from"] = datetime(2020, 1, 1 + number % 28, tzinfo=UTC)
        if number % 11 == 0:
            draft["expires_at"] = FAR
        if number % 13 == 0:
            draft["indexed"] = False
        yield draft


@pytest.fixture
def source(server: Server) -> Iterator[Memory]:
    with Memory("postgres", url=server.create_database(), embedder="hashing") as memory:
        added = memory.add_many(drafts(MEMORIES))
        for user in USERS:
            own = [record for record in added if record.user_id == user]
            first = memory.add(content="instead", user_id=user, supersedes=[own[0].id, own[1].id])
            memory.add(content="and instead of that", user_id=user, supersedes=[first.id])
            memory.update(own[2].id, confidence=0.75)
        yield memory


def wires(memory: Memory) -> list[dict[str, Any]]:
    """All memories as the protocol has them, but for what a backend finds out anew."""
    ignored = ("status", "embedding_model")
    return [
        {name: value for name, value in record.to_wire().items() if name not in ignored}
        for user in USERS
        for record in memory.iterate(user, order="oldest")
    ]


def differences(source: Sequence[dict[str, Any]], target: Sequence[dict[str, Any]]) -> Counter[str]:
    """How many memories differ in a field, found by their contents. Ids of memories are compared by what they name."""

    def named(memories: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
        contents = {one["id"]: one["content"] for one in memories}
        return {
            (one["user_id"], one["content"]): {
                **one,
                "supersedes": [contents[id] for id in one["supersedes"]] if "supersedes" in one else None,
            }
            for one in memories
        }

    before, after = named(source), named(target)
    assert before.keys() == after.keys()
    found: Counter[str] = Counter()
    for name, old in before.items():
        new = after[name]
        found.update(field for field in old.keys() | new.keys() if old.get(field) != new.get(field))
    return found


def test_what_is_lost_is_what_differs(server: Server, source: Memory, tmp_path: Path) -> None:
    store = {
        "provider": "qdrant",
        "config": {"path": str(tmp_path / "q"), "collection_name": "m", "embedding_model_dims": 256, "on_disk": True},
    }
    config = OmpServerConfig(settings={"url": server.create_database(), "embedder": "hashing"})
    choice = Choice(users=USERS)
    original = wires(source)
    with (
        running(config) as served,
        Memory("passthrough", base_url=served.url) as remote,
        Memory("local", path=str(tmp_path / "local"), embedder="hashing") as local,
        Memory("mem0", config={"vector_store": store}, embedder="hashing") as mem0,
        Memory("postgres", url=server.create_database(), embedder="hashing") as end,
    ):
        for old, new in ((source, remote), (remote, local)):
            exported, report = transfer.migrate(old, new, choice)
            assert exported.consistent is (old is source)
            assert (report.losses, report.renamed, report.written) == ({}, 0, len(original))
            assert wires(new) == original
        dry = transfer.migrate(local, mem0, choice, transfer.ImportSettings(dry_run=True))[1]
        _, report = transfer.migrate(local, mem0, choice)
        assert report.written == report.renamed == len(original)
        found = differences(original, wires(mem0))
        assert found.pop("id") == report.renamed
        assert found.pop("x-omp-import") == len(original)
        assert found == report.lost() == dry.lost()
        assert set(found) >= {"created_at", "updated_at", "version", "key", "expires_at", "indexed", "valid_from"}
        again = transfer.migrate(local, mem0, choice)[1]
        assert (again.written, again.equal) == (0, len(original))
        _, report = transfer.migrate(mem0, end, choice)
        assert (report.losses, report.written) == ({}, len(original))
        assert wires(end) == original
        assert transfer.migrate(mem0, end, choice)[1].equal == len(original)
