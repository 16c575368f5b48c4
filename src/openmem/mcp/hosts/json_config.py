"""An entry in a configuration in JSON: functions from text to text.

What is put in can be taken out again so that the text is as it was. For that the mark of an entry names what was made
for it: ``file``, ``document`` (the braces of the file), ``section``, ``input`` and ``inputs`` (the list of inputs).
A name with ``wide-`` before it is that of an empty object or list that was spread over several lines.
"""

from __future__ import annotations

from typing import Any, Final

from . import json_text
from .entries import ENTRY, Entry, mark_of, marked, merged
from .errors import HostConfigError
from .json_text import Node
from .known import Host

_EMPTY: Final = "{}\n"
_DOCUMENT: Final = "document"
_INPUTS: Final = "inputs"


def put(text: str | None, host: Host, entry: Entry) -> str:
    """The configuration with openmem's entry, new or brought up to date.

    Args:
        text: the configuration; None if there is no file.

    Raises:
        HostConfigError: it does not parse, or has an entry of this name that somebody else wrote.
    """
    changed = _put(text, host, entry)
    _verify(text, changed, host, entry.name)
    return changed


def _put(text: str | None, host: Host, entry: Entry) -> str:
    made: set[str] = set()
    if text is None:
        text = _EMPTY
        made.add("file")
    elif json_text.parse(text) is None:
        text = _with_document(text)
        made.add(_DOCUMENT)
    _check(text, host)
    section = _section(text, host)
    item = None if section is None else section.find(entry.name)
    if item is None:
        return _put_new(text, host, entry, made)
    written = json_text.plain(text, item.value)
    mark = mark_of(written)
    if mark is None:
        raise HostConfigError(
            f"{host.section!r} has an entry {entry.name!r} that openmem did not write; remove it, or choose another "
            "name with --name"
        )
    return _put_again(text, host, entry, written, set(mark.split()) - {ENTRY})


def take_out(text: str | None, host: Host, name: str) -> str | None:
    """The configuration without openmem's entry; None if there is no file, or it was made for the entry.

    Raises:
        HostConfigError: it does not parse, or the entry of this name is somebody else's.
    """
    changed = _take_out(text, host, name)
    _verify(text, changed, host, name)
    return changed


def _take_out(text: str | None, host: Host, name: str) -> str | None:
    if text is None or json_text.parse(text) is None:
        return text
    section = _section(text, host)
    item = None if section is None else section.find(name)
    if section is None or item is None:
        return text
    mark = mark_of(json_text.plain(text, item.value))
    if mark is None:
        raise HostConfigError(f"openmem did not write the entry {name!r} in {host.section!r}; remove it by hand")
    made = set(mark.split())
    text = json_text.remove(text, section, item, _wide("section") in made)
    if "section" in made:
        text = _without_empty(text, host.section, made)
    text = _without_input(text, _input_id(name), made)
    root = _root(text)
    if root is not None and not root.items:
        if "file" in made and text == _EMPTY:
            return None
        if _DOCUMENT in made and not json_text.has_comments(text[root.start : root.end]):
            return _without_document(text, root)
    return text


def _put_new(text: str, host: Host, entry: Entry, made: set[str]) -> str:
    """Put what is needed around the entry first, so that the entry can name it."""
    if _section(text, host) is None:
        text = _append_to_root(text, host.section, {}, made)
        made.add("section")
    wanted = host.input(entry)
    if wanted is not None:
        text = _with_input(text, wanted, made)
    section = _existing(text, host)
    _, is_wide = json_text.append(text, section, entry.name, {})
    if is_wide and "section" not in made:
        made.add(_wide("section"))
    value = marked(host.entry(entry), " ".join(sorted(made)) or ENTRY)
    return json_text.append(text, section, entry.name, value)[0]


def _put_again(text: str, host: Host, entry: Entry, written: Any, made: set[str]) -> str:
    wanted = host.input(entry)
    if wanted is None:
        text = _without_input(text, _input_id(entry.name), made)
        made -= {"input", _INPUTS, _wide(_INPUTS)}
    else:
        text = _with_input(text, wanted, made)
    value = merged(written, marked(host.entry(entry), " ".join(sorted(made)) or ENTRY))
    if value == written:
        return text
    item = _existing(text, host).find(entry.name)
    assert item is not None
    return json_text.replace(text, item, value)


