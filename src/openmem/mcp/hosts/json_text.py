"""JSON with comments as text: where its values are, and changes that leave all other characters as they are.

Comments, trailing commas, white space and a byte order mark are kept. Where they are read, they are those of the
files of editors: ``//`` and ``/* */``, and a comma after the last item.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from .errors import HostConfigError

BYTE_ORDER_MARK: Final = "\ufeff"
DEFAULT_INDENT: Final = "  "
_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<comment>//[^\r\n]*|/\*.*?\*/)
    | (?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")
    | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<word>true|false|null)
    | (?P<mark>[{}\[\],:])
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSING: Final = {"{": "}", "[": "]"}


@dataclass(slots=True)
class Node:
    """A value: from where to where it stands, and the items of an object or array."""

    opening: str
    start: int
    end: int = 0
    items: list[Item] = field(default_factory=list)

    def find(self, key: str) -> Item | None:
        """The member of an object with this key.

        Raises:
            HostConfigError: there are several.
        """
        found = [item for item in self.items if item.key == key]
        if len(found) > 1:
            raise HostConfigError(f"{key!r} stands {len(found)} times in one object; leave one of them")
        return found[0] if found else None


@dataclass(slots=True)
class Item:
    """A member of an object, or an element of an array, whose key is None; and where the comma after it is."""

    key: str | None
    start: int
    value: Node
    comma: int | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def parse(text: str) -> Node | None:
    """The value that a text holds; None if it has white space and comments only.

    Raises:
        HostConfigError: it is not JSON with comments.
    """
    reader = _Reader(text)
    if reader.is_at_end():
        return None
    try:
        root = reader.value()
    except RecursionError:
        raise HostConfigError("it is nested too deeply") from None
    if not reader.is_at_end():
        raise reader.unexpected()
    return root


def plain(text: str, node: Node, *, numbers_as_text: bool = False) -> Any:
    """A value without its comments and trailing commas, as Python reads it.

    Args:
        numbers_as_text: keep numbers as they are written, also those that Python cannot hold.
    """
    as_number: dict[str, Any] = {"parse_int": str, "parse_float": str} if numbers_as_text else {}
    kept: list[str] = []
    for token in _significant(text, node.start, node.end):
        if token.text in ("}", "]") and kept[-1] == ",":
            kept.pop()
        kept.append(token.text)
    try:
        return json.loads("".join(kept), **as_number)
    except RecursionError:
        raise HostConfigError("it is nested too deeply") from None


def has_comments(text: str) -> bool:
    """Whether a text has comments or trailing commas, which plain JSON does not allow."""
    previous = ""
    for token in _tokens(text, 0, len(text)):
        if token.kind == "comment" or (previous == "," and token.text in ("}", "]")):
            return True
        previous = previous if token.kind == "space" else token.text
    return False


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text breaks and indents its lines."""

    newline: str
    indent: str

    @classmethod
    def of(cls, text: str) -> Layout:
        newline = "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"
        found = re.search(r"^([ \t]*)[^\n]*[{\[][ \t]*\r?\n\1([ \t]+)[^ \t\r\n]", text, re.MULTILINE)
        return cls(newline, found[2] if found else DEFAULT_INDENT)

    def rendered(self, value: Any, base: str) -> str:
        """A value over several lines, all but the first of which begin with `base`."""
        lines = json.dumps(value, ensure_ascii=False, indent=self.indent).split("\n")
        return (self.newline + base).join(lines)


def append(text: str, container: Node, key: str | None, value: Any) -> tuple[str, bool]:
    """The text with one more item at the end of an object or array.

    Returns:
        The text, and whether an empty container that stood on one line was spread over several.
    """
    layout = Layout.of(text)
    anchor, last = _last_end(text, container.start + 1, container.end - 1)
    rest = text[anchor : container.end - 1]
    base = _indent_of_line(text, container.start)
    if not container.items:
        item = layout.newline + base + layout.indent + _item(layout, key, value, base + layout.indent)
        is_spread = "\n" not in rest
        if is_spread:
            item += layout.newline + base
        return text[:anchor] + item + text[anchor:], is_spread
    final = container.items[-1]
    before = container.items[-2].comma if len(container.items) > 1 else container.start
    has_own_line = "\n" in text[before : final.start] or "\n" in rest or last.startswith("//")
    trailing = "" if final.comma is None else ","
    if has_own_line:
        indent = _indent_of_line(text, final.start)
        if text[: final.start].rpartition("\n")[2].strip(" \t" + BYTE_ORDER_MARK):
            indent = base + layout.indent  # something else stands before it on its line
        item = layout.newline + indent + _item(layout, key, value, indent) + trailing
    else:
        item = " " + _item(None, key, value, "") + trailing
    comma = "" if trailing else ","
    end = final.value.end
    return text[:end] + comma + text[end:anchor] + item + text[anchor:], False


