"""The shape of the source: which way imports go, what edges may touch, and how long a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import openmem

SOURCE: Final = Path(openmem.__file__).parent
MAX_LINES: Final = 450
LONGER_FILES: Final[Mapping[str, str]] = {
    "memory.py": "the signature and the documentation of every verb",
    "async_memory.py": "the signature and the documentation of every verb",
}
"""Files that may be longer, and why."""
EDGES: Final = ("server", "testing", "cli", "mcp", "integrations", "transfer", "ui")
"""Rooms that see the others as a program of somebody else would."""
FOUNDATION: Final = frozenset(
    f"openmem.{name}"
    for name in (
        "_copying",
        "_extras",
        "_forking",
        "_ids",
        "_network",
        "_plugins",
        "_suggestions",
        "_text",
        "_time_zones",
    )
)
"""Modules that every room of the package may use and no application."""
PRIVATE_USES: Final[Mapping[str, str]] = {
    "openmem.cli: os._exit": "an interrupt while modules are imported ends the process without a traceback",
    "openmem.server.strict_http: buffer._data": "h11 does not tell otherwise what it has received and not yet read",
}
"""What edges may touch all the same, and why."""


def modules() -> Mapping[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES: Final = modules()


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imported(module: str) -> Iterator[tuple[str, str | None, ast.stmt]]:
    """The package's modules that a module imports, those for type checkers too, and which name from each."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in MODULES:
                    yield alias.name, None, node
        elif isinstance(node, ast.ImportFrom):
            start = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, (start, node.module)))
            for alias in node.names:
                if f"{source}.{alias.name}" in MODULES:
                    yield f"{source}.{alias.name}", None, node
                elif source in MODULES:
                    yield source, alias.name, node


def graph() -> dict[str, set[str]]:
    """What each module imports when it is itself imported, or for type checkers."""
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        inner = deferred(tree(module))
        edges[module] = {target for target, _, node in imported(module) if target != module and node not in inner}
    edges["openmem"] = set()  # its names are resolved when they are first used
    return edges


def deferred(root: ast.Module) -> set[ast.stmt]:
    """Statements in functions, which run later."""
    return {
        inner
        for node in ast.walk(root)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules each of which leads to every other one of its group."""

    @cache
    def reached(module: str) -> frozenset[str]:
        seen: set[str] = set()
        waiting = [module]
        while waiting:
            for target in edges[waiting.pop()] - seen:
                seen.add(target)
                waiting.append(target)
        return frozenset(seen)

    groups = {frozenset({m, *(o for o in reached(m) if m in reached(o))}) for m in edges if m in reached(m)}
    return sorted(sorted(group) for group in groups)


def room_of(module: str) -> str:
    return [*module.split("."), ""][1]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}) == [["a", "b", "c"], ["e"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_imports_are_found() -> None:
    found = {(target, name) for target, name, _ in imported("openmem.providers.postgres.provider")}
    assert ("openmem.models", "MemoryPage") in found
    assert ("openmem.providers.base", "Provider") in found


def test_there_is_no_circle_among_files() -> None:
    assert circles(graph()) == []


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("drivers", {"providers", "client", "memory", "async_memory", "server"}),
        ("ports", {"drivers", "providers", "client", "memory", "async_memory", "server"}),
        ("providers", {"drivers", "client", "memory", "async_memory", "server"}),
        ("operations", {"drivers", "ports", "providers", "client"}),
        ("analysis", {"drivers", "ports", "providers", "client", "ranking"}),
        ("ranking", {"drivers", "ports", "providers", "client"}),
    ],
)
def test_imports_go_one_way(room: str, forbidden: set[str]) -> None:
    wrong = {
        f"{module} imports {target}"
        for module in MODULES
        if room_of(module) == room
        for target, _, _ in imported(module)
        if room_of(target) in forbidden
    }
    assert wrong == set()


def private_uses(module: str) -> Iterator[str]:
    """Where a module imports a private name of another room, or touches a private attribute of another object."""
    room = room_of(module)
    for target, name, node in imported(module):
        is_private_module = target not in FOUNDATION and any(map(is_private, target.split(".")))
        if room_of(target) != room and (is_private(name or "") or is_private_module):
            yield f"{module}: {ast.unparse(node)}"
    for attribute in private_attributes(tree(module)):
        yield f"{module}: {attribute}"


def private_attributes(root: ast.AST) -> list[str]:
    """Where code touches a private attribute of an object that is not its own."""
    return [
        ast.unparse(node)
        for node in ast.walk(root)
        if isinstance(node, ast.Attribute)
        and is_private(node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]


def test_private_attributes_are_found() -> None:
    assert private_attributes(ast.parse("self._a, cls._b, memory._c, memory.client._d, memory.e, memory.__dict__")) == [
        "memory._c",
        "memory.client._d",
    ]


def test_edges_use_public_names() -> None:
    used = {use for module in MODULES if room_of(module) in EDGES for use in private_uses(module)}
    assert used - PRIVATE_USES.keys() == set()
    assert PRIVATE_USES.keys() - used == set(), "these are not used any more"


def test_no_file_is_too_long() -> None:
    lengths = {path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    too_long = {name for name, length in lengths.items() if length > MAX_LINES}
    assert too_long - LONGER_FILES.keys() == set()
    assert LONGER_FILES.keys() - too_long == set(), "these are short enough"