def _with_input(text: str, wanted: dict[str, Any], made: set[str]) -> str:
    root = _existing_root(text)
    inputs = root.find(_INPUTS)
    if inputs is None:
        text = _append_to_root(text, _INPUTS, [], made)
        made.add(_INPUTS)
        inputs = _existing_root(text).find(_INPUTS)
    assert inputs is not None
    if inputs.value.opening != "[":
        raise HostConfigError(f"{_INPUTS!r} is not a list")
    for item in inputs.value.items:
        found = json_text.plain(text, item.value)
        if _is_input(found, wanted["id"]):
            if "input" in made and found != wanted:
                return json_text.replace(text, item, wanted)
            return text
    text, is_wide = json_text.append(text, inputs.value, None, wanted)
    made.add("input")
    if is_wide and _INPUTS not in made:
        made.add(_wide(_INPUTS))
    return text


def _without_input(text: str, identity: str, made: set[str]) -> str:
    if "input" not in made:
        return text
    inputs = _existing_root(text).find(_INPUTS)
    if inputs is None or inputs.value.opening != "[":
        return text
    for item in inputs.value.items:
        if _is_input(json_text.plain(text, item.value), identity):
            text = json_text.remove(text, inputs.value, item, _wide(_INPUTS) in made)
            break
    return _without_empty(text, _INPUTS, made) if _INPUTS in made else text


def _append_to_root(text: str, key: str, value: Any, made: set[str]) -> str:
    text, is_wide = json_text.append(text, _existing_root(text), key, value)
    if is_wide:
        made.add(_wide(_DOCUMENT))
    return text


def _without_empty(text: str, key: str, made: set[str]) -> str:
    """The text without a member that was made for the entry, if nothing is in it."""
    root = _existing_root(text)
    item = root.find(key)
    if item is None or item.value.items or json_text.has_comments(text[item.value.start : item.value.end]):
        return text
    return json_text.remove(text, root, item, _wide(_DOCUMENT) in made)


def _with_document(text: str) -> str:
    """A text of white space and comments, followed by an empty object."""
    kept = text.rstrip(" \t\r\n")
    before = json_text.Layout.of(text).newline if kept.strip(json_text.BYTE_ORDER_MARK) else ""
    return kept + before + "{}" + text[len(kept) :]


def _without_document(text: str, root: Node) -> str:
    kept = text[: root.start]
    before = json_text.Layout.of(text).newline if kept.strip(json_text.BYTE_ORDER_MARK) else ""
    return kept.removesuffix(before) + text[root.end :]


def _verify(before: str | None, after: str | None, host: Host, name: str) -> None:
    """Refuse a change that reaches further than the entry."""
    if _others(before, host, name) != _others(after, host, name):
        raise HostConfigError("it cannot be changed without changing more than the entry of openmem")


def _others(text: str | None, host: Host, name: str) -> Any:
    """All that a configuration holds beside an entry."""
    root = None if text is None else _root(text)
    if text is None or root is None:
        return {}
    found = json_text.plain(text, root, numbers_as_text=True)
    for key, is_ours in ((host.section, lambda k, _: k == name), (_INPUTS, lambda _, v: _is_input(v, _input_id(name)))):
        part = found.get(key)
        if isinstance(part, dict):
            part = {inner: value for inner, value in part.items() if not is_ours(inner, value)}
        elif isinstance(part, list):
            part = [value for value in part if not is_ours(None, value)]
        found = {**found, key: part}
        if not part:
            del found[key]
    return found


def _is_input(value: Any, identity: str) -> bool:
    return isinstance(value, dict) and value.get("id") == identity


def _check(text: str, host: Host) -> None:
    if not host.has_comments and json_text.has_comments(text):
        raise HostConfigError(f"it has comments or trailing commas, which {host.title} cannot read")


def _root(text: str) -> Node | None:
    root = json_text.parse(text)
    if root is not None and root.opening != "{":
        raise HostConfigError("it is not an object")
    return root


def _existing_root(text: str) -> Node:
    root = _root(text)
    assert root is not None
    return root


def _section(text: str, host: Host) -> Node | None:
    item = _existing_root(text).find(host.section)
    if item is None:
        return None
    if item.value.opening != "{":
        raise HostConfigError(f"{host.section!r} is not an object")
    return item.value


def _existing(text: str, host: Host) -> Node:
    section = _section(text, host)
    assert section is not None
    return section


def _wide(name: str) -> str:
    return f"wide-{name}"


def _input_id(name: str) -> str:
    return f"{name}-key"