def remove(text: str, container: Node, item: Item, was_spread: bool = False) -> str:
    """The text without an item, and without what `append` added for it."""
    index = container.items.index(item)
    begin = container.start + 1 if index == 0 else _comma_end(container.items[index - 1])
    anchor, _ = _last_end(text, begin, item.start)
    end = item.value.end if item.comma is None else item.comma + 1
    if len(container.items) == 1:
        layout = Layout.of(text)
        closing = layout.newline + _indent_of_line(text, container.start)
        if was_spread and text.startswith(closing, end):
            end += len(closing)
        return text[:anchor] + text[end:]
    if item.comma is None and index > 0:
        comma = container.items[index - 1].comma
        assert comma is not None
        return text[:comma] + text[comma + 1 : anchor] + text[end:]
    return text[:anchor] + text[end:]


def replace(text: str, item: Item, value: Any) -> str:
    """The text with another value of an item."""
    layout = Layout.of(text)
    is_inline = "\n" not in text[item.value.start : item.value.end]
    new = _item(None, None, value, "") if is_inline else layout.rendered(value, _indent_of_line(text, item.start))
    return text[: item.value.start] + new + text[item.value.end :]


def _item(layout: Layout | None, key: str | None, value: Any, base: str) -> str:
    written = json.dumps(value, ensure_ascii=False) if layout is None else layout.rendered(value, base)
    return written if key is None else f"{json.dumps(key, ensure_ascii=False)}: {written}"


def _comma_end(item: Item) -> int:
    return item.value.end if item.comma is None else item.comma + 1


def _last_end(text: str, start: int, end: int) -> tuple[int, str]:
    """Where the last token or comment of a range ends, and its text; `start` if there is white space only."""
    found = [token for token in _tokens(text, start, end) if token.kind != "space"]
    return (found[-1].end, found[-1].text) if found else (start, "")


def _indent_of_line(text: str, position: int) -> str:
    """The white space with which the line of a position begins."""
    begin = text.rfind("\n", 0, position) + 1
    found = re.compile(f"{BYTE_ORDER_MARK}?([ \\t]*)").match(text, begin)
    return found[1] if found else ""


def _tokens(text: str, start: int, end: int) -> Iterator[_Token]:
    position = start
    if position == 0 and text.startswith(BYTE_ORDER_MARK):
        position = 1
    while position < end:
        found = _TOKEN.match(text, position, end)
        if found is None:
            raise HostConfigError(f"{_place(text, position)} is not JSON")
        yield _Token(found.lastgroup or "", found.group(), position)
        position = found.end()


def _significant(text: str, start: int, end: int) -> Iterator[_Token]:
    return (token for token in _tokens(text, start, end) if token.kind not in ("space", "comment"))


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


class _Reader:
    """Reads values from the tokens of a text, by descent."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _significant(text, 0, len(text))
        self.token = next(self.tokens, None)

    def is_at_end(self) -> bool:
        return self.token is None

    def unexpected(self) -> HostConfigError:
        if self.token is None:
            return HostConfigError("it ends too early")
        return HostConfigError(f"{_place(self.text, self.token.start)} is not JSON")

    def take(self, *texts: str) -> _Token:
        token = self.token
        if token is None or (texts and token.text not in texts):
            raise self.unexpected()
        self.token = next(self.tokens, None)
        return token

    def at(self, text: str) -> bool:
        return self.token is not None and self.token.text == text

    def value(self) -> Node:
        if self.token is not None and self.token.kind == "mark" and self.token.text not in _CLOSING:
            raise self.unexpected()
        first = self.take()
        node = Node(first.text if first.text in _CLOSING else "", first.start, first.end)
        if not node.opening:
            return node
        closing = _CLOSING[node.opening]
        while not self.at(closing):
            item = self.item(node.opening)
            node.items.append(item)
            if not self.at(closing):
                item.comma = self.take(",").start
        node.end = self.take(closing).end
        return node

    def item(self, opening: str) -> Item:
        if opening == "[":
            value = self.value()
            return Item(None, value.start, value)
        if self.token is None or self.token.kind != "string":
            raise self.unexpected()
        key = self.take()
        self.take(":")
        return Item(json.loads(key.text), key.start, self.value())
