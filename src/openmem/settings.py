"""What a setting is: one description for the check of its value, for the command line, and for help.

A configuration is a dataclass whose fields are annotated with a `Setting`; `settings_of` returns its table. A kind
checks a value that a program passes (`check`), and reads one from the text of a flag or an environment variable
(`parse`). Both raise `ValueError` with a message that does not name the setting.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, Protocol, get_type_hints

from ._text import check_text, quoted
from ._time_zones import time_zone

_SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Kind(Protocol):
    """Which values a setting may have."""

    def check(self, value: Any) -> Any:
        """The value as it is kept, if it is one."""

    def parse(self, text: str) -> Any:
        """The value that a text stands for."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not blank, of at most `max_length` characters; `is_token` allows visible ASCII only."""

    max_length: int | None = None
    is_token: bool = False

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("must be text that is not empty")
        text = check_text(value)
        if self.max_length is not None and len(text) > self.max_length:
            raise ValueError(f"{len(text)} characters are over the limit of {self.max_length}")
        if self.is_token and re.search(r"[^\x21-\x7e]", text):
            raise ValueError("it has white space in or around it, or characters that no key has")
        return text

    def parse(self, text: str) -> str:
        return text


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int | None = None

    def check(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < self.least:
            raise ValueError(f"{quoted(value)} is not a whole number from {self.least}")
        if self.most is not None and value > self.most:
            raise ValueError(f"{value} is over {self.most}")
        return value

    def parse(self, text: str) -> int:
        return self.check(int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text)


@dataclass(frozen=True, slots=True)
class Seconds:
    """A time in seconds, more than 0."""

    def check(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{quoted(value)} is not a positive number of seconds")
        return value

    def parse(self, text: str) -> float:
        return self.check(float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else text)


@dataclass(frozen=True, slots=True)
class Interval(Seconds):
    """A time in seconds, more than 0; on the command line with a unit, as in ``90s``, ``30m``, ``1h`` or ``7d``."""

    def parse(self, text: str) -> float:
        found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
        if found is None:
            raise ValueError(f"{quoted(text)} is not a time such as '30m', '1h' or '7d'")
        return self.check(int(found[1]) * _SECONDS_OF_UNIT[found[2]])


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def check(self, value: Any) -> str:
        if value not in self.words:
            raise ValueError(f"{quoted(value)} is not one of {', '.join(map(repr, self.words))}")
        return str(value)

    def parse(self, text: str) -> str:
        return self.check(text.lower())


@dataclass(frozen=True, slots=True)
class TimeZone:
    """A time zone: its name in the IANA database, its offset from UTC, or an object of Python."""

    def check(self, value: Any) -> tzinfo:
        return time_zone(value)

    def parse(self, text: str) -> tzinfo:
        return self.check(text)


@dataclass(frozen=True, slots=True)
class Switch:
    """On or off."""

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{quoted(value)} is not True or False")
        return value

    def parse(self, text: str) -> bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise ValueError(f"{quoted(text)} is not 'true' or 'false'")


@dataclass(frozen=True, slots=True)
class Several:
    """Texts, which are separated by commas on the command line."""

    def check(self, value: Any) -> Any:
        return value

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(part for part in (part.strip() for part in text.split(",")) if part)


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path of a file or directory. What uses it checks it."""

    def check(self, value: Any) -> Any:
        return value

    def parse(self, text: str) -> Path:
        return Path(text)


@dataclass(frozen=True, slots=True)
class Part:
    """An object, or a text that names one. What resolves it checks it."""

    def check(self, value: Any) -> Any:
        return value

    def parse(self, text: str) -> str:
        return text


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting.

    Attributes:
        kind: which values it may have.
        help: what it is, in a few words.
        option: its name on the command line of ``omp-server``, without dashes; None for a setting of Python only.
        is_secret: whether its value must never be shown.
        only_in_environment: whether there is no flag, since others can read a command line.
        aliases: other names of it in Python.
        name: its name in Python.
        default: its value when it is not given.
    """

    kind: Kind
    help: str
    option: str | None = None
    is_secret: bool = False
    only_in_environment: bool = False
    aliases: tuple[str, ...] = ()
    name: str = ""
    default: Any = None

    @property
    def flag(self) -> str | None:
        """Its flag, such as ``--postgres-url``."""
        return None if self.option is None or self.only_in_environment else f"--{self.option}"

    @property
    def variable(self) -> str | None:
        """Its environment variable, such as ``OMP_POSTGRES_URL``."""
        return None if self.option is None else f"OMP_{self.option.upper().replace('-', '_')}"


def settings_of(configuration: type) -> Mapping[str, Setting]:
    """The settings of a configuration, by name."""
    annotations = get_type_hints(configuration, include_extras=True)
    found: dict[str, Setting] = {}
    for field in dataclasses.fields(configuration):
        for described in getattr(annotations[field.name], "__metadata__", ()):
            if isinstance(described, Setting):
                found[field.name] = replace(
                    described, name=field.name, default=None if field.default is dataclasses.MISSING else field.default
                )
    return found
