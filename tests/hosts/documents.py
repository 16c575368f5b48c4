"""Configurations as people and programs write them: JSON with comments, and TOML, in every layout."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from openmem.mcp.hosts.entries import Entry

STDIO = Entry(("/opt/env/bin/openmem", "mcp"), user="maya")
HTTP = Entry(url="https://memory.example/mcp", user="maya")

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
comments = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4).map(lambda text: f"//{text}\n"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4).map(lambda text: f"/*{text.replace('*', '')}*/"),
)
spaces = st.text(" \t\n", max_size=3)


@st.composite
def gaps(draw: st.DrawFn) -> str:
    return "".join(draw(st.lists(st.one_of(spaces, comments), max_size=2)))


@st.composite
def values(draw: st.DrawFn, depth: int = 1) -> str:
    kind = draw(st.sampled_from(["number", "string", "word", *(["object", "array"] if depth else [])]))
    if kind == "number":
        return draw(st.sampled_from(["0", "-1.5e+300", "1E999", "12345678901234567890123"]))
    if kind == "word":
        return draw(st.sampled_from(["true", "false", "null"]))
    if kind == "string":
        return json.dumps(draw(words), ensure_ascii=draw(st.booleans()))
    if kind == "array":
        return draw(containers("[]", st.lists(values(depth - 1), max_size=3)))
    return draw(objects(draw(st.lists(st.tuples(words, values(depth - 1)), max_size=3, unique_by=lambda m: m[0]))))


@st.composite
def containers(draw: st.DrawFn, brackets: str, items: st.SearchStrategy[list[str]]) -> str:
    found = draw(items)
    parts = [draw(gaps()) + item + draw(gaps()) for item in found]
    is_trailing = draw(st.booleans())
    trailing = "," + draw(gaps()) if found and is_trailing else ""
    return brackets[0] + ",".join(parts) + trailing + ("" if found else draw(gaps())) + brackets[1]


@st.composite
def objects(draw: st.DrawFn, members: list[tuple[str, str]]) -> str:
    written = [f"{json.dumps(key)}{draw(gaps())}:{draw(gaps())}{value}" for key, value in members]
    return draw(containers("{}", st.just(written)))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A configuration in JSON with comments, with or without sections, by hand or by a program."""
    members = draw(st.lists(st.tuples(words, values()), max_size=3, unique_by=lambda member: member[0]))
    for section in draw(st.sets(st.sampled_from(["mcpServers", "servers", "context_servers"]))):
        entries = draw(st.lists(st.tuples(words, values()), max_size=2, unique_by=lambda member: member[0]))
        members.append((section, draw(objects(entries))))
    if draw(st.booleans()):
        members.append(("inputs", draw(containers("[]", st.lists(values(), max_size=2)))))
    known = dict(draw(st.permutations(members)))
    text = draw(gaps()) + draw(objects(list(known.items()))) + draw(gaps())
    if draw(st.integers(0, 5)) == 0:
        text = draw(gaps())
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "", "\ufeff"])) + text


PARTS_OF_TOML = [
    "",
    "# a comment",
    'model = "o4"  # why',
    "text = '''\n[mcp_servers.openmem]\n'''",
    'profiles.fast.model = "x"',
    "[projects.'/home/maya']\ntrust_level = \"trusted\"",
    '[mcp_servers.docs]\ncommand = "npx"\nargs = [\n  "-y",  # yes\n  "docs",\n]',
    "[mcp_servers.other.env]\nA = '1'",
    '[[history]]\nat = 1979-05-27T07:32:00Z\n[history.more]\nvalue = { a = 1, "b c" = [0x10] }',
    "  [tools]\n\tweb = true",
]


@st.composite
def toml_documents(draw: st.DrawFn) -> str:
    """A configuration in TOML."""
    parts = draw(st.lists(st.sampled_from(PARTS_OF_TOML), max_size=5, unique=True))
    text = "".join(part + draw(st.sampled_from(["\n", "\n\n", "\n \t\n"])) for part in parts)
    text = draw(st.sampled_from([text, text.rstrip("\n"), text + "# end", text + "\n\n"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text
