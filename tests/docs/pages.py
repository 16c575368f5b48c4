"""The code blocks of the documentation, and how to run them on a real server.

The blocks of a page run in the order of the page and share their names, as in a notebook; ``await``
may stand outside of a function. Every URL of a server on localhost is replaced by that of a new
database, with the user kept: ``postgresql://localhost/omp`` is what the pages write. So is the address
of an omp-server, ``127.0.0.1:8080``, by that of one over the same database.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from ..servers import Server

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)

FRAMEWORKS_APART = {
    "docs/frameworks/agent-framework.md": "agent_framework",
    "docs/frameworks/anthropic.md": "anthropic",
    "docs/frameworks/crewai.md": "crewai",
    "docs/frameworks/google-adk.md": "google.adk",
    "docs/frameworks/llama-index.md": "llama_index.core",
    "docs/frameworks/pydantic-ai-harness.md": "pydantic_ai_harness",
    "docs/frameworks/strands.md": "strands",
}
"""Pages about frameworks that are tested in environments of their own, and what these import."""

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<source>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_OMP_SERVER = "127.0.0.1:8080"
_URL = re.compile(r"postgresql://(?:(?P<user>\w+)(?::[^@/\s]*)?@)?localhost(?::5432)?/\w+")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the line its text begins on."""

    page: str
    line: int
    language: str
    source: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        source = "".join(line.removeprefix(indent) for line in match["source"].splitlines(keepends=True))
        yield Block(page, text.count("\n", 0, match.start("source")) + 1, match["language"], source)


class Notebook:
    """Runs blocks one after the other, on a new database of `server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._database = server.create_database().rpartition("/")[2]
        self._roles = self._all_roles()
        self._runner = asyncio.Runner()
        self._stack = ExitStack()
        self._omp_url: str | None = None
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.close()
        self._stack.close()
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self._database} WITH (FORCE)".encode())
            for role in self._all_roles() - self._roles:
                connection.execute(f"DROP ROLE {role}".encode())

    @property
    def url(self) -> str:
        """The database that the blocks use."""
        return self._server.url(self._database)

    @property
    def omp_url(self) -> str:
        """An omp-server over that database, from the first time it is asked for to the end."""
        if self._omp_url is None:
            # A framework's environment has no server, and its page asks for none.
            from openmem.server import OmpServerConfig  # noqa: PLC0415

            from ..server.harness import running  # noqa: PLC0415

            config = OmpServerConfig(settings={"url": self.url, "embedder": "hashing"})
            self._omp_url = self._stack.enter_context(running(config)).url
        return self._omp_url

    def run(self, block: Block) -> None:
        """Run a Python or SQL block; whatever it raises comes out with the page's own line."""
        source = _URL.sub(
            lambda found: self._server.url(self._database, user=found["user"] or "postgres"), block.source
        )
        if _OMP_SERVER in source:
            source = source.replace(_OMP_SERVER, self.omp_url.removeprefix("http://"))
        if block.language == "sql":
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(source.encode())
            return
        assert block.language == "python", block
        code = compile(
            "\n" * (block.line - 1) + source,
            block.page,
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        result = eval(code, self.names)
        if inspect.iscoroutine(result):
            self._runner.run(result)

    def _all_roles(self) -> set[str]:
        with psycopg.connect(self._server.url()) as connection:
            return {role for (role,) in connection.execute("SELECT rolname FROM pg_roles")}
