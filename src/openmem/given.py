"""Settings as they are given: by flags, in the environment, in a profile. Which of them counts, and its name there.

A message of the client names settings as Python does. `Given` says the same in the words of whoever gave them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .config import SETTINGS, UnreadSettingError
from .errors import InvalidRequestError
from .settings import Setting


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings are given.

    Attributes:
        name: what the place is called, as in ``environment``.
        values: what is given there, by the setting's name in Python: a text, or a value of another type. None and
            an empty text are nothing.
        spell: what a setting is called there.
    """

    name: str
    values: Mapping[str, Any]
    spell: Callable[[Setting], str]


def flags(values: Mapping[str, Any]) -> Source:
    """The settings on a command line."""
    return Source("flag", values, lambda setting: setting.flag or setting.name)


def environment(settings: Mapping[str, Setting], variables: Mapping[str, str]) -> Source:
    """Those of these settings that are in the environment."""
    values = {name: variables[s.variable] for name, s in settings.items() if s.variable and s.variable in variables}
    return Source("environment", values, lambda setting: setting.variable or setting.name)


class Given:
    """The settings that are given.

    Args:
        settings: all that there are, by their names in Python.
        sources: where they may be given; of two that give the same one, the first counts.
        without_flags: those that this command line has no flag for, though another one has.

    Attributes:
        values: the settings' values, by their names in Python.
        origins: the name of each one's source.

    Raises:
        InvalidRequestError: the text of one does not stand for a value of its kind.
    """

    def __init__(self, settings: Mapping[str, Setting], *sources: Source, without_flags: Collection[str] = ()) -> None:
        self._settings = settings
        self._without_flags = without_flags
        self._of_client = {name for name, setting in settings.items() if SETTINGS.get(name) == setting}
        self._spelled: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        for name, setting in settings.items():
            for source in sources:
                given = source.values.get(name)
                if given is None or given == "":
                    continue
                self._spelled[name] = source.spell(setting)
                self.origins[name] = source.name
                try:
                    self.values[name] = (
                        setting.kind.parse(given) if isinstance(given, str) else setting.kind.check(given)
                    )
                except ValueError as error:
                    raise InvalidRequestError(f"bad config: {self._spelled[name]}: {error}") from None
                break

    def among(self, settings: Mapping[str, Setting]) -> dict[str, Any]:
        """The values of those of these settings that are given."""
        return {name: self.values[name] for name in settings if name in self.values}

    def refusal(self, error: InvalidRequestError) -> InvalidRequestError:
        """The error of a client, in the words of whoever gave the settings."""
        if isinstance(error, UnreadSettingError):
            reads = [self.spelled(name) for name in sorted(error.reads & self._of_client)]
            told = error.told(self.spelled(error.setting.name), self._before_value("provider"), reads)
            return InvalidRequestError(f"bad config: {told}")
        name = error.message.partition(":")[0]
        is_missing = name in self._of_client and name not in self.values
        return InvalidRequestError(f"{'missing' if is_missing else 'bad'} config: {self.translated(error.message)}")

    def spelled(self, name: str) -> str:
        """What a setting is called: as it is given, or by its flag, or by its variable."""
        setting = self._settings.get(name)
        if name in self._spelled or setting is None:
            return self._spelled.get(name, name)
        return (None if name in self._without_flags else setting.flag) or setting.variable or name

    def _before_value(self, name: str) -> str:
        """What a setting is called where a value of it follows."""
        word = self.spelled(name).partition(" ")[0]
        return f"{word} " if word.startswith("-") else f"{word}="

    def translated(self, message: str) -> str:
        """A message that names settings as Python does, ``name: …`` and ``name=``, with the names that were used.

        Calls, such as ``embedder=OpenAIEmbedder(api_key=...)``, stay as they are.
        """

        def leading(found: re.Match[str]) -> str:
            return f"{self.spelled(found[1])}:"

        def mentioned(found: re.Match[str]) -> str:
            return self._before_value(found[1]) if found[2] else self.spelled(found[1])

        names = "|".join(self._settings)
        long_names = "|".join(name for name in self._settings if "_" in name and name in self._of_client)
        message = re.sub(rf"^({names}):", leading, message)
        message = re.sub(rf"(?<![\w?&(-])({names})=(?![A-Z]\w*\()(?=(['\w]?))", mentioned, message)
        return re.sub(rf"(?<![\w-])({long_names})\b(?!=)()", mentioned, message)
