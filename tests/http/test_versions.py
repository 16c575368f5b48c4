"""Clients and servers of the version before the additions to OMP 0.1, with those of this one, over real sockets."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openmem import AsyncMemory, ConflictError, NotFoundError, UnsupportedCapabilityError
from openmem.server import OmpServerConfig
from openmem.testing.modes import Async, Mode, Sync

from .test_conformance import serving

ROOT = Path(__file__).parents[2]
BEFORE = "e8cc7e6f68c45f2a69e69b5d6e154e0ec29985be"

OLD_CLIENT = """
import json, sys
from openmem import ConflictError, Memory, NotFoundError

with Memory("passthrough", base_url=sys.argv[1], app="old") as memory:
    extensions = {"x-app": {"n": 1}}
    tea = memory.add(content="Maya likes green tea", user_id="maya", scope="food/drinks", tags=["a,b"], confidence=0.5,
                     source={"app": "chat", "type": "explicit"}, valid_from="2020-01-01", **extensions)
    coffee = memory.add(content="Maya likes coffee", user_id="maya", scope="food", supersedes=[tea.id])
    memory.add_many([{"content": f"note {n}", "user_id": "maya", "scope": "notes"} for n in range(3)])
    updated = memory.update(coffee.id, content="Maya likes black coffee", tags=["t"], confidence=None)
    page = memory.list("maya", scope="notes", limit=2)
    rest = memory.list("maya", scope="notes", limit=2, cursor=page.next_cursor)
    errors = []
    for call in (lambda: memory.get("mem_none"), lambda: memory.add(content="x", user_id="maya", supersedes=[tea.id])):
        try:
            call()
        except (NotFoundError, ConflictError) as error:
            errors.append(error.code)
    memory.delete(rest.items[0].id)
    print(json.dumps({
        "user": memory.get(tea.id).user_id,
        "extensions": memory.get(tea.id).extensions,
        "ended": memory.get(tea.id).valid_to is not None,
        "updated": [updated.content, updated.tags],
        "pages": [[record.content for record in part.items] for part in (page, rest)],
        "tag": [record.id for record in memory.list("maya", tag="a,b", since="2020-01-01").items] == [tea.id],
        "found": memory.search("black coffee", "maya", scope="food", limit=1, min_score=0.1)[0].memory.content,
        "context": memory.context("black coffee", "maya", token_budget=100).citations[0].memory_id == coffee.id,
        "actions": sorted({entry.action for entry in memory.audit("maya", app="old")}),
        "verbs": set(memory.capabilities().verbs) >= {"add", "add_many", "get", "update", "delete", "list", "search"},
        "left": len(memory.list("maya").items),
        "errors": errors,
    }))
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the version before."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("the version before is taken from git, and this is no clone")
    archive = subprocess.run([git, "archive", BEFORE, "src/openmem"], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"the version before is taken from git, and this clone does not go back to {BEFORE[:7]}")
    path = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(path, filter="data")
    return path / "src"


