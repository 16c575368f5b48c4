"""An entry in a configuration in TOML: functions from text to text.

The entry is a table at the end of the file, with a mark in the comment of its header. All other text stays as it is:
what comes out is parsed again, and refused if anything but the entry has changed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from .entries import Entry
from .errors import HostConfigError
from .json_text import BYTE_ORDER_MARK
from .known import Host

_MARK: Final = "# written by openmem mcp install"
_NEW_FILE: Final = " into a new file"
_OWN_KEYS: Final = ("command", "args", "env", "url", "bearer_token_env_var", "http_headers")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def put(text: str | None, host: Host, entry: Entry) -> str:
    """The configuration with openmem's entry, new or brought up to date.

    Args:
        text: the configuration; None if there is no file.

    Raises:
        HostConfigError: it does not parse, or has an entry of this name that somebody else wrote.
    """
    before = _parsed(text)
    written = _entry(before, host, entry.name)
    wanted = _wanted(host, entry)
    if written is None:
        changed = _appended(text, _header(host, entry.name), wanted)
        expected = wanted
    else:
        assert text is not None
        expected = {**wanted, **{key: value for key, value in written.items() if key not in _OWN_KEYS}}
        if written == expected:
            _own_table(text, host, entry.name)
            return text
        changed = _updated(text, host, entry.name, wanted)
    _verify(before, changed, host, entry.name, expected)
    return changed


def take_out(text: str | None, host: Host, name: str) -> str | None:
    """The configuration without openmem's entry; None if there is no file, or it was made for the entry.

    Raises:
        HostConfigError: it does not parse, or the entry of this name is somebody else's.
    """
    before = _parsed(text)
    if text is None or _entry(before, host, name) is None:
        return text
    start, end = _own_table(text, host, name)
    is_new_file = _NEW_FILE in text[start:end].partition("\n")[0]
    prefix, newline = text[:start], _newline(text)
    if not text[start:end].endswith("\n"):
        prefix = prefix.removesuffix(newline * 2)
    elif prefix.removesuffix(newline).endswith("\n"):
        prefix = prefix.removesuffix(newline)
    changed = prefix + text[end:]
    _verify(before, changed, host, name, None)
    return None if is_new_file and not changed else changed


def _wanted(host: Host, entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in host.entry(entry).items() if value != {}}


def _appended(text: str | None, header: str, wanted: Mapping[str, Any]) -> str:
    mark = _MARK if text is not None else _MARK + _NEW_FILE
    lines = [f"{header} {mark}", *(f"{key} = {_value(value)}" for key, value in wanted.items())]
    before = text or ""
    newline = _newline(before)
    table = newline.join(lines)
    if not before.strip(BYTE_ORDER_MARK):
        return before + table + newline
    if before.endswith("\n"):
        return before + newline + table + newline
    return before + newline * 2 + table


def _updated(text: str, host: Host, name: str, wanted: Mapping[str, Any]) -> str:
    """The text with other values in the entry's table; what else is in the table stays."""
    start, end = _own_table(text, host, name)
    newline = _newline(text)
    header, *lines = text[start:end].splitlines(keepends=True)
    own_line = re.compile(rf"[ \t]*(?:{'|'.join(_OWN_KEYS)})[ \t]*=")
    own_part = re.compile(_table_pattern(host, name, rf"\.[ \t]*(?:{'|'.join(_OWN_KEYS)})"))
    kept: list[str] = []
    is_own_part = False
    for line in lines:
        if line.lstrip(" \t").startswith("["):
            is_own_part = own_part.match(line) is not None
        if not is_own_part and not own_line.match(line):
            kept.append(line)
    new = [f"{key} = {_value(value)}" for key, value in wanted.items()]
    table = header.rstrip("\r\n") + newline + newline.join(new) + newline + "".join(kept)
    if not text[start:end].endswith("\n"):
        table = table.removesuffix(newline)
    return text[:start] + table + text[end:]


def _own_table(text: str, host: Host, name: str) -> tuple[int, int]:
    """From where to where openmem's table stands, with the tables inside it.

    Raises:
        HostConfigError: the entry is not such a table, or has not the mark.
    """
    found = re.finditer(_table_pattern(host, name, "") + r"[^\r\n]*", text, re.MULTILINE)
    heads = [head for head in found if _MARK in head.group()]
    if len(heads) != 1:
        raise HostConfigError(
            f"{host.section!r} has an entry {name!r} that openmem did not write; remove it, or choose another name "
            "with --name"
        )
    start = heads[0].start()
    inner = re.compile(_table_pattern(host, name, r"\."))
    end = position = start
    for line in text[start:].splitlines(keepends=True):
        stripped = line.lstrip(" \t")
        if position > start and stripped.startswith("[") and not inner.match(line):
            break
        position += len(line)
        if stripped.strip() and not stripped.startswith("#"):
            end = position
    return start, end


def _table_pattern(host: Host, name: str, rest: str) -> str:
    """A pattern for the header of an entry's table; with `rest`, for those of tables in it."""
    spellings = [re.escape(json.dumps(name, ensure_ascii=False)), re.escape(f"'{name}'")]
    if _BARE_KEY.fullmatch(name):
        spellings.append(re.escape(name))
    end = rest or r"\]"
    return rf"^[ \t]*\[[ \t]*{host.section}[ \t]*\.[ \t]*(?:{'|'.join(spellings)})[ \t]*{end}"


def _header(host: Host, name: str) -> str:
    return f"[{host.section}.{name if _BARE_KEY.fullmatch(name) else _value(name)}]"


def _value(value: Any) -> str:
    """A value in TOML. Its strings are written as those of JSON, which needs no escape for one character."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_value(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _newline(text: str) -> str:
    return "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        return tomllib.loads((text or "").removeprefix(BYTE_ORDER_MARK))
    except tomllib.TOMLDecodeError as error:
        raise HostConfigError(f"it is not TOML: {error}") from None
    except RecursionError:
        raise HostConfigError("it is nested too deeply") from None


def _entry(found: Mapping[str, Any], host: Host, name: str) -> dict[str, Any] | None:
    section = found.get(host.section, {})
    if not isinstance(section, dict):
        raise HostConfigError(f"{host.section!r} is not a table")
    entry = section.get(name)
    if entry is not None and not isinstance(entry, dict):
        raise HostConfigError(f"{name!r} in {host.section!r} is not a table")
    return entry


def _verify(before: Mapping[str, Any], changed: str, host: Host, name: str, expected: Mapping[str, Any] | None) -> None:
    """Refuse a change that reaches further than the entry, or does not reach it."""
    advice = "change it by hand; --print shows the entry"
    try:
        after = _parsed(changed)
    except HostConfigError:
        raise HostConfigError(f"{host.section!r} is written in a way that no table can be added to: {advice}") from None
    if _entry(after, host, name) != expected or _others(before, host, name) != _others(after, host, name):
        raise HostConfigError(f"it cannot be changed without changing more than the entry {name!r}: {advice}")


def _others(found: Mapping[str, Any], host: Host, name: str) -> dict[str, Any]:
    section = {key: value for key, value in found.get(host.section, {}).items() if key != name}
    others = {key: value for key, value in found.items() if key != host.section}
    return {**others, host.section: section} if section else others
