"""Every code block of the documentation is run, or checked word for word."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import click
import pytest

from openmem.cli.application import application
from openmem.server.cli import command_line

from ..servers import Server
from .pages import FRAMEWORKS_APART, PAGES, ROOT, Block, Notebook, blocks

RUN = ("python", "sql")
MOST_LINES_OF_AN_EXAMPLE = 25
"""On a page about a framework."""
WARNINGS_OF_LLAMA_INDEX = (
    "ignore::pydantic.warnings.PydanticDeprecationWarning",
    "ignore:<aiosqlite:ResourceWarning",
    "ignore:unclosed database:ResourceWarning",
)
COMMANDS = {
    "apt", "cd", "createdb", "curl", "docker", "export", "git", "make", "omp-server", "openmem", "openssl", "pg_dump",
    "pg_restore", "pip", "psql", "python", "uvicorn",
}  # fmt: skip


def shell_lines() -> list[tuple[Block, str]]:
    return [
        (block, line)
        for page in PAGES
        for block in blocks(page)
        if block.language == "bash"
        for line in commands(block.source)
        if line.strip() and not line.startswith("#")
    ]


def commands(source: str) -> Iterator[str]:
    """The lines of a shell script, where one ends neither in a backslash nor within quotes."""
    command = ""
    for line in source.replace("\\\n", " ").splitlines(keepends=True):
        command += line
        try:
            shlex.split(command, comments=True)
        except ValueError:
            continue
        yield command.rstrip("\n")
        command = ""
    assert not command, command


def parse_openmem(words: list[str]) -> None:
    """Refuse a command line that the command would refuse."""
    command: click.Command | None = application
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, command, words = command.resolve_command(click.Context(command), words)
    if command is not None and not isinstance(command, click.Group):
        command.make_context(command.name, words)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_name_a_language_that_is_checked(page: str) -> None:
    for block in blocks(page):
        assert block.language in {*RUN, "bash", "json", "text", "toml"}, block


def pages_that_run() -> Iterator[Any]:
    """The pages with code, those of LlamaIndex without what it does itself that others warn of."""
    for page in PAGES:
        if any(block.language in RUN for block in blocks(page)):
            ignored = WARNINGS_OF_LLAMA_INDEX if page.endswith("llama-index.md") else ()
            yield pytest.param(page, marks=[pytest.mark.filterwarnings(warning) for warning in ignored])


@pytest.mark.parametrize("page", list(pages_that_run()))
def test_code_runs(page: str, server: Server, user_directories: None) -> None:
    if page in FRAMEWORKS_APART:
        pytest.importorskip(FRAMEWORKS_APART[page])
    with Notebook(server) as notebook:
        for block in blocks(page):
            if block.language in RUN:
                notebook.run(block)


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/frameworks/")])
def test_examples_of_frameworks_are_short_and_have_a_table_of_what_maps_to_what(page: str) -> None:
    assert re.search(r"^\|(-+\|)+$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    lengths = [
        len([line for line in block.source.splitlines() if line.strip()])
        for block in blocks(page)
        if block.language == "python"
    ]
    assert lengths
    assert max(lengths) <= MOST_LINES_OF_AN_EXAMPLE


@pytest.mark.parametrize(("block", "line"), [pytest.param(*case, id=f"{case[0]}:{case[1]}") for case in shell_lines()])
def test_shell_commands_exist(block: Block, line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] in COMMANDS
    if words[0] == "omp-server":
        command_line().parse_args(words[1:])
    if words[0] == "openmem":
        parse_openmem(words[1:])
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
        assignments = [word for word in words[1:] if "=" in word]
        assert {word.partition("=")[0] for word in assignments} <= set(re.findall(r"\$\((\w+)\)", makefile))
        assert set(words[1:]) - set(assignments) <= set(targets)
    if words[:2] == ["pip", "install"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        asked = re.findall(r"openmem\[([a-z0-9,-]+)\]", line)
        assert {extra for extras in asked for extra in extras.split(",")} <= set(project["optional-dependencies"])


def test_toml_is_toml() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "toml":
                tomllib.loads(block.source)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}, target


def test_the_architecture_names_rooms_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = re.findall(r"`((?:\w+/)*(?:\w+\.py|\w+/))`", text)
    assert len(rooms) > 10
    for room in rooms:
        assert (ROOT / "src/openmem" / room).exists(), room
    for room in (ROOT / "src/openmem").iterdir():
        if (room / "__init__.py").exists():
            assert f"{room.name}/" in text, room