def environment(sources: Path) -> dict[str, str]:
    """Variables of a process that runs these sources."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENMEM_"))}
    return {**kept, "PYTHONPATH": str(sources), "OPENMEM_EMBEDDER": "hashing"}


@contextlib.contextmanager
def old_server(sources: Path) -> Iterator[str]:
    """A server of the version before, in a process of its own; its URL."""
    command = [sys.executable, "-m", "openmem.server.cli", "--provider", "memory", "--port", "0"]
    with subprocess.Popen(
        command, env=environment(sources), cwd=sources, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("omp-server: serving memory at "), line
            yield line.split()[-1]
        finally:
            process.kill()
            process.stderr.read()


@pytest.fixture(params=[Sync, Async])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    mode: Mode = request.param()
    yield mode
    mode.close()


def test_an_old_client_on_a_new_server(before: Path) -> None:
    config = OmpServerConfig(provider="memory", settings={"embedder": "hashing"})
    with serving(config) as url:
        done = subprocess.run(
            [sys.executable, "-c", OLD_CLIENT, url],
            env=environment(before), cwd=before, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "user": "maya",
        "extensions": {"x-app": {"n": 1}},
        "ended": True,
        "updated": ["Maya likes black coffee", ["t"]],
        "pages": [["note 2", "note 1"], ["note 0"]],
        "tag": True,
        "found": "Maya likes black coffee",
        "context": True,
        "actions": ["add", "context", "delete", "get", "list", "search", "update"],
        "verbs": True,
        "left": 4,
        "errors": ["not_found", "conflict"],
    }


def test_a_new_client_on_an_old_server(mode: Mode, before: Path) -> None:
    """It is sent nothing that it does not know, and what it cannot do is refused here."""
    with old_server(before) as url:
        mode.run(_on_an_old_server(mode, url))


async def _on_an_old_server(mode: Mode, url: str) -> None:
    user = "maya"
    async with mode.client(provider="passthrough", base_url=url, app="new") as memory:
        extensions: dict[str, Any] = {"x-app": {"n": 1}}
        tea = await memory.add(
            content="Maya likes green tea", user_id=user, scope="food/drinks", tags=["a,b"], idempotency_key="k",
            source={"app": "chat"}, valid_from="2020-01-01", indexed=True, **extensions,
        )  # fmt: skip
        assert tea.extensions == extensions
        assert tea.version is None
        coffee = await memory.add(content="Maya likes coffee", user_id=user, scope="food", supersedes=[tea.id])
        notes = await memory.add_many([{"content": f"note {n}", "user_id": user, "scope": "notes"} for n in range(3)])
        changed = await memory.update(coffee.id, content="Maya likes black coffee", tags=None, user_id=user)
        assert changed.content == "Maya likes black coffee"
        assert (await memory.get(tea.id, user_id=user)).valid_to is not None
        for call in (
            lambda: memory.get(tea.id, user_id="ben"),
            lambda: memory.update(tea.id, tags=["stolen"], user_id="ben"),
            lambda: memory.delete(tea.id, user_id="ben"),
        ):
            with pytest.raises(NotFoundError):
                await call()
        with pytest.raises(ConflictError):
            await memory.add(content="x", user_id=user, supersedes=[tea.id])
        page = await memory.list(user, order="newest", scope="notes", limit=2)
        assert [record.id for record in page] == [record.id for record in notes[:0:-1]]
        assert [record.id for record in await memory.list(user, tag="a,b")] == [tea.id]
        found = await memory.search("black coffee", user, limit=1, min_score=0.1)
        assert found[0].memory.id == coffee.id
        long = await memory.search("black coffee " * 200, user, limit=1)
        assert found[0].memory.id == long[0].memory.id
        assert coffee.id in (await memory.context("black coffee", user)).text
        await memory.delete(notes[0].id, user_id=user)
        assert {entry.action for entry in await memory.audit(user, app="new")} >= {"add", "update", "delete"}
        await _refused(memory, user, tea.id)
    async with mode.client(provider="passthrough", base_url=url, grants=["read:food/*", "read:notes"]) as limited:
        assert {record.scope for record in await limited.list(user)} == {"food/drinks", "notes"}
        assert {result.memory.scope for result in await limited.search("note", user)} == {"notes"}


async def _refused(memory: AsyncMemory, user: str, id: str) -> None:
    for call in (
        lambda: memory.add(content="x", user_id=user, metadata={"n": 1}),
        lambda: memory.add(content="x", user_id=user, key="k"),
        lambda: memory.add(content="", user_id=user, indexed=False),
        lambda: memory.update(id, tags=["x"], if_version=1),
        lambda: memory.list(user, tags=["a"]),
        lambda: memory.list(user, order="oldest"),
        lambda: memory.list(user, scope=["food", "notes"]),
        lambda: memory.search("tea", user, where={"n": 1}),
        lambda: memory.search("tea", user, since="2020-01-01"),
        lambda: memory.put(key="k", content="x", user_id=user),
        lambda: memory.count(user),
        lambda: memory.delete_many(user, everything=True),
        lambda: memory.users(),
        lambda: memory.purge(),
    ):
        with pytest.raises(UnsupportedCapabilityError):
            await call()
